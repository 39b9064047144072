"""A child process: its output arrives by line, and it does not outlive the launcher."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import pty
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

_PR_SET_PDEATHSIG = 1  # Source: prctl(2)
_LAST_LINES_S = 0.5  # how long to wait for output after the exit: a grandchild may hold the pipes
_libc = ctypes.CDLL(None)

OnLine = Callable[[str], None]


class ChildProcess(asyncio.SubprocessProtocol):
    """A running process; `exited` becomes its return code, or -N if signal N ended it."""

    def __init__(
        self, on_start: Callable[[int], None], on_stdout: OnLine, on_stderr: OnLine
    ) -> None:
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._on_start = on_start
        self._on_line = {1: on_stdout, 2: on_stderr}
        self._partial = {1: b"", 2: b""}
        self._open = {1, 2}
        self._all_read = asyncio.Event()
        self._transports: list[asyncio.BaseTransport] = []
        self._process: asyncio.SubprocessTransport

    @classmethod
    async def start(
        cls,
        cmd: list[str],
        *,
        cwd: str | None,
        env: dict[str, str],
        shell: bool,
        emulate_tty: bool,
        on_start: Callable[[int], None],
        on_stdout: OnLine,
        on_stderr: OnLine,
    ) -> ChildProcess:
        """Start a process and tell its pid, then its lines.

        `emulate_tty` makes it believe that it writes to a terminal.

        Raises:
            OSError: it cannot be started.
        """
        child = cls(on_start, on_stdout, on_stderr)
        loop = asyncio.get_running_loop()
        terminals = {fd: pty.openpty() for fd in (1, 2)} if emulate_tty else {}
        settings: dict[str, Any] = {
            "cwd": cwd,
            "env": env,
            "stdin": asyncio.subprocess.PIPE,  # the terminal's input stays with the launcher
            "stdout": terminals[1][1] if emulate_tty else asyncio.subprocess.PIPE,
            "stderr": terminals[2][1] if emulate_tty else asyncio.subprocess.PIPE,
            "preexec_fn": _end_with_parent,
        }
        try:
            if shell:
                await loop.subprocess_shell(lambda: child, " ".join(cmd), **settings)
            else:
                await loop.subprocess_exec(lambda: child, *cmd, **settings)
        except Exception:
            for master, _ in terminals.values():
                os.close(master)
            raise
        finally:
            for _, slave in terminals.values():
                os.close(slave)
        for fd, (master, _) in terminals.items():
            reader, _ = await loop.connect_read_pipe(
                partial(_TerminalReader, child, fd), os.fdopen(master, "rb", 0)
            )
            child._transports.append(reader)
        return child

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        if not self.exited.done():
            self._process.send_signal(number)

    async def wait(self) -> int:
        """Wait for the end of the process and of its output; return the return code."""
        await asyncio.wait([self.exited])
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._all_read.wait(), _LAST_LINES_S)
        for fd, rest in self._partial.items():
            if rest:
                self._emit(fd, rest)
        for transport in self._transports:
            transport.close()
        return self.exited.result()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._process = transport
        self._transports.append(transport)
        self._on_start(transport.get_pid())

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        *lines, self._partial[fd] = (self._partial[fd] + data).split(b"\n")
        for line in lines:
            self._emit(fd, line)

    def _emit(self, fd: int, line: bytes) -> None:
        self._on_line[fd](line.rstrip(b"\r").decode(errors="replace"))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open.discard(fd)
        if not self._open:
            self._all_read.set()

    def process_exited(self) -> None:
        returncode = self._process.get_returncode()
        self.exited.set_result(-1 if returncode is None else returncode)


class _TerminalReader(asyncio.Protocol):
    """Hands what arrives from a pseudo terminal to a child as if it came from a pipe."""

    def __init__(self, child: ChildProcess, fd: int) -> None:
        self._child = child
        self._fd = fd

    def data_received(self, data: bytes) -> None:
        self._child.pipe_data_received(self._fd, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._child.pipe_connection_lost(self._fd, exc)


def _end_with_parent() -> None:
    """Have the kernel send SIGTERM should the launcher die without stopping its children."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
