"""A recorded episode, played in its own time."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from vla_core.contract import Contract, load_contract, parse_contract
from vla_core.dataset.recorded_actions import DatasetError, RecordedActions
from vla_core.errors import PolicyError
from vla_core.types import FloatArray, Observation
from vla_policy.policies.replay import ReplayPolicy

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = ROOT / "test" / "golden" / "lerobot"
START_NS = 1_700_000_000_000_000_000
ALOHA = load_contract(ROOT / "config" / "robots" / "aloha.yaml")
TEXT = """\
schema: 1
robot: tester
description: an arm joint, a gripper and a wheel
policy_rate_hz: {rate}
control_rate_hz: 200
joints:
  a: {{unit: rad, range: [-2, 2], velocity: 2, acceleration: 10}}
  g: {{kind: gripper, unit: m, range: [0, 0.1], velocity: 0.5, acceleration: 5}}
  v: {{kind: velocity, unit: m/s, range: [-1, 1], acceleration: 5}}
streams:
  arm: {{topic: /joints, type: sensor_msgs/msg/JointState, joints: [a, g], rate_hz: 100}}
state: [a, g]
cameras: {{}}
action:
  arm: {{topic: /arm, type: std_msgs/msg/Float64MultiArray, joints: [a, g, v]}}
safety:
  start_offset: {{rad: 0.3}}
  gross_offset: {{rad: 1.0}}
"""


def contract(rate: float = 10) -> Contract:
    return parse_contract(TEXT.format(rate=rate), "robot.yaml")


def recorded(frames: int = 20, fps: float = 10) -> RecordedActions:
    """a rises by 0.1 a frame, the gripper opens at frame 5, the wheel turns evenly."""
    time = np.arange(frames)
    columns = [np.full(frames, 0.5), 0.1 * (time >= 5), 0.1 * time]
    return RecordedActions(fps=fps, names=("v", "g", "a"), actions=np.stack(columns, axis=1))


def observation(after_s: float) -> Observation:
    stamp_ns = START_NS + round(after_s * 1e9)
    return Observation(stamp_ns=stamp_ns, state=np.zeros(2), images={}, prompt="")


def play(policy: ReplayPolicy, *times_s: float) -> FloatArray:
    return [policy.infer(observation(time)) for time in times_s][-1]


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_a_golden_episode_is_played_frame_by_frame(version: str) -> None:
    """Compared with what LeRobot's own reader returned for these files."""
    robot = dataclasses.replace(ALOHA, policy_rate_hz=30.0)
    with np.load(GOLDEN / "expected_actions.npz", allow_pickle=False) as expected:
        for index in (0, 5, 14, 20):
            episode, frame = (int(expected[f"{index}/{k}_index"]) for k in ("episode", "frame"))
            policy = ReplayPolicy.open(f"replay:{GOLDEN / version}#{episode}", robot)
            chunk = play(policy, 0, frame / 30)
            wanted = expected[f"{index}/action"][~expected[f"{index}/action_is_pad"]]
            np.testing.assert_array_equal(chunk[: len(wanted)], wanted)
            assert policy.action_names == ALOHA.action_names


def test_columns_are_mapped_by_name() -> None:
    np.testing.assert_allclose(
        play(ReplayPolicy(recorded(), contract()), 0, 0.6)[0], [0.6, 0.1, 0.5]
    )


def test_a_chunk_is_one_second_of_the_policy_rate() -> None:
    policy = ReplayPolicy(recorded(), contract())
    assert play(policy, 0).shape == (policy.horizon, 3) == (10, 3)


def test_another_rate_keeps_the_time_of_the_recording() -> None:
    chunk = play(ReplayPolicy(recorded(fps=10), contract(rate=40)), 0)
    np.testing.assert_allclose(chunk[:, 0], np.arange(40) / 40, atol=1e-12)


def test_a_gripper_is_never_blended() -> None:
    chunk = play(ReplayPolicy(recorded(), contract(rate=40)), 0)
    assert set(chunk[:, 1]) == {0.0, 0.1}
    assert chunk[:20, 1].max() == 0.0
    assert chunk[20:, 1].min() == 0.1


def test_time_runs_on_between_observations() -> None:
    policy = ReplayPolicy(recorded(), contract())
    np.testing.assert_allclose(play(policy, 0, 0.55)[:2, 0], [0.55, 0.65])


def test_the_last_chunk_ends_with_the_last_frame() -> None:
    chunk = play(ReplayPolicy(recorded(20), contract()), 0, 1.8)
    np.testing.assert_allclose(chunk[:, 0], [1.8, 1.9])


def test_an_episode_that_is_over_gives_no_chunk() -> None:
    policy = ReplayPolicy(recorded(20), contract())
    play(policy, 0)
    for late_s in (1.95, 2.0, 3600.0):
        with pytest.raises(PolicyError, match="the episode is over"):
            play(policy, late_s)


def test_reset_starts_again() -> None:
    policy = ReplayPolicy(recorded(), contract())
    first = play(policy, 0)
    policy.reset()
    np.testing.assert_array_equal(play(policy, 100), first)


def test_a_clock_that_jumped_back_gives_no_chunk() -> None:
    with pytest.raises(PolicyError, match="before the start"):
        play(ReplayPolicy(recorded(), contract()), 0, -1)


@pytest.mark.parametrize("names", [("v", "g", "b"), ("v", "g"), ("v", "g", "a", "x")])
def test_other_names_are_refused(names: tuple[str, ...]) -> None:
    actions = np.zeros((20, len(names)))
    with pytest.raises(PolicyError, match="not those of the contract"):
        ReplayPolicy(RecordedActions(fps=10, names=names, actions=actions), contract())


def test_degrees_are_refused() -> None:
    episode = recorded()
    degrees = episode.actions * [1, 1, 180 / np.pi]
    with pytest.raises(PolicyError, match=r"units.* a;"):
        ReplayPolicy(dataclasses.replace(episode, actions=degrees), contract())


def test_actions_a_little_beyond_the_limits_are_left_to_the_executor() -> None:
    episode = recorded(30)
    assert episode.actions[:, 2].max() > 2
    ReplayPolicy(episode, contract())


@pytest.mark.parametrize(
    "name", ["replay:", "replay:#0", "replay:/d", "replay:/d#", "replay:/d#-1"]
)
def test_a_name_without_an_episode_is_refused(name: str) -> None:
    with pytest.raises(PolicyError, match="no episode"):
        ReplayPolicy.open(name, contract())


def test_a_folder_without_a_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such file"):
        ReplayPolicy.open(f"replay:{tmp_path}#0", contract())
