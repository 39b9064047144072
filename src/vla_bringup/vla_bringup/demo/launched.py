"""`ros2 launch` as a child of the demo: nothing that it started outlives the demo."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from vla_bringup.demo.recorder import DemoError

PATIENCE_S = {signal.SIGINT: 12.0, signal.SIGTERM: 5.0}
# The kernel interrupts the child if the demo is killed and cannot do so itself.
ON_DEATH = ("setpriv", "--pdeathsig", "INT")


class Launched:
    """A command in a process group of its own, its output in a file.

    Args:
        command: Program and arguments.
        log: File for all that it prints.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self.command, self.log = tuple(command), log

    def __enter__(self) -> Launched:
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                (*ON_DEATH, *self.command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ask it to end, then insist."""
        for number, patience_s in PATIENCE_S.items():
            with contextlib.suppress(subprocess.TimeoutExpired):
                if self._process.poll() is None:
                    self._process.send_signal(number)  # the launch passes it on
                    self._process.wait(patience_s)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    @property
    def pid(self) -> int:
        """Of the process, and of its group."""
        return self._process.pid

    def check(self) -> None:
        """Raise if it has ended.

        Raises:
            DemoError: With the last lines that it printed.
        """
        code = self._process.poll()
        if code is not None:
            raise DemoError(
                f"the launch ended by itself; its last lines:\n{self.tail()}\n",
                where=" ".join(self.command),
                found=f"exit code {code}",
                fix=f"see {self.log}",
            )

    def tail(self, lines: int = 15) -> str:
        """The last lines of its output."""
        text = self.log.read_text(errors="replace")
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds used so far by each process of the group, by program name."""
        used = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                # Source: proc_pid_stat(5); the fields after the name, which may hold anything
                fields = stat.read_text().rpartition(")")[2].split()
                arguments = stat.with_name("cmdline").read_text().split("\0")
            except OSError:
                continue  # it has just ended
            if int(fields[2]) == self.pid:
                program = next((a for a in arguments[1:] if "/" in a), arguments[0])
                ticks = int(fields[11]) + int(fields[12])
                used[Path(program).name] = ticks / os.sysconf("SC_CLK_TCK")
        return used
