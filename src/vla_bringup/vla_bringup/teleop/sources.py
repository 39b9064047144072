"""Those who may drive: each turns what it hears into action chunks, or is silent.

Silence is what the loss of a person comes to: the executor brakes and holds.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Protocol

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import JointState, Joy
from std_srvs.srv import Trigger

from vla_bringup.teleop.jogging import Jog
from vla_bringup.teleop.joystick import Joystick
from vla_bringup.teleop.keyboard import Keyboard, Request
from vla_bringup.teleop.leader import Leader, LeaderTopic
from vla_bringup.teleop.terminal import Terminal
from vla_core.chunk import ActionChunk
from vla_core.contract import Contract
from vla_core.types import FloatArray

JOY_MAX_AGE_NS = 250_000_000


class Source(Protocol):
    """Somebody who drives."""

    is_over: bool

    def chunk(self, now_ns: int, measured: FloatArray | None) -> ActionChunk | None:
        """What to do from now on, or None to be silent; called at the policy's rate.

        Args:
            now_ns: ROS time.
            measured: (A,) where the joints are, None where that is not known now.
        """

    def close(self) -> None:
        """Give back what the source holds."""


def _chunk(contract: Contract, now_ns: int, actions: FloatArray) -> ActionChunk:
    step_ns = round(1e9 / contract.policy_rate_hz)
    return ActionChunk(stamp_ns=now_ns, step_ns=step_ns, actions=actions)


class KeyboardSource:
    """A person at a terminal.

    Raises:
        TeleopError: There is no terminal.
    """

    def __init__(self, node: Node, contract: Contract, speed: float) -> None:
        self.is_over = False
        self._contract = contract
        self._keyboard, self._jog = Keyboard(contract, speed), Jog(contract, speed)
        self._services = {
            Request.STOP: node.create_client(Trigger, "executor_node/estop"),
            Request.RESUME: node.create_client(Trigger, "executor_node/resume"),
        }
        self._state = "not heard"
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        node.create_subscription(
            DiagnosticStatus, "executor_node/status", self._on_status, latched
        )
        self._terminal = Terminal()

    def _on_status(self, message: DiagnosticStatus) -> None:
        self._state = message.message

    def chunk(self, now_ns: int, measured: FloatArray | None) -> ActionChunk | None:
        """Jog by the keys that are held down; over when the terminal is gone."""
        mono_ns = time.monotonic_ns()
        for key in self._terminal.typed():
            self._answer(self._keyboard.press(key, mono_ns))
        self._terminal.show(
            f"executor {self._state} | speed {self._jog.speed:.0%} | {self._keyboard.help()}"
        )
        self.is_over = not self._terminal.is_open
        if self.is_over or measured is None:
            self._jog.forget()
            return None
        actions = self._jog.actions(measured, self._keyboard.wish(mono_ns))
        return _chunk(self._contract, now_ns, actions)

    def _answer(self, request: Request | None) -> None:
        self._jog.speed = self._keyboard.speed
        client = self._services.get(request) if request is not None else None
        if client is not None:
            self._jog.forget()
            client.call_async(Trigger.Request())

    def close(self) -> None:
        """Give the terminal back."""
        self._terminal.close()


class JoystickSource:
    """A person with a joystick: `joy` (sensor_msgs/Joy), as joy_node publishes it."""

    is_over = False

    def __init__(self, node: Node, contract: Contract, joystick: Joystick, speed: float) -> None:
        self._contract, self._joystick = contract, joystick
        self._jog = Jog(contract, speed)
        self._wish: FloatArray | None = None
        self._heard_ns: int | None = None
        node.create_subscription(Joy, "joy", self._on_joy, qos_profile_sensor_data)

    def _on_joy(self, message: Joy) -> None:
        self._wish = self._joystick.wish(message.axes, message.buttons)
        self._heard_ns = time.monotonic_ns()

    def chunk(self, now_ns: int, measured: FloatArray | None) -> ActionChunk | None:
        """Jog while the dead-man button is pressed, else stay; silent without a joystick."""
        is_lost = self._heard_ns is None or time.monotonic_ns() - self._heard_ns > JOY_MAX_AGE_NS
        if is_lost or self._wish is None or measured is None:
            self._jog.forget()
            return None
        return _chunk(self._contract, now_ns, self._jog.actions(measured, self._wish))

    def close(self) -> None:
        """Nothing to give back."""


class LeaderSource:
    """A person who moves leader arms."""

    is_over = False

    def __init__(
        self, node: Node, contract: Contract, leader: Leader, topics: list[LeaderTopic]
    ) -> None:
        self._node, self._contract, self._leader = node, contract, leader
        for item in topics:
            heard = partial(self._on_state, item.prefix)
            node.create_subscription(JointState, item.topic, heard, qos_profile_sensor_data)

    def _on_state(self, prefix: str, message: Any) -> None:
        mono_ns = time.monotonic_ns()
        if not self._leader.hear(message.name, message.position, prefix, mono_ns):
            self._node.get_logger().warning(
                f"joint state of a leader that cannot be followed names={list(message.name)[:20]}",
                throttle_duration_sec=1.0,
            )

    def chunk(self, now_ns: int, measured: FloatArray | None) -> ActionChunk | None:
        """Mirror the leaders; silent when one of them is not heard any more."""
        mono_ns = time.monotonic_ns()
        if measured is None or not self._leader.is_alive(mono_ns):
            self._leader.forget()
            return None
        return _chunk(self._contract, now_ns, self._leader.actions(measured, mono_ns))

    def close(self) -> None:
        """Nothing to give back."""
