"""What the recorder tells in a mark, and how it is read again."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from vla_recorder import marks
from vla_recorder.marks import Event, Mark, mark_values, read_mark
from vla_recorder.recording.session import Session


def message(values: dict[str, str], *, name: str = marks.NAME) -> SimpleNamespace:
    """A DiagnosticStatus, as far as anything here looks into it."""
    pairs = [SimpleNamespace(key=key, value=value) for key, value in values.items()]
    return SimpleNamespace(name=name, message=Event.STOP.value, values=pairs)


def test_a_mark_names_a_reason_only_when_there_is_one() -> None:
    session = Session()
    episode = session.start(task="stack", operator="ann")
    values = mark_values(episode.values(), time_ns=5, contract_sha256="c")
    assert values == {
        "episode": episode.number,
        "time_ns": "5",
        "task": "stack",
        "operator": "ann",
        "contract_sha256": "c",
        "success": "",
    }
    bad = session.stopped("x").values()
    assert mark_values(bad, time_ns=5, contract_sha256="c")["bad"] == "x"


def test_a_mark_is_read_as_it_was_told() -> None:
    episode = Session().start(task="stack", operator="ann")
    values = mark_values(episode.values(), time_ns=5, contract_sha256="c")
    assert read_mark(message(values), number=7, received_ns=6) == Mark(
        event=Event.STOP,
        episode=episode.number,
        time_ns=5,
        number=7,
        received_ns=6,
        values=values,
    )


@pytest.mark.parametrize("time", ["", "-5", "5.0", "x", "1" * 20])
def test_a_message_without_a_time_is_no_mark(time: str) -> None:
    assert read_mark(message({"time_ns": time}), number=0, received_ns=0) is None


def test_another_status_is_no_mark() -> None:
    other = message({"time_ns": "5"}, name="camera")
    assert read_mark(other, number=0, received_ns=0) is None
