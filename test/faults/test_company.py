"""A second stream of commands on one robot, and a terminal that is closed in motion."""

from __future__ import annotations

import signal

from std_msgs.msg import Float64MultiArray
from vla_system_tests.commands import check_limits
from vla_system_tests.system import SMALL_ROBOT, System

from vla_core.contract import load_contract

CONTRACT = load_contract(SMALL_ROBOT)


def test_a_second_publisher_on_a_command_topic_latches_a_stop(system: System) -> None:
    system.start_swaying_robot()
    rogue = system.node.create_publisher(Float64MultiArray, CONTRACT.action[0].topic, 1)
    index = system.wait_state("LATCHED", cause="more than one publisher")
    assert "watcher" in str(system.status.messages[index])
    check_limits(CONTRACT, system)
    system.node.destroy_publisher(rogue)


def test_a_closed_terminal_stops_the_executor_in_order(system: System) -> None:
    _, executor, _ = system.start_swaying_robot()
    executor.signal(signal.SIGHUP)
    assert executor.wait() == 0, executor
    system.wait_state("INACTIVE", cause="deactivated")
    check_limits(CONTRACT, system)
