"""What actions share while launching: configurations, environment, local values, events."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Iterable, MutableMapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from .event import Event
from .substitution import Substitution

if TYPE_CHECKING:
    from .event_handler import EventHandler


class LaunchContext:
    """The state of one launch."""

    def __init__(self, *, argv: Iterable[str] | None = None, noninteractive: bool = False) -> None:
        self.argv = list(argv or [])
        self.noninteractive = noninteractive
        self.launch_configurations: dict[str, Any] = {}
        self.is_shutdown = False
        self.asyncio_loop: asyncio.AbstractEventLoop | None = None
        self._initial_environment = dict(os.environ)
        self._scopes: list[tuple[dict[str, Any], dict[str, str]]] = []
        self._globals: dict[str, Any] = {}
        self._locals: dict[str, Any] = {}
        self._locals_stack: list[dict[str, Any]] = []
        self._event_handlers: deque[EventHandler] = deque()
        self._events: deque[Event] = deque()
        self._futures: list[asyncio.Future[Any]] = []
        self._changed = asyncio.Event()  # an event or a future has come

    @property
    def environment(self) -> MutableMapping[str, str]:
        """The environment that processes will get."""
        return os.environ

    @property
    def locals(self) -> SimpleNamespace:
        """The local values, such as `event`, by attribute."""
        return SimpleNamespace(**self.get_locals_as_dict())

    def get_locals_as_dict(self) -> dict[str, Any]:
        """Return the local values by name."""
        return {**self._globals, **self._locals}

    def extend_globals(self, extensions: dict[str, Any]) -> None:
        """Add values that last as long as the launch."""
        self._globals.update(extensions)

    def extend_locals(self, extensions: dict[str, Any]) -> None:
        """Add values that last until the present event is handled."""
        self._locals.update(extensions)

    def _push_locals(self) -> None:
        self._locals_stack.append(dict(self._locals))

    def _pop_locals(self) -> None:
        self._locals = self._locals_stack.pop()

    def _push_scope(self) -> None:
        self._scopes.append((dict(self.launch_configurations), dict(os.environ)))

    def _pop_scope(self) -> None:
        self.launch_configurations, environment = self._scopes.pop()
        self._set_environment(environment)

    def _reset_scope(self, launch_configurations: dict[str, Any]) -> None:
        self.launch_configurations = dict(launch_configurations)
        self._set_environment(self._initial_environment)

    @staticmethod
    def _set_environment(environment: dict[str, str]) -> None:
        os.environ.clear()
        os.environ.update(environment)

    def register_event_handler(self, event_handler: EventHandler, append: bool = False) -> None:
        """Add a handler, before all others unless `append`."""
        if append:
            self._event_handlers.append(event_handler)
        else:
            self._event_handlers.appendleft(event_handler)

    def unregister_event_handler(self, event_handler: EventHandler) -> None:
        """Remove a handler."""
        self._event_handlers.remove(event_handler)

    def add_completion_future(self, completion_future: asyncio.Future[Any]) -> None:
        """Keep the launch running until a future is done; its exception ends the launch."""
        self._futures.append(completion_future)
        self._changed.set()

    def emit_event_sync(self, event: Event) -> None:
        """Queue an event; call it in the thread of the event loop only."""
        self._events.append(event)
        self._changed.set()

    async def emit_event(self, event: Event) -> None:
        """Queue an event."""
        self.emit_event_sync(event)

    def perform_substitution(self, substitution: Substitution) -> str:
        """Return the text of a substitution."""
        return substitution.perform(self)
