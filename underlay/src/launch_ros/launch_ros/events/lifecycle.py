"""Requests to lifecycle nodes, and their changes of state."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import lifecycle_msgs.msg
from launch import Event
from launch.missing import explain_missing
from lifecycle_msgs.msg import Transition

if TYPE_CHECKING:
    from ..actions import LifecycleNode

__all__ = ["ChangeState", "StateTransition"]
__getattr__ = explain_missing(__name__, __all__)

_TRANSITIONS = (
    "TRANSITION_CREATE",
    "TRANSITION_CONFIGURE",
    "TRANSITION_CLEANUP",
    "TRANSITION_ACTIVATE",
    "TRANSITION_DEACTIVATE",
    "TRANSITION_UNCONFIGURED_SHUTDOWN",
    "TRANSITION_INACTIVE_SHUTDOWN",
    "TRANSITION_ACTIVE_SHUTDOWN",
    "TRANSITION_DESTROY",
)


class ChangeState(Event):
    """The matching lifecycle nodes are to make a transition."""

    name = "launch_ros.events.lifecycle.ChangeState"
    valid_transitions: ClassVar[dict[int, str]] = {
        getattr(Transition, name): name for name in _TRANSITIONS
    }

    def __init__(
        self, *, lifecycle_node_matcher: Callable[[LifecycleNode], bool], transition_id: int
    ) -> None:
        if transition_id not in self.valid_transitions:
            raise ValueError(
                f"transition_id is {transition_id}, allowed are {list(self.valid_transitions)}"
            )
        self.lifecycle_node_matcher = lifecycle_node_matcher
        self.transition_id = transition_id


class StateTransition(Event):
    """A lifecycle node has changed its state; states and transition are labels, as `inactive`."""

    name = "launch_ros.events.lifecycle.StateTransition"

    def __init__(self, *, action: LifecycleNode, msg: lifecycle_msgs.msg.TransitionEvent) -> None:
        self.action = action
        self.msg = msg
        self.timestamp = msg.timestamp
        self.transition = msg.transition.label
        self.start_state = msg.start_state.label
        self.goal_state = msg.goal_state.label
