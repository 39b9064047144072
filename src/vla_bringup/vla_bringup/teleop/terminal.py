"""The terminal that a person types in: keys come one by one, without Enter."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty

from vla_bringup.teleop.errors import TeleopError


class Terminal:
    """Keys of the standard input without waiting for Enter; Ctrl-C still interrupts.

    Raises:
        TeleopError: The standard input is no terminal.
    """

    def __init__(self) -> None:
        if not sys.stdin.isatty():
            raise TeleopError(
                "the keyboard needs a terminal",
                where="standard input",
                found="no terminal",
                allowed="ros2 run in a terminal, also over ssh -t; ros2 launch has none",
            )
        self._descriptor = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._descriptor)
        tty.setcbreak(self._descriptor)
        self._shown = ""
        self.is_open = True

    def typed(self) -> str:
        """What has been typed since the last call; the end of the input closes the terminal."""
        typed = b""
        while self.is_open and select.select([self._descriptor], [], [], 0)[0]:
            try:
                read = os.read(self._descriptor, 1024)
            except OSError:  # the other end, such as an ssh connection, is gone
                read = b""
            self.is_open = bool(read)
            typed += read
        return typed.decode(errors="ignore")

    def show(self, line: str) -> None:
        """Write a line when it has changed."""
        if line != self._shown and self.is_open:
            self._shown = line
            print(line, flush=True)

    def close(self) -> None:
        """Give the terminal back as it was."""
        if self.is_open:
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)
        self.is_open = False
