"""P2: the robot's driver is stopped in motion; it comes back, and nothing moves by itself."""

from __future__ import annotations

import itertools
import signal

from sensor_msgs.msg import JointState
from vla_system_tests.commands import check_latched_until_resume
from vla_system_tests.figures import Record
from vla_system_tests.motion import stamp_s
from vla_system_tests.system import SMALL_ROBOT, System

from vla_core.contract import load_contract

CONTRACT = load_contract(SMALL_ROBOT)


def test_P2_a_stopped_robot_driver_holds_then_latches_until_resume(
    system: System, record_testsuite_property: Record
) -> None:
    driver, _, _ = system.start_swaying_robot()
    measured = system.watch("/joint_states", JointState)
    system.wait(lambda: len(measured) > 20, "joint states")
    since = len(system.status)
    driver.signal(signal.SIGSTOP)
    system.wait_state("RAMPING", since=since, cause="measured joints")
    system.wait_state("LATCHED", since=since)
    stale_s = stamp_s(measured.messages[-1]) + CONTRACT.streams[0].max_age_s
    moved_s = max(
        stamp_s(after)
        for before, after in itertools.pairwise(system.commanded.messages)
        if after.position != before.position
    )
    record_testsuite_property(
        "P2 SIGSTOP of the driver: at rest after the age limit",
        f"{(moved_s - stale_s) * 1e3:.0f} ms",
    )
    driver.signal(signal.SIGCONT)
    before = len(measured)
    system.wait(lambda: len(measured) > before + 20, "joint states again")
    check_latched_until_resume(system, CONTRACT)
