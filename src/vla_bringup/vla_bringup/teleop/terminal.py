"""The terminal that a person types in: keys one by one, and a line that is written over."""

from __future__ import annotations

import os
import select
import shutil
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
        """Write a line over the last one, cut to the width of the terminal."""
        if line == self._shown or not self.is_open:
            return
        self._shown = line
        print(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)

    def close(self) -> None:
        """Give the terminal back as it was."""
        if self.is_open:
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)
            print()
        self.is_open = False
