"""Ctrl-C and SIGTERM as a wish to end, which interrupts nothing on its way to the disk."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import rclpy
from rclpy.signals import SignalHandlerOptions

_stop = threading.Event()


def cancel() -> None:
    """End what runs under `ros_until_signalled`."""
    _stop.set()


@contextmanager
def ros_until_signalled(args: list[str] | None = None) -> Iterator[threading.Event]:
    """Initialise rclpy; yield an event that both signals set, as often as they come."""
    _stop.clear()
    numbers = (signal.SIGINT, signal.SIGTERM)
    in_main = threading.current_thread() is threading.main_thread()
    before = {n: signal.signal(n, lambda *_: _stop.set()) for n in numbers if in_main}
    try:
        rclpy.init(args=args or [], signal_handler_options=SignalHandlerOptions.NO)
        yield _stop
    finally:
        rclpy.try_shutdown()
        for number, handler in before.items():
            signal.signal(number, handler)
