"""People in front of the robot: deadman, takeover, speed, and stops that are asked for early."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Joy
from std_msgs.msg import Empty, Float32, Float64MultiArray
from std_srvs.srv import Trigger
from vla_system_tests.commands import check_limits
from vla_system_tests.system import EXECUTOR, SMALL_ROBOT, System

from vla_core.contract import load_contract

PEOPLE = """
  deadman: {topic: /joy, type: sensor_msgs/msg/Joy, field: "buttons[1]", max_age_s: 0.5}
  takeover: {topic: /teleop, type: std_msgs/msg/Empty, max_age_s: 0.5}
"""


class Repeated:
    """Publishes one message at 20 Hz, as a joystick does, until it is silenced."""

    def __init__(self, system: System, topic: str, message: Any) -> None:
        self.message = message
        self._publisher = system.node.create_publisher(type(message), topic, 1)
        self._timer = system.node.create_timer(0.05, self._publish)

    def _publish(self) -> None:
        self._publisher.publish(self.message)

    def silence(self) -> None:
        self._timer.cancel()


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    path = tmp_path / "people.yaml"
    path.write_text(SMALL_ROBOT.read_text().rstrip() + PEOPLE)
    load_contract(path)
    return path


def start(system: System, contract: Path) -> None:
    system.start_fake_robot()
    parameters = {"contract": contract, "autostart": True}
    system.start_node("vla_policy", EXECUTOR, **parameters)
    system.start_faulty_policy("sway")


def test_P6_nothing_moves_without_the_deadman_and_a_silent_one_latches(
    system: System, contract: Path
) -> None:
    start(system, contract)
    system.wait_state("HOLDING", cause="the deadman is silent")
    joystick = Repeated(system, "/joy", Joy(buttons=[0, 0]))
    system.wait_state("HOLDING", cause="the deadman is not pressed")
    system.wait_counter(EXECUTOR, "chunks_not_wanted", 2)
    assert len(system.commanded) == 0
    joystick.message = Joy(buttons=[0, 1])
    running = system.wait_state("RUNNING")
    system.wait_commands(20)
    joystick.message = Joy(buttons=[1])  # a joystick without this button
    released = system.wait_state("RAMPING", since=running, cause="the deadman is not pressed")
    assert system.wait_counter(EXECUTOR, "deadman_unreadable") >= 1
    joystick.message = Joy(buttons=[0, 1])
    running = system.wait_state("RUNNING", since=released)
    joystick.message = serialize_message(Joy(buttons=[0, 1]))[:8]  # cut off on the way
    released = system.wait_state("RAMPING", since=running, cause="the deadman is not pressed")
    joystick.message = Joy(buttons=[0, 1])
    again = system.wait_state("RUNNING", since=released)
    joystick.silence()
    system.wait_state("LATCHED", since=again, cause="the deadman is silent")
    check_limits(load_contract(contract), system)


def test_P12_whoever_takes_over_is_alone_and_motion_starts_anew(
    system: System, contract: Path
) -> None:
    start(system, contract)
    joystick = Repeated(system, "/joy", Joy(buttons=[0, 1]))
    system.wait_commands(20)
    # of the same node as the takeover topic: not company
    driver = system.node.create_publisher(
        Float64MultiArray, load_contract(contract).action[0].topic, 1
    )
    teleoperation = Repeated(system, "/teleop", Empty())
    taken = system.wait_state("HOLDING", cause="a person has taken over")
    assert "takeover" in str(system.status.messages[taken])
    count = len(system.commanded)
    system.wait_ticks(100)
    assert len(system.commanded) == count
    teleoperation.silence()
    system.restarts.append(count)
    system.wait_state("RUNNING", since=taken)
    system.wait_commands(20)
    joystick.silence()
    check_limits(load_contract(contract), system)
    system.node.destroy_publisher(driver)


def test_the_speed_is_set_by_its_topic_and_refused_outside_of_its_range(system: System) -> None:
    system.start_swaying_robot()
    publisher = system.node.create_publisher(Float32, "/executor_node/speed", 1)
    system.wait(lambda: publisher.get_subscription_count() > 0, "~/speed is there")

    def shown() -> list[str]:
        return [item.value for s in system.status.messages for item in s.values]

    publisher.publish(Float32(data=25.0))
    system.wait(lambda: "25.0" in shown(), "speed on ~/status")
    for wrong in (101.0, -1.0, float("nan")):
        publisher.publish(Float32(data=wrong))
    system.wait_counter(EXECUTOR, "speeds_refused", 1)
    assert shown()[-1] == "25.0"
    check_limits(load_contract(SMALL_ROBOT), system)


def test_a_stop_asked_for_before_activation_holds_after_it(system: System) -> None:
    executor = system.start_node("vla_policy", EXECUTOR, contract=SMALL_ROBOT)
    lifecycle = ["ros2", "lifecycle", "set", f"/{EXECUTOR}"]
    assert system.start(*lifecycle, "configure").wait() == 0, executor
    system.wait_state("INACTIVE", cause="configured")
    client = system.node.create_client(Trigger, f"/{EXECUTOR}/estop")
    system.wait(client.service_is_ready, "~/estop is there")
    answer = client.call_async(Trigger.Request())
    system.wait(answer.done, "~/estop has answered")
    assert answer.result().message == "stopped by ~/estop; ~/resume releases it"
    assert system.start(*lifecycle, "activate").wait() == 0, executor
    system.wait_state("LATCHED", cause="stopped by ~/estop")
    system.resume()
    system.wait_state("HOLDING")
