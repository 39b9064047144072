"""Processes of the suite, started as a user starts them, with their output, and always ended."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

STARTED = re.compile(r"\[(\w+)-\d+\]: process started with pid \[(\d+)\]")


class Process:
    """A process in a session of its own, so that all its descendants can be found.

    Args:
        command: Program and arguments.
        environment: Added to this process's own.
        news: Notified at every line of output.
        lock: A file that it holds open as long as it lives.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: dict[str, str],
        news: threading.Condition,
        lock: int,
    ) -> None:
        self.command = list(command)
        self._news = news
        self._lines: list[str] = []
        self._popen = subprocess.Popen(
            self.command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            pass_fds=(lock,),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def output(self) -> str:
        """What it and its descendants have written so far."""
        with self._news:
            return "".join(self._lines)

    def is_running(self) -> bool:
        return self._popen.poll() is None

    def child(self, name: str) -> int:
        """The pid of the node that a launch has started last under this name."""
        return [int(pid) for node, pid in STARTED.findall(self.output) if node == name][-1]

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def wait(self, timeout_s: float = 30.0) -> int:
        """Its exit code, once it has ended by itself."""
        try:
            code = self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout_s} s:\n{self}") from None
        self._reader.join(timeout_s)
        return code

    def session(self) -> set[int]:
        """Pids of all live processes of its session."""
        return {pid for pid in _live_pids() if _session_of(pid) == self.pid}

    def end(self) -> None:
        """Ask it to end, then make sure that nothing of its session is left."""
        if self.is_running():
            self.signal(signal.SIGINT)
            try:
                self._popen.wait(20)
            except subprocess.TimeoutExpired:
                self._lines.append("(ended by SIGKILL)\n")
        for pid in self.session():
            os.kill(pid, signal.SIGKILL)
        self._popen.wait()

    def __str__(self) -> str:
        return f"$ {' '.join(self.command)}\n{self.output[-6000:]}"

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()


def is_alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    return pid in _live_pids()


def wait_until_dead(pids: set[int], timeout_s: float = 10.0) -> set[int]:
    """The processes that are still there after a while."""
    deadline = time.monotonic() + timeout_s
    while (left := pids & _live_pids()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _live_pids() -> set[int]:
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return {pid for pid in pids if (_stat(pid) or "Z")[0] != "Z"}


def _session_of(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[3]) if fields else -1


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on; the name before may hold spaces."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
