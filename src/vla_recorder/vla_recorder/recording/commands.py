"""What an operator asks for, by whatever he has in hand: text, a key, or a joystick button."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

from vla_recorder.recording.session import RecordingError


class Command(Enum):
    """The value is its word on the topic ``~/command``."""

    START = "start"
    STOP = "stop"
    DISCARD = "discard"
    SUCCESS = "success"
    FAILURE = "failure"
    TOGGLE = "toggle"  # start, or stop what was started


KEYS = {
    " ": Command.TOGGLE,
    "d": Command.DISCARD,
    "y": Command.SUCCESS,
    "n": Command.FAILURE,
}
KEYS_SHOWN = "space: start, stop; d: discard; y: success; n: failure"
MAX_TEXT = 4096  # characters


def parse_command(text: str) -> tuple[Command, str]:
    """``start [task]``, ``stop``, ``discard``, ``success``, ``failure`` or ``toggle [task]``.

    Raises:
        RecordingError: anything else.
    """
    word, _, task = text[:MAX_TEXT].strip().partition(" ")
    try:
        command = Command(word)
    except ValueError as error:
        raise RecordingError(
            "not a command", found=text[:80], allowed=", ".join(c.value for c in Command)
        ) from error
    if task and command not in (Command.START, Command.TOGGLE):
        raise RecordingError("a command without a task", found=text[:80], allowed=word)
    return command, task.strip()


class Buttons:
    """Commands by joystick button, given when a button goes down.

    A button for both start and stop does what is possible.

    Args:
        buttons: Index of each command's button; below 0: none.
    """

    def __init__(self, buttons: Mapping[Command, int]) -> None:
        self._commands: dict[int, Command] = {}
        for command, index in buttons.items():
            if index < 0:
                continue
            taken = self._commands.get(index)
            if taken is not None and {taken, command} != {Command.START, Command.STOP}:
                raise RecordingError(
                    "a button with two meanings",
                    where="parameters button_*",
                    found=f"{index}: {taken.value}, {command.value}",
                    allowed="one, or start and stop",
                )
            self._commands[index] = command if taken is None else Command.TOGGLE
        self._down: frozenset[int] | None = None

    @property
    def any(self) -> bool:
        return bool(self._commands)

    def pressed(self, buttons: Sequence[int]) -> list[Command]:
        """Commands of the buttons that have gone down since the last message.

        What is down in the first message may have been so for long, and counts for nothing.
        """
        down = frozenset(i for i in self._commands if i < len(buttons) and buttons[i])
        before, self._down = self._down, down
        return [] if before is None else [self._commands[index] for index in sorted(down - before)]
