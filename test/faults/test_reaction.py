"""P3: from fault to safe command. Figures go into the test report; only the order is asserted."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from vla_system_tests.stand_in_robot import StandInRobot
from vla_system_tests.system import System

REPEATS = 15


def _report(record: Callable[[str, object], None], name: str, seconds: list[float]) -> None:
    p50, worst = (float(np.percentile(seconds, q)) * 1e3 for q in (50, 100))
    record(name, f"p50 {p50:.1f} ms, worst {worst:.1f} ms of {len(seconds)}")
    print(f"{name}: p50 {p50:.1f} ms, worst {worst:.1f} ms of {len(seconds)}")


def test_P3_a_withdrawn_chunk_is_answered_by_holding(
    system: System, robot: StandInRobot, record_testsuite_property: Callable[[str, object], None]
) -> None:
    system.start_executor()
    system.wait_state("HOLDING", cause="waiting for an action chunk")
    seconds = []
    for _ in range(REPEATS):
        since = len(system.status)
        robot.send(robot.chunk(step=0.0))
        running = system.wait_state("RUNNING", since=since)
        began_s = time.monotonic()
        robot.send(robot.chunk(points=0))
        holding = system.wait_state("HOLDING", since=running, cause="waiting for an action chunk")
        seconds.append(system.status.times_s[holding] - began_s)
        system.resume()  # so that the holds do not add up to a latch
    _report(record_testsuite_property, "P3 withdrawal to hold", seconds)


def test_P3_joints_older_than_allowed_are_answered_by_holding(
    system: System, robot: StandInRobot, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """Counted from the moment when the last joint state became too old."""
    system.start_executor()
    system.wait_state("HOLDING", cause="waiting for an action chunk")
    allowed_s = {stream.name: stream.max_age_s for stream in robot.contract.streams}["arm"]
    seconds = []
    for _ in range(REPEATS):
        since = len(system.status)
        robot.send(robot.chunk(step=0.0))
        running = system.wait_state("RUNNING", since=since)
        robot.silent.add("arm")
        silent_s = time.monotonic()
        holding = system.wait_state("HOLDING", since=running, cause="measured joints")
        seconds.append(system.status.times_s[holding] - silent_s - allowed_s)
        system.resume()
        robot.silent.clear()
        system.wait_state("HOLDING", since=holding, cause="waiting for an action chunk")
    _report(record_testsuite_property, "P3 stale joints to hold", seconds)
