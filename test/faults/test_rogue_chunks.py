"""P1, P12: a publisher of bad chunks in the policy's place moves nothing that it should not."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from trajectory_msgs.msg import JointTrajectory
from vla_system_tests.commands import check_limits, positions
from vla_system_tests.figures import Record, record_times
from vla_system_tests.motion import stamp_s
from vla_system_tests.stand_in_robot import StandInRobot, shift_stamp
from vla_system_tests.system import EXECUTOR, SMALL_ROBOT, System

from vla_core.contract import load_contract

CONTRACT = load_contract(SMALL_ROBOT)
BURST = 300
Fault = Callable[[JointTrajectory], object]


def _uneven(chunk: JointTrajectory) -> None:
    chunk.points[5].time_from_start.nanosec += 1_000_000


def _cut(chunk: JointTrajectory) -> None:
    for point in chunk.points:
        point.positions = point.positions[:-1]


def _missing_joint(chunk: JointTrajectory) -> None:
    chunk.joint_names.pop()
    _cut(chunk)


def _twice(chunk: JointTrajectory) -> None:
    chunk.joint_names[1] = chunk.joint_names[0]


def _standing_time(chunk: JointTrajectory) -> None:
    for point in chunk.points:
        point.time_from_start = chunk.points[0].time_from_start


def _backwards(chunk: JointTrajectory) -> None:
    times = [point.time_from_start for point in chunk.points]
    for point, time_from_start in zip(chunk.points, reversed(times), strict=True):
        point.time_from_start = time_from_start


def _too_many(chunk: JointTrajectory) -> None:
    chunk.points *= 26  # of 40


def _too_large(chunk: JointTrajectory) -> None:
    chunk.joint_names[0] = "x" * 300_000


def _half_rate(chunk: JointTrajectory) -> None:
    for point in chunk.points:
        due_ns = 2 * (point.time_from_start.sec * 10**9 + point.time_from_start.nanosec)
        point.time_from_start.sec, point.time_from_start.nanosec = divmod(due_ns, 10**9)


def _set(step: int, value: float) -> Fault:
    def fault(chunk: JointTrajectory) -> None:
        chunk.points[step].positions[1] = value

    return fault


# Name: (fault, what the counter on /diagnostics says)
REFUSED: dict[str, tuple[Fault, str]] = {
    "nan": (_set(7, math.nan), "not a finite number"),
    "infinite": (_set(7, -math.inf), "not a finite number"),
    "other joints": (
        lambda chunk: chunk.joint_names.__setitem__(0, "elbow"),
        "the joints are not those of the contract",
    ),
    "too few values": (_cut, "wrong number of values in a point"),
    "first action far": (
        _set(0, 0.5),
        "the first action is too far from the measured pose",
    ),
    "from the future": (lambda chunk: shift_stamp(chunk, 3600), "a chunk from the future"),
    "from the past": (lambda chunk: shift_stamp(chunk, -3600), "a chunk that has already ended"),
    "uneven times": (_uneven, "the times of the actions are not an even grid from zero"),
    "a single point": (
        lambda chunk: chunk.points.__delitem__(slice(1, None)),
        "a single action has no step",
    ),
    "a missing joint": (_missing_joint, "the joints are not those of the contract"),
    "a joint twice": (_twice, "the joints are not those of the contract"),
    "times that stand still": (
        _standing_time,
        "the times of the actions are not an even grid from zero",
    ),
    "times backwards": (_backwards, "the times of the actions are not an even grid from zero"),
    "another rate": (_half_rate, "the time between two actions is not the contract's"),
    "too many actions": (_too_many, "too many actions"),
    "a huge message": (_too_large, "the message is too large"),
}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One executor for all tests of this file."""
    with System(tmp_path_factory.mktemp("log")) as running:
        running.start_executor()
        yield running


@pytest.fixture(scope="module")
def robot(system: System) -> StandInRobot:
    return StandInRobot(system)


@pytest.fixture
def ready(system: System, robot: StandInRobot) -> StandInRobot:
    """The stand-in robot at zero, and an executor that waits for its first chunk."""
    system.wait_state("HOLDING", cause="waiting for an action chunk")
    with system.executor_restarted():
        robot.pose = dict.fromkeys(robot.pose, 0.0)
    system.wait_state("HOLDING", cause="waiting for an action chunk")
    return robot


@pytest.mark.parametrize("name", REFUSED)
def test_P1_P12_a_bad_chunk_is_refused_counted_and_what_runs_goes_on(
    system: System, ready: StandInRobot, name: str
) -> None:
    fault, what = REFUSED[name]
    bad = ready.chunk()
    fault(bad)
    ready.send(bad)
    assert system.wait_counter(EXECUTOR, f"refused: {what}") == 1
    assert len(system.commanded) == 0

    ready.send(ready.chunk(points=15))
    running = system.wait_state("RUNNING")
    bad = ready.chunk()
    fault(bad)
    ready.send(bad)
    system.wait_state("HOLDING", since=running, cause="the action chunk has ended")
    assert system.wait_counter(EXECUTOR, f"refused: {what}", 2) == 2
    assert system.counter(EXECUTOR, "chunks_received") == 3
    last = positions(system.commanded)[-1]
    assert last[0] == pytest.approx(0.14, abs=0.03), "the sound chunk's 14 steps of 0.01"
    np.testing.assert_allclose(last[1:], 0, atol=1e-9)
    assert check_limits(CONTRACT, system) > 0


def test_P1_chunks_out_of_order_are_refused_and_the_newest_goes_on(
    system: System, ready: StandInRobot
) -> None:
    early, late = ready.chunk(step=-0.01), ready.chunk()
    shift_stamp(early, -0.2)
    ready.send(late)
    running = system.wait_state("RUNNING")
    ready.send(early)
    ready.send(late)
    system.wait_counter(EXECUTOR, "refused: a chunk older than the one in use")
    system.wait_counter(EXECUTOR, "refused: a chunk of this observation was taken already")
    system.wait_state("HOLDING", since=running, cause="the action chunk has ended")
    assert positions(system.commanded)[-1, 0] == pytest.approx(0.39, abs=0.1)
    assert check_limits(CONTRACT, system) > 0


def test_P1_joints_in_another_order_are_mapped_by_name(
    system: System, ready: StandInRobot
) -> None:
    chunk = ready.chunk()
    chunk.joint_names.reverse()
    for point in chunk.points:
        point.positions.reverse()
    ready.send(chunk)
    running = system.wait_state("RUNNING")
    system.wait_state("HOLDING", since=running, cause="the action chunk has ended")
    last = positions(system.commanded)[-1]
    assert last[0] == pytest.approx(0.39, abs=0.1)
    np.testing.assert_allclose(last[1:], 0, atol=1e-9)


def test_P5_a_burst_of_chunks_delays_no_command(
    system: System, ready: StandInRobot, record_testsuite_property: Record
) -> None:
    ready.send(ready.chunk())
    system.wait_commands(10)
    since = len(system.commanded)
    began_s = time.monotonic()
    for _ in range(BURST):
        ready.send(ready.chunk())
    lasted_s = time.monotonic() - began_s
    system.wait_commands(10)
    assert system.state() == "RUNNING"
    gaps = np.diff([stamp_s(m) for m in system.commanded.messages[since:]])
    assert gaps.min() > 0.25 / CONTRACT.control_rate_hz
    assert len(gaps) >= 0.8 * CONTRACT.control_rate_hz * lasted_s
    rate_hz = BURST / lasted_s
    record_times(
        record_testsuite_property, f"P5 {rate_hz:.0f} chunks/s, from command to command", gaps, {}
    )
    assert check_limits(CONTRACT, system) > 0


def test_P1_a_chunk_without_points_withdraws_and_holds(
    system: System, ready: StandInRobot
) -> None:
    ready.send(ready.chunk())
    running = system.wait_state("RUNNING")
    ready.send(ready.chunk(points=0))
    system.wait_state("HOLDING", since=running, cause="waiting for an action chunk")
    assert system.wait_counter(EXECUTOR, "chunks_withdrawn") == 1


@pytest.mark.parametrize(("first", "step"), [(0.39, 0.05), (-0.39, 0.3), (0.0, -0.7)])
def test_P1_a_fast_chunk_within_the_start_offset_is_limited(
    system: System, ready: StandInRobot, first: float, step: float
) -> None:
    ready.send(ready.chunk(first=first, step=step))
    system.wait_state("RUNNING")
    system.wait_state("LATCHED")
    assert system.wait_counter(EXECUTOR, "commands_limited") > 0
    assert check_limits(CONTRACT, system) > 3


def test_P1_a_huge_action_latches_a_stop(system: System, ready: StandInRobot) -> None:
    chunk = ready.chunk()
    chunk.points[10].positions[2] = 1e300
    ready.send(chunk)
    system.wait_state("LATCHED", cause="far from the last one: elbow_joint")
    assert check_limits(CONTRACT, system) > 0


def test_P12_the_first_command_continues_from_the_measured_pose(
    system: System, ready: StandInRobot
) -> None:
    ready.pose["shoulder_pan_joint"] = 0.3
    since = system.wait_counter(EXECUTOR, "received/arm")
    system.wait_counter(EXECUTOR, "received/arm", since + 10)
    ready.send(ready.chunk(first=0.3))
    system.wait_commands(30)
    commands = positions(system.commanded)
    assert abs(commands[0, 0] - 0.3) < 0.005
    assert commands[-1, 0] > 0.35
    assert check_limits(CONTRACT, system) > 0
