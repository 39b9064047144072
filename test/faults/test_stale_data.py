"""P2: joint states and images that stop, or whose stamps are wrong, hold the robot."""

from __future__ import annotations

import signal

import pytest
from sensor_msgs.msg import JointState
from vla_system_tests.commands import check_limits
from vla_system_tests.stand_in_robot import StandInRobot
from vla_system_tests.system import POLICY, SMALL_ROBOT, System

from vla_core.contract import load_contract

CONTRACT = load_contract(SMALL_ROBOT)
HOUR_S = 3600.0


def _check_latched_until_resume(system: System) -> None:
    """With sound data again, nothing moves before ~/resume."""
    since = len(system.commanded)
    system.wait_ticks(50)
    assert (len(system.commanded), system.state()) == (since, "LATCHED")
    since = len(system.status)
    system.resume()
    system.wait_state("RUNNING", since=since)
    assert check_limits(CONTRACT, system) > 0


def test_P2_a_stopped_robot_driver_holds_then_latches_until_resume(system: System) -> None:
    driver, _, _ = system.start_swaying_robot()
    since = len(system.status)
    driver.signal(signal.SIGSTOP)
    system.wait_state("HOLDING", since=since, cause="measured joints")
    system.wait_state("LATCHED", since=since)
    driver.signal(signal.SIGCONT)
    measured = system.watch("/joint_states", JointState)
    system.wait(lambda: len(measured) > 20, "joint states again")
    _check_latched_until_resume(system)


@pytest.fixture
def swaying(system: System, robot: StandInRobot) -> StandInRobot:
    """The stand-in robot, moved by executor and policy."""
    system.start_executor()
    system.start_faulty_policy("sway")
    system.wait_commands(20)
    return robot


def test_P2_a_camera_that_stops_makes_the_policy_withdraw(
    system: System, swaying: StandInRobot
) -> None:
    since, chunks = len(system.status), len(system.chunks)
    swaying.silent.add("wrist_rgb")
    system.wait_state("HOLDING", since=since, cause="waiting for an action chunk")
    system.wait_state("LATCHED", since=since)
    assert any(not chunk.points for chunk in system.chunks.messages[chunks:])
    assert system.wait_counter(POLICY, "went_stale") >= 1
    swaying.silent.clear()
    chunks = len(system.chunks)
    system.wait(lambda: len(system.chunks) > chunks + 3, "chunks again")
    _check_latched_until_resume(system)


@pytest.mark.parametrize("offset_s", [HOUR_S, -HOUR_S])
@pytest.mark.parametrize("source", ["arm", "base_rgb"])
def test_P2_a_clock_an_hour_off_holds_then_latches_until_resume(
    system: System, swaying: StandInRobot, source: str, offset_s: float
) -> None:
    since = len(system.status)
    swaying.offsets_s[source] = offset_s
    system.wait_state("HOLDING", since=since)
    system.wait_state("LATCHED", since=since)
    swaying.offsets_s.clear()
    chunks = len(system.chunks)
    system.wait(
        lambda: any(chunk.points for chunk in system.chunks.messages[chunks:]), "chunks again"
    )
    _check_latched_until_resume(system)
