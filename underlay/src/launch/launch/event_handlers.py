"""Handlers of the events of processes and of shutting down."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .action import Action
from .event import Event
from .event_handler import EventHandler, SomeEntitiesType
from .events import Shutdown, matches_action
from .events.process import ProcessExited, ProcessStarted
from .missing import explain_missing

if TYPE_CHECKING:
    from .launch_context import LaunchContext

__all__ = ["OnProcessExit", "OnProcessStart", "OnShutdown"]
__getattr__ = explain_missing(__name__, __all__)

# What to do: entities, or a function that is told the event and returns entities or None.
Reaction = SomeEntitiesType | Callable[[Event, "LaunchContext"], SomeEntitiesType | None]


class _Reacting(EventHandler):
    def __init__(
        self, *, matcher: Callable[[Event], bool], reaction: Reaction | None, handle_once: bool
    ) -> None:
        known = None if callable(reaction) else reaction
        super().__init__(matcher=matcher, entities=known, handle_once=handle_once)
        self._reaction = reaction

    def handle(self, event: Event, context: LaunchContext) -> SomeEntitiesType | None:
        known = super().handle(event, context)
        return self._reaction(event, context) if callable(self._reaction) else known


class _OnProcess(_Reacting):
    def __init__(
        self,
        event_type: type[ProcessExited | ProcessStarted],
        target_action: Action | Callable[[Action], bool] | None,
        reaction: Reaction | None,
        handle_once: bool,
    ) -> None:
        if isinstance(target_action, Action):
            accepts = matches_action(target_action)
        elif target_action is None or callable(target_action):
            accepts = target_action or (lambda action: True)
        else:
            raise TypeError(f"target_action is not an action or callable: {target_action!r}")

        def matches(event: Event) -> bool:
            return isinstance(event, event_type) and bool(accepts(event.action))

        super().__init__(matcher=matches, reaction=reaction, handle_once=handle_once)


class OnProcessExit(_OnProcess):
    """Reacts when the process of an action (default: any) has exited."""

    def __init__(
        self,
        *,
        target_action: Action | Callable[[Action], bool] | None = None,
        on_exit: Reaction | None = None,
        handle_once: bool = False,
    ) -> None:
        super().__init__(ProcessExited, target_action, on_exit, handle_once)


class OnProcessStart(_OnProcess):
    """Reacts when the process of an action (default: any) has started."""

    def __init__(
        self,
        *,
        target_action: Action | Callable[[Action], bool] | None = None,
        on_start: Reaction | None = None,
        handle_once: bool = False,
    ) -> None:
        super().__init__(ProcessStarted, target_action, on_start, handle_once)


class OnShutdown(_Reacting):
    """Reacts when the launch starts to shut down."""

    def __init__(self, *, on_shutdown: Reaction, handle_once: bool = False) -> None:
        super().__init__(
            matcher=lambda event: isinstance(event, Shutdown),
            reaction=on_shutdown,
            handle_once=handle_once,
        )
