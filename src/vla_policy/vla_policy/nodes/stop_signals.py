"""SIGINT, SIGTERM and SIGHUP (a closed terminal) as a request to leave in order."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """Takes the signals; rclpy's own handlers, which end publishing at once, must be off."""

    def __init__(self) -> None:
        self.requested = False
        for number in STOPPING:
            signal.signal(number, self._request)

    def _request(self, _signal: int, _frame: FrameType | None) -> None:
        self.requested = True

    @staticmethod
    @contextmanager
    def at_once() -> Iterator[None]:
        """Until the end of the block they raise KeyboardInterrupt: nothing waits for an order."""
        before = {number: signal.signal(number, signal.default_int_handler) for number in STOPPING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @staticmethod
    def ignore() -> None:
        """Ignore further ones: the process is on its way out, and its exit code should say so."""
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)
