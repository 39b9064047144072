"""Action chunks: mapped by name, indexed by time, refused when malformed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from vla_core.chunk import MAX_STEPS, ActionChunk, decode_chunk, encode_chunk
from vla_core.errors import ChunkError

NAMES = ("waist", "elbow", "gripper")
T = 1_700_000_000_123_456_789
STEP = 20_000_000


@dataclass
class FakePoint:
    positions: Any = ()
    time_from_start: Any = field(default_factory=lambda: SimpleNamespace(sec=0, nanosec=0))


@dataclass
class FakeTrajectory:
    header: Any = field(default_factory=lambda: SimpleNamespace(stamp=SimpleNamespace()))
    joint_names: list[str] = field(default_factory=list)
    points: list[Any] = field(default_factory=list)


KINDS = {"rclpy": (JointTrajectory, JointTrajectoryPoint), "plain": (FakeTrajectory, FakePoint)}


def chunk(steps: int = 4, step_ns: int = STEP) -> ActionChunk:
    actions = np.arange(steps * 3, dtype=np.float64).reshape(steps, 3) / 7
    return ActionChunk(stamp_ns=T, step_ns=step_ns, actions=actions)


def message(kind: str = "rclpy", steps: int = 4) -> Any:
    trajectory, point = KINDS[kind]
    return encode_chunk(chunk(steps), NAMES, trajectory(), point)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step_ns", [STEP, 33_333_333, 1, 7_000_000_001])
@pytest.mark.parametrize("steps", [2, 3, 50])
def test_a_chunk_survives_the_round_trip(kind: str, step_ns: int, steps: int) -> None:
    trajectory, point = KINDS[kind]
    sent = chunk(steps, step_ns)
    encoded = encode_chunk(sent, NAMES, trajectory(), point)
    if kind == "rclpy":
        encoded = deserialize_message(serialize_message(encoded), JointTrajectory)
    found = decode_chunk(encoded, NAMES)
    assert found is not None
    assert (found.stamp_ns, found.step_ns) == (sent.stamp_ns, sent.step_ns)
    np.testing.assert_array_equal(found.actions, sent.actions)


@settings(deadline=None)
@given(st.permutations(NAMES))
def test_joints_are_mapped_by_name(order: list[str]) -> None:
    columns = [NAMES.index(name) for name in order]
    shuffled = ActionChunk(stamp_ns=T, step_ns=STEP, actions=chunk().actions[:, columns])
    sent = encode_chunk(shuffled, order, JointTrajectory(), JointTrajectoryPoint)
    found = decode_chunk(sent, NAMES)
    assert found is not None
    np.testing.assert_array_equal(found.actions, chunk().actions)


def test_no_points_withdraw() -> None:
    assert decode_chunk(JointTrajectory(), NAMES) is None


def put_time(sent: Any, step: int, ns: int) -> None:
    after = sent.points[step].time_from_start
    after.sec, after.nanosec = divmod(ns, 10**9)


def put_value(sent: Any, value: float) -> None:
    sent.points[2].positions[1] = value


MALFORMED: dict[str, tuple[Callable[[Any], object], str]] = {
    "no names": (lambda m: setattr(m, "joint_names", []), "joints are not those"),
    "a name missing": (lambda m: m.joint_names.pop(), "joints are not those"),
    "a name too many": (lambda m: m.joint_names.append("x"), "joints are not those"),
    "a name twice": (lambda m: m.joint_names.__setitem__(0, "elbow"), "joints are not those"),
    "another name": (lambda m: m.joint_names.__setitem__(0, "wrist"), "joints are not those"),
    "a point without values": (lambda m: setattr(m.points[1], "positions", []), "wrong number"),
    "a value too many": (lambda m: m.points[1].positions.append(0.0), "wrong number"),
    "all points short": (lambda m: [p.positions.pop() for p in m.points], "wrong number"),
    "nan": (lambda m: put_value(m, np.nan), "not a finite number; where: action 2, elbow"),
    "inf": (lambda m: put_value(m, np.inf), "not a finite number"),
    "-inf": (lambda m: put_value(m, -np.inf), "not a finite number"),
    "one point": (lambda m: m.points.__delitem__(slice(1, None)), "single action"),
    "late start": (lambda m: [put_time(m, k, STEP * (k + 1)) for k in range(4)], "even grid"),
    "negative start": (lambda m: put_time(m, 0, -1), "even grid"),
    "times missing": (lambda m: [put_time(m, k, 0) for k in range(4)], "even grid"),
    "times backwards": (lambda m: put_time(m, 2, 1), "even grid"),
    "uneven times": (lambda m: put_time(m, 3, STEP * 3 + 2000), "even grid"),
    "far too many": (lambda m: m.points.extend([m.points[0]] * MAX_STEPS), "too many actions"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MALFORMED)
def test_p1_a_malformed_chunk_is_refused(kind: str, name: str) -> None:
    change, what = MALFORMED[name]
    sent = message(kind)
    change(sent)
    with pytest.raises(ChunkError, match=what):
        decode_chunk(sent, NAMES)


def test_times_may_be_off_by_rounding() -> None:
    sent = message()
    put_time(sent, 2, STEP * 2 + 400)
    found = decode_chunk(sent, NAMES)
    assert found is not None
    assert found.step_ns == STEP


def test_a_hostile_name_makes_no_second_line_in_the_log() -> None:
    sent = message()
    sent.joint_names[0] = "x\n[INFO] all is well"
    with pytest.raises(ChunkError) as caught:
        decode_chunk(sent, NAMES)
    assert "\n" not in str(caught.value)


def test_the_longest_chunk_is_read() -> None:
    found = decode_chunk(message(steps=MAX_STEPS), NAMES)
    assert found is not None
    assert found.end_ns == T + MAX_STEPS * STEP


def test_a_chunk_covers_its_time_and_no_more() -> None:
    made = chunk()
    assert made.end_ns == T + 4 * STEP
    covered = [made.covers(t_ns) for t_ns in (T - 1, T, made.end_ns - 1, made.end_ns)]
    assert covered == [False, True, True, False]


def test_between_actions_values_are_linear_and_the_last_one_holds() -> None:
    made, stepped = chunk(), np.array([False, False, True])
    target = made.at(T + STEP + STEP // 4, stepped)
    now, following = made.actions[1], made.actions[2]
    np.testing.assert_allclose(target.position[:2], (now + (following - now) / 4)[:2])
    np.testing.assert_allclose(target.velocity[:2], ((following - now) / 0.02)[:2])
    assert (target.position[2], target.velocity[2]) == (now[2], 0.0)  # a gripper steps
    last = made.at(made.end_ns - 1, stepped)
    np.testing.assert_array_equal(last.position, made.actions[3])
    np.testing.assert_array_equal(last.velocity, 0)
