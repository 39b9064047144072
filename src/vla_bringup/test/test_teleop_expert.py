"""The scripted expert: its arms are where it thinks, within the limits, and the task gets done."""

import math

import mujoco
import numpy as np
import pytest
import sim_contract
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_bringup.sim.aloha_robot import ARM_JOINTS, SIDES, START_ARM_RAD, gripper_from_finger
from vla_bringup.sim.aloha_scene import AlohaScene
from vla_bringup.sim.aloha_tasks import TASKS, Setup
from vla_bringup.teleop.expert import NAMES, plan
from vla_bringup.teleop.viperx import Hand, UnreachableError, arm_angles, start_hand
from vla_core.contract import load_contract
from vla_core.safety import Limits

RATE_HZ = 50.0
TIPS_M = 0.135  # from gripper_link along its fingers, what they hold
CONTRACT = load_contract(next(path for path in sim_contract.FILES if path.stem == "aloha"))


def body_pose(side: str, angles: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Finger tips and their direction in MuJoCo."""
    scene = AlohaScene()
    for joint, angle in zip(ARM_JOINTS, angles, strict=True):
        scene._data.qpos[scene._qpos[f"{side}_{joint}"]] = angle
    mujoco.mj_kinematics(scene._model, scene._data)
    body = scene._model.body(f"vx300s_{side}/gripper_link").id
    along = scene._data.xmat[body].reshape(3, 3)[:, 0]
    return scene._data.xpos[body] + TIPS_M * along, along


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("position", [(0.05, 0.5, 0.25), (0.1, 0.42, 0.02), (-0.08, 0.6, 0.2)])
def test_the_arm_brings_the_fingers_to_where_they_shall_be(
    side: str, position: tuple[float, float, float]
) -> None:
    tips, along = body_pose(side, arm_angles(side, Hand(position=position, pitch=0.8, roll=0.3)))
    np.testing.assert_allclose(tips, position, atol=1e-5)
    assert -math.asin(along[2]) == pytest.approx(0.8, abs=1e-5)


@pytest.mark.parametrize("side", SIDES)
def test_the_start_pose_is_known_both_ways(side: str) -> None:
    assert arm_angles(side, start_hand(side)) == pytest.approx(START_ARM_RAD)
    np.testing.assert_allclose(
        body_pose(side, START_ARM_RAD)[0], start_hand(side).position, atol=1e-5
    )


def test_out_of_reach_is_refused() -> None:
    with pytest.raises(UnreachableError, match="right arm"):
        arm_angles("right", Hand(position=(-0.5, 0.5, 0.2), pitch=0.0))


@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31 - 1))
def test_every_seed_has_a_plan_that_the_executor_does_not_limit(task: str, seed: int) -> None:
    limits = Limits.of(CONTRACT)
    actions = plan(Setup(task=task, seed=seed), CONTRACT.action_names, RATE_HZ)
    rates = np.diff(actions, axis=0) * RATE_HZ
    start = [*START_ARM_RAD, gripper_from_finger(0.02239)] * 2
    np.testing.assert_allclose(actions[0], start, atol=1e-9)
    assert (actions >= limits.lower).all()
    assert (actions <= limits.upper).all()
    assert (np.abs(rates) <= limits.rate).all()
    assert (np.abs(np.diff(rates, axis=0) * RATE_HZ) <= limits.acceleration).all()


def test_columns_follow_the_names_asked_for() -> None:
    setup = Setup(task="insertion", seed=3)
    names = ("right_gripper", "left_waist")
    columns = [NAMES.index(name) for name in names]
    np.testing.assert_array_equal(
        plan(setup, names, RATE_HZ), plan(setup, NAMES, RATE_HZ)[:, columns]
    )


@pytest.mark.parametrize("task", TASKS)
def test_the_task_is_done_at_the_end_and_not_before(task: str) -> None:
    scene = AlohaScene(task=task)
    for seed in (100, 101, 102):
        scene.reset(seed)
        actions = plan(Setup(task=task, seed=seed), NAMES, RATE_HZ)
        for number, action in enumerate(actions):
            assert number > 200 or not scene.is_done()
            scene.command(dict(zip(NAMES, action, strict=True)))
            scene.step(1 / RATE_HZ)
        assert scene.is_done(), f"seed {seed}, reward {scene.reward()}"


def test_success_is_lost_when_the_cube_falls() -> None:
    scene = AlohaScene()
    for action in plan(Setup(task="transfer_cube", seed=0), NAMES, RATE_HZ):
        scene.command(dict(zip(NAMES, action, strict=True)))
        scene.step(1 / RATE_HZ)
    assert scene.is_done()
    scene.command({"left_finger": 0.055})
    scene.step(2.0)
    assert not scene.is_done()
