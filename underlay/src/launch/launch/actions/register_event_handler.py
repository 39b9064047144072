"""Adding and removing event handlers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..action import Action
from ..condition import Condition
from ..event_handler import EventHandler
from ..launch_description_entity import LaunchDescriptionEntity

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class RegisterEventHandler(Action):
    """Adds an event handler."""

    def __init__(self, event_handler: EventHandler, condition: Condition | None = None) -> None:
        super().__init__(condition=condition)
        self.event_handler = event_handler

    def execute(self, context: LaunchContext) -> None:
        context.register_event_handler(self.event_handler)

    def describe_conditional_sub_entities(
        self,
    ) -> list[tuple[str, Iterable[LaunchDescriptionEntity]]]:
        entities = self.event_handler.entities
        if isinstance(entities, LaunchDescriptionEntity):
            entities = [entities]
        return [(type(self.event_handler).__name__, entities)] if entities else []


class UnregisterEventHandler(Action):
    """Removes an event handler."""

    def __init__(self, event_handler: EventHandler, condition: Condition | None = None) -> None:
        super().__init__(condition=condition)
        self.event_handler = event_handler

    def execute(self, context: LaunchContext) -> None:
        context.unregister_event_handler(self.event_handler)
