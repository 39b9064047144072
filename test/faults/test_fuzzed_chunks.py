"""P1: thousands of hostile chunks through the running executor; what it publishes is judged."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from trajectory_msgs.msg import JointTrajectory
from vla_system_tests.commands import check_limits
from vla_system_tests.figures import LONG, Record
from vla_system_tests.stand_in_robot import StandInRobot, shift_stamp
from vla_system_tests.system import EXECUTOR, System

CHUNKS = 10_000 if LONG else 1_500
PER_SECOND = 200.0  # ten times as many as a policy at the control rate of actions would send
ABSURD = (np.nan, np.inf, -np.inf, 1e308, -1e300, 1e9, -1e-300, 3.0)

Change = Callable[[np.random.Generator, JointTrajectory], object]


def _absurd_value(rng: np.random.Generator, chunk: JointTrajectory) -> None:
    point = chunk.points[rng.integers(len(chunk.points))]
    if point.positions:  # _cut may have taken them all
        point.positions[rng.integers(len(point.positions))] = float(rng.choice(ABSURD))


def _far(rng: np.random.Generator, chunk: JointTrajectory) -> None:
    for point in chunk.points[rng.integers(len(chunk.points)) :]:
        if point.positions:
            point.positions[rng.integers(len(point.positions))] += float(rng.normal(0, 1))


def _due(rng: np.random.Generator, chunk: JointTrajectory) -> None:
    after = chunk.points[rng.integers(len(chunk.points))].time_from_start
    after.sec, after.nanosec = int(rng.integers(-(2**31), 2**31)), int(rng.integers(2**32))


def _cut(rng: np.random.Generator, chunk: JointTrajectory) -> None:
    point = chunk.points[rng.integers(len(chunk.points))]
    point.positions = point.positions[: rng.integers(len(point.positions) + 1)]


HOSTILE: list[Change] = [
    _absurd_value,
    _far,
    _due,
    _cut,
    lambda rng, chunk: shift_stamp(chunk, float(rng.choice([-3600, -1, -0.3, 0.004, 0.1, 3600]))),
    lambda rng, chunk: rng.shuffle(chunk.joint_names),
    lambda rng, chunk: chunk.joint_names.pop(),
    lambda rng, chunk: chunk.points.reverse(),
    lambda rng, chunk: chunk.points.__delitem__(slice(int(rng.integers(3)), None)),
    lambda rng, chunk: chunk.points.__imul__(int(rng.integers(2, 40))),
]


def hostile(rng: np.random.Generator, robot: StandInRobot) -> JointTrajectory:
    """Half of them well made, and mostly too fast; the others with one or two things wrong."""
    size = len(robot.contract.action_names)
    chunk = robot.chunk(points=int(rng.integers(2, 40)))
    walk = rng.normal(0, rng.choice([0.001, 0.01, 0.1]), (len(chunk.points), size))
    walk[0] = rng.normal(0, rng.choice([0, 0.05, 0.3]), size)
    for point, offset in zip(chunk.points, np.cumsum(walk, axis=0), strict=True):
        point.positions = (np.array(point.positions) + offset).tolist()
    if rng.random() < 0.5:
        for index in rng.integers(len(HOSTILE), size=rng.integers(1, 3)):
            if chunk.points:
                HOSTILE[index](rng, chunk)
    return chunk


@pytest.mark.timeout(120 + CHUNKS / 20)
def test_P1_no_fuzzed_chunk_makes_the_running_executor_leave_the_limits(
    system: System, robot: StandInRobot, record_testsuite_property: Record
) -> None:
    rng = np.random.default_rng(7)
    executor = system.start_executor()
    system.wait_state("HOLDING", cause="waiting for an action chunk")
    system.wait_counter(EXECUTOR, "ticks")
    while (received := system.counter(EXECUTOR, "chunks_received")) < CHUNKS:
        for _ in range(round(PER_SECOND / 10)):
            robot.send(hostile(rng, robot))
            time.sleep(1 / PER_SECOND)  # a queue of one: faster ones would replace each other
        if system.state() == "LATCHED":
            system.resume()
    counts = {key: int(value) for key, value in system.facts(EXECUTOR).items() if value.isdigit()}
    refused = counts["chunks_refused"]
    checked = check_limits(robot.contract, system)
    assert executor.is_running()
    assert counts.get("internal_errors", 0) == 0, executor
    assert counts["commands_limited"] > CHUNKS / 50, counts
    assert received / 10 < refused < received * 0.9, counts  # else this test cannot fail
    assert sum(key.startswith("refused: ") for key in counts) >= 8, counts
    text = f"{received} received, {refused} refused, {checked} commands checked, none beyond"
    record_testsuite_property("P1 fuzzed chunks through the running executor", text)
    print(text, counts)
