"""What is left of a chunk, in the model's space; and a policy that continues it."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import golden_model_case as golden
import numpy as np
import pytest

from vla_core.contract import load_contract
from vla_core.errors import PolicyError
from vla_core.rtc import RTC_OFF, Committed, Rtc, RtcMode, Schedule
from vla_core.stats import NormStats
from vla_core.transforms import Group, apply
from vla_core.types import FloatArray, Observation
from vla_policy import robots
from vla_policy.cli import make_random_checkpoint
from vla_policy.models.config import Pi0Config, SiglipConfig
from vla_policy.models.random_init import random_pi0
from vla_policy.policies.local import LocalPolicy
from vla_policy.policies.open import open_policy
from vla_policy.policies.pipeline import assemble
from vla_policy.policies.splice import check_round_trip, splice, with_probes
from vla_policy.processing import Processing
from vla_policy.robots.robot import Robot
from vla_policy.tokenizers.paligemma import PaligemmaTokenizer

HORIZON, DIMS = 8, 32
SHIFTED = {name for name in robots.ROBOTS if name.endswith("sim_to_real")}
GUIDED = Rtc(mode=RtcMode.GUIDED, execution_horizon=5)
TRAINED = Rtc(mode=RtcMode.TRAINED)
CONTRACTS = Path(__file__).resolve().parents[2] / "vla_bringup/config/robots"
TOKENIZER = golden.GOLDEN / "transforms/tokenizer/tokenizer.model"
all_robots = pytest.mark.parametrize("name", sorted(set(robots.ROBOTS) - SHIFTED))


def config(*, pi05: bool = False) -> Pi0Config:
    return Pi0Config.tiny(
        pi05=pi05,
        vocab_size=1672,
        action_dim=DIMS,
        action_horizon=HORIZON,
        siglip=SiglipConfig(width=16, depth=1, mlp_dim=32, num_heads=2, image_size=56),
    )


def steps_of(robot: Robot, *, pi05: bool = False) -> Group:
    def stats(dims: int) -> NormStats:
        low = -0.7 - 0.01 * np.arange(dims)
        return NormStats(mean=low + 0.8, std=0.3 - low / 4, q01=low, q99=low + 1.5)

    return assemble(
        robot.transforms(),
        config=config(pi05=pi05),
        processing=Processing.openpi(config(pi05=pi05)),
        stats={"state": stats(robot.model_state_dim), "actions": stats(robot.model_action_dim)},
        tokenizer=PaligemmaTokenizer(TOKENIZER, config(pi05=pi05).max_token_len),
    )


def seen(robot: Robot, moved: float = 0.0) -> Observation:
    observation = robot.make_observation("do it")
    return replace(observation, state=observation.state + moved)


def grippers(robot: Robot) -> FloatArray:
    return np.array(["gripper" in name for name in robot.action_names])


def leftover(robot: Robot, *, steps: int = 6, delay: int = 2) -> Committed:
    """Arms wander about the pose, grippers close; all within what the adapters keep."""
    stepped = grippers(robot)
    hold = robot.hold(robot.make_example()["state"])
    wander = np.random.default_rng(0).uniform(-0.05, 0.05, (steps, len(hold))).cumsum(0)
    return Committed(
        actions=np.where(stepped, 1.0, hold + wander), delay_steps=delay, stepped=stepped
    )


def mapped(robot: Robot, previous: Committed, moved: float = 0.0) -> FloatArray:
    data = {"state": seen(robot, moved).state} | {
        key: value for key, value in robot.make_example().items() if key != "state"
    }
    return apply(steps_of(robot).inputs, data | {"actions": with_probes(previous)})["actions"]


@all_robots
@pytest.mark.parametrize("moved", [0.0, 0.03])
def test_a_leftover_mapped_in_and_out_is_the_same(name: str, moved: float) -> None:
    robot = robots.get(name)
    previous = leftover(robot)
    target = splice(mapped(robot, previous, moved), previous, GUIDED, HORIZON).target
    data = {key: value for key, value in robot.make_example().items() if key != "state"}
    inputs = apply(steps_of(robot).inputs, data | {"state": seen(robot, moved).state})
    back = apply(steps_of(robot).outputs, {"state": inputs["state"], "actions": target[:6]})
    np.testing.assert_allclose(back["actions"], previous.actions, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["aloha", "ur5", "droid", "droid_velocity"])
def test_relative_actions_are_taken_from_the_new_state(name: str) -> None:
    robot = robots.get(name)
    here, there = (mapped(robot, leftover(robot), moved) for moved in (0.0, 0.03))
    assert (here[0, :5] != there[0, :5]).all()


@all_robots
def test_padded_dims_and_missing_steps_have_no_weight(name: str) -> None:
    robot = robots.get(name)
    previous = leftover(robot, steps=3)
    found = splice(mapped(robot, previous), previous, replace(GUIDED, schedule=Schedule.ONES), 8)
    assert found.weights.shape == found.target.shape == (HORIZON, DIMS)
    size = robot.model_action_dim
    arms = np.resize(~grippers(robot), size)
    assert (found.weights[:2, :size] == 1).all()
    np.testing.assert_array_equal(found.weights[2, :size], arms)  # grippers decide anew
    assert not found.weights[3:].any()
    assert not found.weights[:, size:].any()
    assert not found.target[:, size:].any()
    assert not found.target[3:].any()


def test_a_delay_beyond_the_execution_horizon_or_the_leftover_is_committed_as_far_as_it_goes() -> (
    None
):
    robot = robots.get("ur5")
    long = leftover(robot, delay=6)
    found = splice(mapped(robot, long), long, replace(GUIDED, execution_horizon=2), HORIZON)
    assert found.delay_steps == 6
    assert (found.weights[:6, :7] == 1).all()
    short = leftover(robot, steps=2, delay=5)
    assert splice(mapped(robot, short), short, GUIDED, HORIZON).delay_steps == 2
    longer = leftover(robot, steps=12, delay=20)
    assert splice(mapped(robot, longer), longer, GUIDED, HORIZON).delay_steps == HORIZON


@pytest.mark.parametrize("name", sorted(SHIFTED))
def test_an_adapter_that_shifts_actions_on_the_way_out_alone_is_refused(name: str) -> None:
    robot = robots.get(name)
    with pytest.raises(PolicyError, match="do not map back"):
        check_round_trip(robot, steps_of(robot))


@all_robots
def test_other_adapters_are_not_refused(name: str) -> None:
    robot = robots.get(name)
    check_round_trip(robot, steps_of(robot))


def policy(rtc: Rtc, *, name: str = "aloha", pi05: bool = False) -> LocalPolicy:
    robot = robots.get(name)
    model = random_pi0(config(pi05=pi05), seed=0)
    return LocalPolicy(model, robot=robot, steps=steps_of(robot, pi05=pi05), num_steps=10, rtc=rtc)


def infer(found: LocalPolicy, previous: Committed | None = None) -> FloatArray:
    robot = robots.get("aloha")
    noise = np.random.default_rng(1).standard_normal((HORIZON, DIMS), np.float32)
    return found.infer(seen(robot), noise=noise, previous=previous)


@pytest.mark.parametrize("pi05", [False, True])
def test_without_a_leftover_or_a_weight_a_chunk_is_free_bit_for_bit(pi05: bool) -> None:
    free = infer(policy(RTC_OFF, pi05=pi05))
    previous = leftover(robots.get("aloha"), delay=0)
    zeros = replace(GUIDED, schedule=Schedule.ZEROS)
    assert np.array_equal(infer(policy(RTC_OFF, pi05=pi05), previous), free)
    assert np.array_equal(infer(policy(zeros, pi05=pi05), previous), free)
    assert np.array_equal(infer(policy(TRAINED, pi05=pi05), previous), free)
    assert np.array_equal(infer(policy(GUIDED, pi05=pi05)), free)
    assert not np.array_equal(infer(policy(GUIDED, pi05=pi05), previous), free)


@pytest.mark.parametrize("pi05", [False, True])
def test_trained_chunks_begin_with_the_committed_actions(pi05: bool) -> None:
    previous = leftover(robots.get("aloha"), delay=3)
    found = infer(policy(TRAINED, pi05=pi05), previous)
    np.testing.assert_allclose(found[:3], previous.actions[:3], rtol=0, atol=1e-6)
    assert np.abs(found[3:6] - previous.actions[3:6]).max() > 1e-3


@pytest.mark.parametrize("pi05", [False, True])
def test_guided_chunks_begin_near_the_committed_actions(pi05: bool) -> None:
    previous = leftover(robots.get("aloha"), delay=3)
    free, found = infer(policy(RTC_OFF, pi05=pi05)), infer(policy(GUIDED, pi05=pi05), previous)
    before, after = (np.abs(x[:3] - previous.actions[:3]).mean() for x in (free, found))
    assert after < 0.2 * before


@pytest.mark.parametrize("rtc", [GUIDED, replace(GUIDED, vjp=True), TRAINED])
def test_inferring_leaves_observation_and_leftover_as_they_are(rtc: Rtc) -> None:
    robot = robots.get("aloha")
    observation, previous = seen(robot), leftover(robot)
    before = copy.deepcopy((observation, previous))
    policy(rtc).infer(observation, previous=previous)
    for found, expected in zip((observation, previous), before, strict=True):
        for field in ("state", "images") if found is observation else ("actions", "stepped"):
            np.testing.assert_equal(getattr(found, field), getattr(expected, field))


def test_a_policy_opens_with_chunking_and_pi0_fast_refuses_it(tmp_path: Path) -> None:
    robot = load_contract(CONTRACTS / "ur5e.yaml")
    for kind in ("pi0", "pi0_fast"):
        arguments = ["--output", str(tmp_path / kind), "--robot", "ur5", "--model", kind]
        assert make_random_checkpoint.main(arguments) == 0
    opened = open_policy(str(tmp_path / "pi0"), robot, num_steps=2, rtc=GUIDED)
    assert opened.horizon > 0
    with pytest.raises(PolicyError, match="no flow"):
        open_policy(str(tmp_path / "pi0_fast"), robot, rtc=GUIDED)
