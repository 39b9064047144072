"""How a launch ends: by signals, and by the death of its nodes (promise P6)."""

from __future__ import annotations

import os
import signal

import pytest
from vla_system_tests.processes import Process, wait_until_dead
from vla_system_tests.system import EXECUTOR, MANAGER, POLICY, SMALL_ROBOT, System


@pytest.fixture
def launch(system: System) -> Process:
    started = system.launch(
        "ur5.launch.py", checkpoint="hold:", contract=SMALL_ROBOT, prompt="wave", sim="true"
    )
    system.wait_state("RUNNING")
    system.wait(lambda: len(system.commanded) > 10, "commands")
    return started


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_every_process_after_the_robot_is_at_rest(
    system: System, launch: Process, number: signal.Signals
) -> None:
    family = launch.session()
    launch.signal(number)
    assert launch.wait() == (0 if number is signal.SIGINT else 1), launch
    assert not wait_until_dead(family)
    system.wait_state("INACTIVE", cause="deactivated")
    assert "Traceback" not in launch.output
    assert "process has died" not in launch.output, launch


@pytest.mark.parametrize("node", [EXECUTOR, MANAGER, "fake_robot"])
def test_P6_the_death_of_executor_manager_or_robot_ends_the_launch_with_an_error(
    launch: Process, node: str
) -> None:
    family = launch.session()
    os.kill(launch.child(node), signal.SIGKILL)
    assert launch.wait() == 1, launch
    assert not wait_until_dead(family)
    assert "process has died" in launch.output
    assert "exit code -9" in launch.output


def test_P6_the_death_of_the_policy_is_told_with_what_to_do(
    system: System, launch: Process
) -> None:
    os.kill(launch.child(POLICY), signal.SIGKILL)
    system.wait_output(launch, "The policy is gone.")
    assert "Restart 1 of 2 follows; then call ~/resume" in launch.output
    system.wait_state("LATCHED")
    assert launch.is_running()


@pytest.mark.parametrize("node", [EXECUTOR, POLICY])
def test_a_node_that_was_shut_down_by_its_lifecycle_ends_in_order(
    system: System, node: str
) -> None:
    process = system.start_node("vla_policy", node)
    system.start("ros2", "lifecycle", "set", f"/{node}", "shutdown").wait()
    system.wait_output(process, "shutdown: done")
    process.signal(signal.SIGINT)
    assert process.wait() == 0, process
    assert "Traceback" not in process.output


def test_a_policy_that_is_configured_again_answers_again(system: System) -> None:
    system.start_fake_robot()
    system.start_executor()
    process = system.start_faulty_policy("sway")
    system.wait_commands(5)
    for step in ("deactivate", "cleanup", "configure", "activate"):
        assert system.start("ros2", "lifecycle", "set", f"/{POLICY}", step).wait() == 0, process
    since = len(system.chunks)
    system.wait(
        lambda: any(chunk.points for chunk in system.chunks.messages[since:]), "chunks again"
    )
    assert "Traceback" not in process.output
