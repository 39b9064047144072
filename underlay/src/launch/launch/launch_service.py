"""Runs launch descriptions: visits their entities, handles events, shuts down in order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import traceback
from collections.abc import Iterable, Iterator
from logging import DEBUG, INFO
from typing import Any

from . import logging
from .event import Event
from .event_handler import EventHandler, SomeEntitiesType
from .event_handlers import OnShutdown
from .events import IncludeLaunchDescription, Shutdown
from .launch_context import LaunchContext
from .launch_description import LaunchDescription
from .launch_description_entity import LaunchDescriptionEntity


class LaunchService:
    """One launch. It runs in the main thread, where it takes SIGINT, SIGTERM and SIGQUIT."""

    def __init__(
        self,
        *,
        argv: Iterable[str] | None = None,
        noninteractive: bool = False,
        debug: bool = False,
    ) -> None:
        logging.launch_config.level = DEBUG if debug else INFO
        self._logger = logging.get_logger("launch")
        self._context = LaunchContext(argv=argv, noninteractive=noninteractive)
        self._context.register_event_handler(_OnInclude())
        self._context.register_event_handler(OnShutdown(on_shutdown=self._on_shutdown))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._return_code = 0

    @property
    def context(self) -> LaunchContext:
        """The state of the launch."""
        return self._context

    @property
    def event_loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop, while running."""
        return self._loop

    def emit_event(self, event: Event) -> None:
        """Queue an event, from any thread."""
        if self._loop is None:
            self._context.emit_event_sync(event)
        else:
            self._loop.call_soon_threadsafe(self._context.emit_event_sync, event)

    def include_launch_description(self, launch_description: LaunchDescription) -> None:
        """Have a launch description visited, from any thread."""
        self.emit_event(IncludeLaunchDescription(launch_description))

    def shutdown(self, force_sync: bool = False) -> None:
        """Have the launch shut down, from any thread; does nothing when it does not run."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._shutdown, "LaunchService.shutdown() called")

    def run(self, *, shutdown_when_idle: bool = True) -> int:
        """Run until there is nothing left to do; return 0, or 1 if there was an error."""
        return asyncio.run(self.run_async(shutdown_when_idle=shutdown_when_idle))

    async def run_async(self, *, shutdown_when_idle: bool = True) -> int:
        """Like `run`, in an event loop that runs already."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("LaunchService can only be run in the main thread.")
        if self._loop is not None:
            raise RuntimeError("LaunchService cannot be run multiple times concurrently.")
        self._loop = self._context.asyncio_loop = asyncio.get_running_loop()
        self._return_code = 0
        self._context.is_shutdown = False
        logging.log_launch_config(logger=self._logger)
        try:
            with self._signal_handlers():
                while await self._step(shutdown_when_idle):
                    pass
        finally:
            self._loop = self._context.asyncio_loop = None
        return self._return_code

    async def _step(self, shutdown_when_idle: bool) -> bool:
        """Handle one event, or wait for something to happen; return False when all is done."""
        context = self._context
        try:
            self._raise_errors()
            if context._events:
                self._handle(context._events.popleft())
                await asyncio.sleep(0)
            elif not context._futures and context.is_shutdown:
                return False
            elif not context._futures and shutdown_when_idle:
                self._shutdown("idle")
            else:
                await self._wait()
        except Exception as error:  # a launch file may raise anything
            message = f"Caught exception in launch (see debug for traceback): {error}"
            self._logger.debug(traceback.format_exc())
            self._logger.error(message)
            self._return_code = 1
            self._shutdown(message)
        return True

    def _raise_errors(self) -> None:
        """Forget the futures that are done; raise what the first of them raised."""
        for future in [future for future in self._context._futures if future.done()]:
            self._context._futures.remove(future)
            if not future.cancelled():
                future.result()

    async def _wait(self) -> None:
        changed = asyncio.ensure_future(self._context._changed.wait())
        await asyncio.wait([changed, *self._context._futures], return_when=asyncio.FIRST_COMPLETED)
        changed.cancel()
        self._context._changed.clear()

    def _handle(self, event: Event) -> None:
        self._logger.debug("processing event: '%s'", event)
        for handler in tuple(self._context._event_handlers):
            if handler.matches(event):
                self._context._push_locals()
                try:
                    for entity in _entities(handler.handle(event, self._context)):
                        self._visit(entity)
                finally:
                    self._context._pop_locals()

    def _visit(self, entity: LaunchDescriptionEntity) -> None:
        if not isinstance(entity, LaunchDescriptionEntity):
            raise RuntimeError(f"expected a LaunchDescriptionEntity, got {entity!r}")
        inner = entity.visit(self._context)
        future = entity.get_asyncio_future()
        if future is not None:
            self._context.add_completion_future(future)
        for sub_entity in inner or ():
            self._visit(sub_entity)

    def _on_shutdown(self, event: Event, context: LaunchContext) -> None:
        context.is_shutdown = True

    def _shutdown(self, reason: str, due_to_sigint: bool = False) -> None:
        if not self._context.is_shutdown:
            self._context.is_shutdown = True
            self._context.emit_event_sync(Shutdown(reason=reason, due_to_sigint=due_to_sigint))

    def _on_signal(self, number: signal.Signals) -> None:
        if number is signal.SIGINT:
            message = "user interrupted with ctrl-c (SIGINT)"
        else:
            message = f"interrupted with {number.name}"
            self._return_code = 1
        again = " again, ignoring..." if self._context.is_shutdown else ""
        self._logger.warning(message + again)
        self._shutdown(message, due_to_sigint=number is signal.SIGINT)

    @contextlib.contextmanager
    def _signal_handlers(self) -> Iterator[None]:
        loop: Any = self._loop
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
        previous = {number: signal.getsignal(number) for number in numbers}
        for number in numbers:
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)
                signal.signal(number, previous[number])


class _OnInclude(EventHandler):
    def __init__(self) -> None:
        super().__init__(matcher=lambda event: isinstance(event, IncludeLaunchDescription))

    def handle(self, event: Event, context: LaunchContext) -> SomeEntitiesType | None:
        super().handle(event, context)
        assert isinstance(event, IncludeLaunchDescription)
        return event.launch_description


def _entities(found: SomeEntitiesType | None) -> list[LaunchDescriptionEntity]:
    if found is None or isinstance(found, LaunchDescriptionEntity):
        return [] if found is None else [found]
    return [entity for entity in found if entity is not None]
