"""Doing something later."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..action import Action
from ..condition import Condition
from ..event_handler import EventHandler
from ..event_handlers import OnShutdown
from ..events import TimerEvent
from ..launch_description_entity import LaunchDescriptionEntity
from ..substitution import SomeSubstitutionsType
from ..utilities.type_utils import normalize_typed_substitution, perform_typed_substitution
from .opaque_function import OpaqueFunction

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class TimerAction(Action):
    """Visits actions after a period in seconds, unless it is cancelled before."""

    def __init__(
        self,
        *,
        period: float | SomeSubstitutionsType,
        actions: Iterable[LaunchDescriptionEntity],
        cancel_on_shutdown: bool | SomeSubstitutionsType = True,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        if isinstance(period, (int, str)):
            period = float(period)
        self.period = normalize_typed_substitution(period, float)
        self.actions = list(actions)
        self._cancel_on_shutdown = normalize_typed_substitution(cancel_on_shutdown, bool)
        self._cancelled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def describe_conditional_sub_entities(
        self,
    ) -> list[tuple[str, Iterable[LaunchDescriptionEntity]]]:
        return [(f"{self.period} seconds pass without being canceled", self.actions)]

    def cancel(self) -> None:
        """Do not visit the actions, unless that has begun."""
        self._cancelled.set()

    def execute(self, context: LaunchContext) -> None:
        assert context.asyncio_loop is not None
        period = perform_typed_substitution(context, self.period, float)
        if perform_typed_substitution(context, self._cancel_on_shutdown, bool):
            context.register_event_handler(
                OnShutdown(on_shutdown=lambda event, context: self.cancel())
            )
        local_values = context.get_locals_as_dict()

        def fire(context: LaunchContext) -> list[LaunchDescriptionEntity]:
            context.extend_locals(local_values)
            return self.actions

        context.register_event_handler(
            EventHandler(
                matcher=lambda event: getattr(event, "timer_action", None) is self,
                entities=OpaqueFunction(function=fire),
                handle_once=True,
            )
        )
        self._task = context.asyncio_loop.create_task(self._wait(context, period))

    async def _wait(self, context: LaunchContext, period: float) -> None:
        try:
            await asyncio.wait_for(self._cancelled.wait(), period)
        except asyncio.TimeoutError:
            context.emit_event_sync(TimerEvent(timer_action=self))

    def get_asyncio_future(self) -> asyncio.Future[Any] | None:
        return self._task
