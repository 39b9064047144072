"""P4: a policy that fails in any way never takes the executor down, and nothing moves unasked."""

from __future__ import annotations

import signal

import pytest
from sensor_msgs.msg import JointState
from vla_system_tests.commands import check_limits, is_silent, positions
from vla_system_tests.motion import stamp_s
from vla_system_tests.system import EXECUTOR, POLICY, SMALL_ROBOT, System

from vla_core.contract import load_contract

CONTRACT = load_contract(SMALL_ROBOT)
# By prompt: the node that counts the fault, and under which name.
COUNTED = {
    "raise": (POLICY, "errors"),
    "memory": (POLICY, "errors"),
    "nan": (EXECUTOR, "refused: not a finite number"),
    "short": (EXECUTOR, "refused: wrong number of values in a point"),
    "slow": (EXECUTOR, "refused: a chunk that has already ended"),
}


def test_P4_after_kill_9_the_chunk_runs_to_its_end_then_holds_then_latches(system: System) -> None:
    _, executor, policy = system.start_swaying_robot()
    since = len(system.status)
    policy.signal(signal.SIGKILL)
    policy.wait()
    holding = system.wait_state("HOLDING", since=since, cause="the action chunk has ended")
    system.wait_state("LATCHED", since=holding)
    assert executor.is_running()
    last = [chunk for chunk in system.chunks.messages if chunk.points][-1]
    end_s = stamp_s(last) + len(last.points) / CONTRACT.policy_rate_hz
    executed = [stamp_s(m) for m in system.commanded.messages if stamp_s(m) < end_s]
    assert end_s - max(executed) < 0.5
    assert is_silent(system)
    assert check_limits(CONTRACT, system) > 0


def test_P4_P12_a_new_policy_waits_for_resume_and_continues_from_the_measured_pose(
    system: System,
) -> None:
    _, _, policy = system.start_swaying_robot()
    measured = system.watch("/joint_states", JointState)
    policy.signal(signal.SIGKILL)
    system.wait_state("LATCHED")
    policy.wait()
    chunks = len(system.chunks)
    system.start_faulty_policy("sway")
    system.wait(
        lambda: sum(len(c.points) > 0 for c in system.chunks.messages[chunks:]) > 3, "new chunks"
    )
    assert is_silent(system)
    assert system.state() == "LATCHED"

    pose = list(measured.messages[-1].position)
    since = len(system.commanded)
    system.resume()
    system.wait_commands(50)
    first = positions(system.commanded, since)[0][: len(pose)]
    assert abs(first - pose).max() < 0.005
    assert check_limits(CONTRACT, system, since) > 0


@pytest.mark.parametrize("fault", COUNTED)
def test_P4_a_failing_policy_is_counted_and_the_robot_stops_until_resume(
    system: System, fault: str
) -> None:
    _, executor, policy = system.start_swaying_robot()
    since = len(system.status)
    system.prompt(fault)
    system.wait_counter(*COUNTED[fault])
    system.wait_state("LATCHED", since=since)
    assert executor.is_running()
    assert policy.is_running()
    assert is_silent(system)
    system.prompt("sway")
    chunks = len(system.chunks)
    system.wait(lambda: len(system.chunks) > chunks + 3, "sound chunks")
    assert is_silent(system)
    assert check_limits(CONTRACT, system) > 0
    since = len(system.status)
    system.resume()
    system.wait_state("RUNNING", since=since)


def test_P4_a_policy_that_eats_all_memory_stops_the_robot_and_nothing_else(
    system: System,
) -> None:
    """It may live on without memory, or die of it: both happen."""
    _, executor, policy = system.start_swaying_robot()
    since = len(system.status)
    system.prompt("eat")
    system.wait_state("LATCHED", since=since)
    system.wait(
        lambda: not policy.is_running() or "MemoryError" in policy.output, "no memory is left"
    )
    assert executor.is_running()
    assert is_silent(system)
    assert check_limits(CONTRACT, system) > 0


def test_P4_a_hanging_policy_stops_the_robot_and_can_still_be_ended(system: System) -> None:
    _, executor, policy = system.start_swaying_robot()
    since = len(system.status)
    system.prompt("hang")
    system.wait_state("LATCHED", since=since)
    system.wait(lambda: float(system.facts(POLICY)["busy_for_s"]) > 1, "busy_for_s > 1")
    assert executor.is_running()
    policy.signal(signal.SIGINT)
    assert policy.wait() == 0
