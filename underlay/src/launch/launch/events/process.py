"""What happens to processes, and what can be asked of them."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..event import Event
from ..missing import explain_missing

if TYPE_CHECKING:
    from ..actions.execute_process import ExecuteProcess

__all__ = ["ProcessExited", "ProcessStarted", "ShutdownProcess", "SignalProcess"]
__getattr__ = explain_missing(__name__, __all__)


class _RunningProcessEvent(Event):
    def __init__(
        self,
        *,
        action: ExecuteProcess,
        name: str,
        cmd: list[str],
        cwd: str | None,
        env: dict[str, str],
        pid: int,
    ) -> None:
        self.action = action
        self.process_name = name
        self.cmd = cmd
        self.cwd = cwd
        self.env = env
        self.pid = pid


class ProcessStarted(_RunningProcessEvent):
    """The process of `action` has started."""

    name = "launch.events.process.ProcessStarted"


class ProcessExited(_RunningProcessEvent):
    """The process of `action` has ended; -N stands for signal N."""

    name = "launch.events.process.ProcessExited"

    def __init__(self, *, returncode: int, **details: object) -> None:
        super().__init__(**details)  # type: ignore[arg-type]
        self.returncode = returncode


class ShutdownProcess(Event):
    """The matching processes are to be stopped: SIGINT, then SIGTERM, then SIGKILL."""

    name = "launch.events.process.ShutdownProcess"

    def __init__(self, *, process_matcher: Callable[[ExecuteProcess], bool]) -> None:
        self.process_matcher = process_matcher


class SignalProcess(Event):
    """The matching processes are to get a signal, given by number or name."""

    name = "launch.events.process.SignalProcess"

    def __init__(
        self,
        *,
        signal_number: str | signal.Signals,
        process_matcher: Callable[[ExecuteProcess], bool],
    ) -> None:
        self.process_matcher = process_matcher
        self.signal = (
            signal.Signals[signal_number] if isinstance(signal_number, str) else signal_number
        )
        self.signal_name = self.signal.name
