"""Events of the launch itself; those of its processes are in `launch.events.process`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..event import Event
from ..missing import explain_missing
from . import process

if TYPE_CHECKING:
    from ..action import Action
    from ..launch_description import LaunchDescription

__all__ = ["IncludeLaunchDescription", "Shutdown", "TimerEvent", "matches_action", "process"]
__getattr__ = explain_missing(__name__, __all__)


class Shutdown(Event):
    """The launch shuts down; `due_to_sigint` when the user asked for it with Ctrl-C."""

    name = "launch.events.Shutdown"

    def __init__(self, *, reason: str = "reason not given", due_to_sigint: bool = False) -> None:
        self.reason = reason
        self.due_to_sigint = due_to_sigint


class IncludeLaunchDescription(Event):
    """A launch description is to be visited."""

    name = "launch.events.IncludeLaunchDescription"

    def __init__(self, launch_description: LaunchDescription) -> None:
        self.launch_description = launch_description


class TimerEvent(Event):
    """The time of a timer action has come."""

    name = "launch.events.TimerEvent"

    def __init__(self, *, timer_action: Action) -> None:
        self.timer_action = timer_action


def matches_action(action: Action) -> Callable[[Action], bool]:
    """Return a matcher that is true for `action` alone."""
    return lambda other: other is action
