"""Messages of ticks from one reading, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from vla_recorder.bags import RawMessage
from vla_recorder.convert import gather as module
from vla_recorder.convert.errors import ConvertError
from vla_recorder.convert.gather import gather


def bag(count: int, size: int = 1) -> Iterator[RawMessage]:
    return (RawMessage(f"t{n % 2}", n, bytes(size), n) for n in range(count))


def chosen(**rows: list[int]) -> dict[str, np.ndarray]:
    return {name: np.array(row, np.int64) for name, row in rows.items()}


def numbers(count: int, **rows: list[int]) -> list[dict[str, int]]:
    return [
        {name: raw.number for name, raw in tick.items()}
        for tick in gather(bag(count), chosen(**rows))
    ]


def test_each_tick_gets_its_messages_whichever_came_first() -> None:
    rows = {"a": [0, 0, 6, 4], "b": [3, 3, 3, 9]}
    assert numbers(12, **rows) == [
        {"a": a, "b": b} for a, b in zip(rows["a"], rows["b"], strict=True)
    ]


def test_reading_stops_behind_the_last_tick() -> None:
    messages = bag(1000)
    list(gather(messages, chosen(a=[0, 2], b=[1, 5])))
    assert next(messages).number == 6


def test_what_no_later_tick_needs_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HELD_BYTES", 50)
    rows = chosen(a=list(range(0, 2000, 2)), b=[1] * 1000)  # one is needed until the end
    assert sum(1 for _ in gather(bag(2000, size=10), rows)) == 1000


def test_messages_that_lie_too_far_apart_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HELD_BYTES", 50)
    rows = chosen(a=list(range(100)), b=list(range(100, 200)))
    with pytest.raises(ConvertError, match="too far apart"):
        list(gather(bag(200, size=10), rows))


def test_a_message_that_is_gone_is_an_error() -> None:
    with pytest.raises(ConvertError, match="not there any more"):
        list(gather(bag(4), chosen(a=[0, 9])))
    gap = (raw for raw in bag(10) if raw.number != 4)
    with pytest.raises(ConvertError, match="not there any more"):
        list(gather(gap, chosen(a=[0, 4, 6])))
