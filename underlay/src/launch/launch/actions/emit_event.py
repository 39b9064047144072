"""Emitting an event, that of shutting down among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import events, logging
from ..action import Action
from ..condition import Condition
from ..event import Event
from ..events.process import ProcessExited

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class EmitEvent(Action):
    """Emits an event."""

    def __init__(self, *, event: Event, condition: Condition | None = None) -> None:
        super().__init__(condition=condition)
        if not isinstance(event, Event):
            raise RuntimeError(f"EmitEvent() expected an event instance, got '{event}'.")
        self.event = event

    def execute(self, context: LaunchContext) -> None:
        context.emit_event_sync(self.event)


class Shutdown(EmitEvent):
    """Shuts the launch down."""

    def __init__(
        self, *, reason: str = "reason not given", condition: Condition | None = None
    ) -> None:
        super().__init__(event=events.Shutdown(reason=reason), condition=condition)

    def execute(self, context: LaunchContext) -> None:
        cause = context.get_locals_as_dict().get("event")
        if isinstance(cause, ProcessExited):
            logging.get_logger("launch").info(
                f"process[{cause.process_name}] was required: shutting down launched system"
            )
        super().execute(context)
