"""Base of the event handlers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from .event import Event
from .launch_description_entity import LaunchDescriptionEntity

if TYPE_CHECKING:
    from .launch_context import LaunchContext

SomeEntitiesType = LaunchDescriptionEntity | Iterable[LaunchDescriptionEntity]


class EventHandler:
    """Visits entities when an event matches; they find it as ``context.locals.event``."""

    def __init__(
        self,
        *,
        matcher: Callable[[Event], bool],
        entities: SomeEntitiesType | None = None,
        handle_once: bool = False,
    ) -> None:
        self._matcher = matcher
        self._entities = entities
        self._handle_once = handle_once

    @property
    def entities(self) -> SomeEntitiesType | None:
        """What it visits, as far as that is known beforehand."""
        return self._entities

    @property
    def handle_once(self) -> bool:
        """Whether it handles the first matching event only."""
        return self._handle_once

    def matches(self, event: Event) -> bool:
        """Return whether it handles `event`."""
        return self._matcher(event)

    def handle(self, event: Event, context: LaunchContext) -> SomeEntitiesType | None:
        """Return what to visit because of `event`."""
        context.extend_locals({"event": event})
        if self._handle_once:
            context.unregister_event_handler(self)
        return self._entities
