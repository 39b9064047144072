"""The messages of each tick, from one reading of the bag, in bounded memory.

Letters in shapes: T ticks, C sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import numpy as np

from vla_recorder.bags import RawMessage
from vla_recorder.convert.clock import Integers
from vla_recorder.convert.errors import ConvertError

MAX_HELD_BYTES: Final = 128 << 20  # of messages that wait for their ticks


def gather(
    messages: Iterable[RawMessage], chosen: Mapping[str, Integers]
) -> Iterator[dict[str, RawMessage]]:
    """The messages of tick after tick, by source; each tick as soon as its last one was read.

    Args:
        messages: In the order of the bag.
        chosen: By source, (T,) the number of the message of each tick.

    Raises:
        ConvertError: Messages of one tick lie too far apart, or one was there before and is not
            any more.
    """
    table = np.stack(list(chosen.values()), axis=1)  # (T, C)
    uses = _last_uses(table)
    due = np.maximum.accumulate(table.max(axis=1))  # ticks come in their order
    held: dict[int, tuple[RawMessage, int]] = {}
    held_bytes, tick = 0, 0
    wanted, last_use = next(uses)
    for message in messages:
        if message.number < wanted:
            continue
        if message.number > wanted:
            break
        held[message.number] = message, last_use
        held_bytes += len(message.data)
        while tick < len(due) and due[tick] <= message.number:
            row = table[tick].tolist()
            yield {name: held[number][0] for name, number in zip(chosen, row, strict=True)}
            for number in row:
                if number in held and held[number][1] == tick:
                    held_bytes -= len(held.pop(number)[0].data)
            tick += 1
        if tick == len(due):
            return
        if held_bytes > MAX_HELD_BYTES:
            raise _too_far(len(held), min(held), int(due[tick]))
        wanted, last_use = next(uses)
    raise ConvertError(
        "a message that was read before is not there any more",
        found=f"none of number {wanted}",
        fix="convert the bag when nothing writes to it any more",
    )


def _last_uses(table: Integers) -> Iterator[tuple[int, int]]:
    """Every number that is used, ascending, and the last tick that uses it."""
    numbers, places = np.unique(table, return_inverse=True)
    last = np.zeros(numbers.size, np.int64)
    ticks = np.repeat(np.arange(table.shape[0]), table.shape[1])
    np.maximum.at(last, places.ravel(), ticks)
    return ((int(number), int(tick)) for number, tick in zip(numbers, last, strict=True))


def _too_far(count: int, first: int, last: int) -> ConvertError:
    return ConvertError(
        "messages of one tick lie too far apart in the bag",
        found=f"{count} messages between number {first} and {last}",
        allowed=f"at most {MAX_HELD_BYTES >> 20} MB that wait",
        fix="sort the bag by time: mcap sort, or ros2 bag convert",
    )
