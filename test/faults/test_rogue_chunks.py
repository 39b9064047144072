"""P1, P12: a publisher of bad chunks in the policy's place moves nothing that it should not."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from trajectory_msgs.msg import JointTrajectory
from vla_system_tests.commands import check_limits, positions
from vla_system_tests.stand_in_robot import StandInRobot, shift_stamp
from vla_system_tests.system import EXECUTOR, SMALL_ROBOT, System

from vla_core.contract import load_contract

CONTRACT = load_contract(SMALL_ROBOT)
Fault = Callable[[JointTrajectory], object]


def _uneven(chunk: JointTrajectory) -> None:
    chunk.points[5].time_from_start.nanosec += 1_000_000


def _cut(chunk: JointTrajectory) -> None:
    for point in chunk.points:
        point.positions = point.positions[:-1]


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
}


@pytest.fixture
def ready(system: System, robot: StandInRobot) -> StandInRobot:
    """The stand-in robot and an executor that waits for its first chunk."""
    system.start_executor()
    system.wait_state("HOLDING", cause="waiting for an action chunk")
    system.wait(lambda: system.node.count_publishers("/executor_node/commanded"), "~/commanded")
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

    ready.send(ready.chunk())
    running = system.wait_state("RUNNING")
    bad = ready.chunk()
    fault(bad)
    ready.send(bad)
    system.wait_state("HOLDING", since=running, cause="the action chunk has ended")
    assert system.wait_counter(EXECUTOR, f"refused: {what}", 2) == 2
    assert system.counter(EXECUTOR, "chunks_received") == 3
    last = positions(system.commanded)[-1]
    assert last[0] == pytest.approx(0.39, abs=0.1), "the sound chunk's 39 steps of 0.01"
    np.testing.assert_allclose(last[1:], 0, atol=1e-9)
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
