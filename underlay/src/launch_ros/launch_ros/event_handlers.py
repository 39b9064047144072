"""Reacting to what lifecycle nodes do."""

from __future__ import annotations

from collections.abc import Callable

from launch import Event, EventHandler, SomeEntitiesType
from launch.missing import explain_missing

from .actions import LifecycleNode
from .events.lifecycle import StateTransition

__all__ = ["OnStateTransition"]
__getattr__ = explain_missing(__name__, __all__)


class OnStateTransition(EventHandler):
    """Reacts when a lifecycle node changes its state; what is None is not compared."""

    def __init__(
        self,
        *,
        entities: SomeEntitiesType,
        target_lifecycle_node: LifecycleNode | None = None,
        transition: str | None = None,
        start_state: str | None = None,
        goal_state: str | None = None,
        matcher: Callable[[Event], bool] | None = None,
        handle_once: bool = False,
    ) -> None:
        if not isinstance(target_lifecycle_node, (LifecycleNode, type(None))):
            raise RuntimeError("OnStateTransition requires a 'LifecycleNode' action as the target")

        def matches(event: Event) -> bool:
            return (
                isinstance(event, StateTransition)
                and target_lifecycle_node in (None, event.action)
                and transition in (None, event.transition)
                and start_state in (None, event.start_state)
                and goal_state in (None, event.goal_state)
            )

        super().__init__(matcher=matcher or matches, entities=entities, handle_once=handle_once)
