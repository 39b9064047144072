"""Keys of a terminal."""

from __future__ import annotations

import os
import sys
import termios

import pytest

from vla_recorder.nodes.operator_inputs import Keyboard
from vla_recorder.recording.session import RecordingError


def test_keys_come_one_by_one_and_the_terminal_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outside, inside = os.openpty()
    with os.fdopen(inside) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        before = termios.tcgetattr(terminal)
        keyboard = Keyboard()
        assert keyboard.pressed() == ""
        os.write(outside, b" y")
        assert keyboard.pressed() == " y"
        keyboard.restore()
        assert termios.tcgetattr(terminal) == before
        os.close(outside)
        assert keyboard.pressed() == ""  # the terminal is gone


def test_without_a_terminal_the_keyboard_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with pytest.raises(RecordingError, match="no terminal"):
            Keyboard()
