"""How an operator reaches the recorder: services, a topic, a joystick, the keyboard."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Joy
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from vla_recorder.recording.commands import KEYS, Buttons, Command, parse_command
from vla_recorder.recording.session import RecordingError

KEYBOARD_S = 0.05

Obey = Callable[[Command, str], str]
"""Carries a command out, with a task for start; says what was done or raises RecordingError."""


class OperatorInputs:
    """The services, ``~/command``, ``joy`` and the keys, each of which ends in ``obey``."""

    def __init__(
        self, node: Node, buttons: Buttons, keyboard: Keyboard | None, obey: Obey
    ) -> None:
        self._node, self._buttons, self._keyboard, self._obey = node, buttons, keyboard, obey
        self.counts = {"commands": 0, "commands_refused": 0}
        self._services = [
            node.create_service(Trigger, f"~/{command.value}", partial(self._on_trigger, command))
            for command in (Command.START, Command.STOP, Command.DISCARD)
        ]
        self._services.append(node.create_service(SetBool, "~/label_success", self._on_label))
        self._subscriptions = [node.create_subscription(String, "~/command", self._on_text, 10)]
        if buttons.any:
            self._subscriptions.append(
                node.create_subscription(Joy, "joy", self._on_joy, qos_profile_sensor_data)
            )
        self._timer = None
        if keyboard is not None:
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self._timer = node.create_timer(KEYBOARD_S, self._on_keys, clock=steady)

    def _try(self, ask: Callable[[], str]) -> tuple[bool, str]:
        self.counts["commands"] += 1
        try:
            return True, ask()
        except RecordingError as error:
            self.counts["commands_refused"] += 1
            self._node.get_logger().warning(str(error), throttle_duration_sec=1.0)
            return False, str(error)

    def _on_trigger(self, command: Command, _request: Any, response: Any) -> Any:
        response.success, response.message = self._try(lambda: self._obey(command, ""))
        return response

    def _on_label(self, request: Any, response: Any) -> Any:
        command = Command.SUCCESS if request.data else Command.FAILURE
        return self._on_trigger(command, request, response)

    def _on_text(self, message: String) -> None:
        self._try(lambda: self._obey(*parse_command(message.data)))

    def _on_joy(self, message: Joy) -> None:
        for command in self._buttons.pressed(message.buttons):
            self._try(partial(self._obey, command, ""))

    def _on_keys(self) -> None:
        for key in self._keyboard.pressed() if self._keyboard is not None else "":
            if key in KEYS:
                self._try(partial(self._obey, KEYS[key], ""))

    def destroy(self) -> None:
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
        if self._keyboard is not None:
            self._keyboard.restore()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        for service in self._services:
            self._node.destroy_service(service)


class Keyboard:
    """Keys of the terminal, one by one; Ctrl-C still interrupts.

    Raises:
        RecordingError: there is no terminal, as under ros2 launch.
    """

    def __init__(self) -> None:
        self._input = sys.stdin.fileno() if sys.stdin is not None else -1
        if not os.isatty(self._input):
            raise RecordingError(
                "no terminal for keyboard:=true",
                fix="use ros2 run in a terminal, or the topic ~/command",
            )
        self._before = termios.tcgetattr(self._input)
        tty.setcbreak(self._input)

    def pressed(self) -> str:
        """Keys since the last call; none while another job has the terminal, or it is gone."""
        with suppress(OSError):
            if not self._is_in_background() and select.select([self._input], [], [], 0)[0]:
                return os.read(self._input, 256).decode(errors="replace")
        return ""

    def _is_in_background(self) -> bool:
        """Whether reading would stop this process."""
        try:
            return os.tcgetpgrp(self._input) != os.getpgrp()
        except OSError:  # not the terminal that controls it
            return False

    def restore(self) -> None:
        termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)
