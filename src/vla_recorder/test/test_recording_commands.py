"""What operators ask for, and when it is possible."""

from __future__ import annotations

import pytest

from vla_recorder.recording.commands import Buttons, Command, parse_command
from vla_recorder.recording.session import RecordingError, Session


def test_text_is_a_command_and_start_may_name_the_task() -> None:
    assert parse_command("stop") == (Command.STOP, "")
    assert parse_command(" start pick up the cube ") == (Command.START, "pick up the cube")


@pytest.mark.parametrize("text", ["", "begin", "stop now", "START"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(RecordingError, match="RECORDING"):
        parse_command(text)


def test_a_button_counts_when_it_goes_down_and_only_then() -> None:
    buttons = Buttons({Command.START: 0, Command.DISCARD: 2, Command.SUCCESS: -1})
    assert buttons.pressed([1, 0, 0]) == []  # held since before
    assert buttons.pressed([0, 0, 0]) == []
    assert buttons.pressed([1, 0, 1]) == [Command.START, Command.DISCARD]
    assert buttons.pressed([1, 0, 1]) == []
    assert buttons.pressed([0]) == []  # another joystick, with fewer
    assert buttons.pressed([1, 1]) == [Command.START]


def test_one_button_starts_and_stops_but_has_no_two_other_meanings() -> None:
    buttons = Buttons({Command.START: 3, Command.STOP: 3})
    buttons.pressed([0, 0, 0, 0])
    assert buttons.pressed([0, 0, 0, 1]) == [Command.TOGGLE]
    with pytest.raises(RecordingError, match="two meanings"):
        Buttons({Command.START: 3, Command.DISCARD: 3})
    assert not Buttons(dict.fromkeys(Command, -1)).any


def test_only_one_episode_is_open() -> None:
    session = Session()
    session.start(task="a", operator="b")
    with pytest.raises(RecordingError, match="being recorded"):
        session.start(task="a", operator="b")


@pytest.mark.parametrize("ask", [Session.stopped, Session.discard])
def test_nothing_open_can_be_neither_stopped_nor_discarded(ask: object) -> None:
    session = Session()
    session.start(task="", operator="")
    session.stopped()
    with pytest.raises(RecordingError, match="no episode is being recorded"):
        ask(session)  # type: ignore[operator]
    assert session.last is not None


def test_a_label_is_of_the_open_episode_else_of_the_last() -> None:
    session = Session()
    with pytest.raises(RecordingError, match="no episode"):
        session.label(True)
    first = session.start(task="", operator="")
    session.stopped("bad luck")
    assert session.label(True).number == first.number
    assert session.last is not None
    assert (session.last.success, session.last.bad) == (True, "bad luck")
    second = session.start(task="", operator="")
    assert session.label(False).number == second.number
    assert session.last.success is True


def test_a_folder_is_named_by_date_and_number() -> None:
    episode = Session().start(task="", operator="")
    date, _, rest = episode.name.partition("_")
    time, _, number = rest.partition("_")
    assert (len(date), len(time)) == (8, 6)
    assert number == episode.number[:8]
