"""The tasks of the ALOHA simulation: where a seed puts things, what counts, and a new start."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_bringup.sim.aloha_scene import AlohaScene
from vla_bringup.sim.aloha_tasks import LEFT_FINGER, RIGHT_FINGER, TASKS, Setup
from vla_bringup.sim.simulated_robot import SimulationError

X_M = {"cube": (0.0, 0.2), "peg": (0.1, 0.2), "socket": (-0.2, -0.1)}  # of gym-aloha


@pytest.mark.parametrize("task", TASKS)
@given(seed=st.integers(0, 2**31 - 1))
def test_objects_start_where_those_of_gym_aloha_do(task: str, seed: int) -> None:
    layout = TASKS[task].layout(seed)
    assert layout == TASKS[task].layout(seed)
    for name, (x, y, z) in layout.items():
        assert X_M[name][0] <= x <= X_M[name][1]
        assert 0.4 <= y <= 0.6
        assert z == 0.05


def test_seeds_differ() -> None:
    assert len({TASKS["insertion"].layout(seed)["peg"] for seed in range(50)}) == 50


@pytest.mark.parametrize(
    ("task", "contacts", "reward"),
    [
        ("transfer_cube", [], 0),
        ("transfer_cube", [("table", "red_box")], 0),
        ("transfer_cube", [("table", "red_box"), ("red_box", RIGHT_FINGER)], 1),
        ("transfer_cube", [("red_box", RIGHT_FINGER)], 2),
        ("transfer_cube", [("red_box", LEFT_FINGER), ("red_box", "table")], 3),
        ("transfer_cube", [(LEFT_FINGER, "red_box")], 4),
        ("insertion", [("socket-1", "table"), ("red_peg", "table")], 0),
        ("insertion", [("socket-3", LEFT_FINGER)], 0),
        (
            "insertion",
            [("socket-3", LEFT_FINGER), ("red_peg", RIGHT_FINGER), ("red_peg", "table")],
            1,
        ),
        ("insertion", [("socket-3", LEFT_FINGER), ("red_peg", RIGHT_FINGER)], 2),
        ("insertion", [("red_peg", "socket-2"), ("socket-1", "table")], 0),
        ("insertion", [("red_peg", "socket-2"), ("socket-4", LEFT_FINGER)], 3),
        ("insertion", [("red_peg", "socket-2"), ("pin", "red_peg")], 4),
    ],
)
def test_reward_counts_as_gym_aloha(
    task: str, contacts: list[tuple[str, str]], reward: int
) -> None:
    assert TASKS[task].reward({frozenset(pair) for pair in contacts}) == reward


@pytest.mark.parametrize("task", TASKS)
def test_a_reset_lays_the_scene_as_a_new_one_of_that_seed(task: str) -> None:
    scene = AlohaScene(task=task, seed=1)
    fresh = AlohaScene(task=task, seed=7).snapshot()
    scene.command({"left_waist": 0.4, "right_gripper": 1.0})
    scene.step(0.5)
    assert not np.allclose(scene.snapshot(), fresh, atol=1e-3)
    scene.reset(7)
    np.testing.assert_array_equal(scene.snapshot(), fresh)
    assert not scene.is_done()


@pytest.mark.parametrize("task", TASKS)
def test_nothing_is_done_when_nobody_moves(task: str) -> None:
    scene = AlohaScene(task=task)
    scene.step(1.0)
    assert scene.reward() == 0
    assert not scene.is_done()


def test_what_a_reset_answers_is_read_back() -> None:
    setup = Setup(task="insertion", seed=2**31 - 1)
    assert Setup.parse(str(setup)) == setup


@pytest.mark.parametrize("text", ["", "task=juggling seed=1", "task=insertion seed=-1", "seed=1"])
def test_another_answer_is_refused(text: str) -> None:
    with pytest.raises(SimulationError, match=r"transfer_cube\|insertion"):
        Setup.parse(text)
