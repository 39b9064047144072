"""Times of the messages of a stream, and where their clock cannot be trusted.

Letters in shapes: N messages.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from vla_core.sampling import REWIND_NS

SILENCE_NS = 10_000_000_000  # of a stream: what comes after it belongs to another piece
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Times:
    """The messages of one topic in the order of the bag.

    Attributes:
        stamps_ns: (N,) of their headers, or of receipt where the type has none.
        received_ns: (N,) when they were recorded.
        numbers: (N,) their places in the bag, ascending.
    """

    stamps_ns: Integers
    received_ns: Integers
    numbers: Integers

    def __len__(self) -> int:
        return int(self.numbers.size)

    def chosen(self, where: Booleans) -> Times:
        """Those messages alone; arrays of an hour are not copied for nothing."""
        if where.all():
            return self
        return Times(
            stamps_ns=self.stamps_ns[where],
            received_ns=self.received_ns[where],
            numbers=self.numbers[where],
        )

    def between(self, first: int, end: int) -> Times:
        """The messages with ``first <= number < end``."""
        return self.chosen((self.numbers >= first) & (self.numbers < end))

    def sorted(self) -> Times:
        """By stamp; equal ones in the order of the bag, as live."""
        if (np.diff(self.stamps_ns) >= 0).all():
            return self
        order = np.argsort(self.stamps_ns, kind="stable")
        return Times(
            stamps_ns=self.stamps_ns[order],
            received_ns=self.received_ns[order],
            numbers=self.numbers[order],
        )


def without_strays(times: Times) -> tuple[Times, int]:
    """Without single stamps that lie off while their neighbours agree, and how many those were."""
    steps = np.diff(times.stamps_ns)
    if steps.size < 2:
        return times, 0
    off = (np.abs(steps) > REWIND_NS)[:-1] & (np.abs(steps) > REWIND_NS)[1:]
    agree = np.abs(steps[:-1] + steps[1:]) <= REWIND_NS
    stray = np.zeros(len(times), dtype=np.bool_)
    stray[1:-1] = off & agree
    return times.chosen(~stray), int(stray.sum())


def runs_backwards(times: Times) -> bool:
    """Whether most stamps lie before the one before: no order of delivery does that."""
    steps = np.diff(times.stamps_ns)
    return steps.size > 2 and 3 * int((steps < 0).sum()) > 2 * steps.size


def jumps(times: Times, *, back_ns: int = REWIND_NS, silences: bool = True) -> Integers:
    """Numbers of the messages at which the clock of a stream was set, or a long silence ended.

    A stamp that goes back further, one that goes ahead by `REWIND_NS` (as live) more than time
    passed, and one after `SILENCE_NS` belong to another piece. One message that comes late, by
    less than `REWIND_NS`, is none: the one after it goes on.

    Args:
        times: In the order of the bag.
        back_ns: How far before the stamp that is due one may lie; at most `REWIND_NS` is used.
        silences: Whether silence counts; commands may be rare.
    """
    if len(times) < 2:
        return np.empty(0, np.int64)
    steps = np.diff(times.stamps_ns)
    passed = np.diff(times.received_ns)
    ahead = steps[steps > 0]
    due = float(np.median(ahead)) if ahead.size else 0.0
    goes_on = np.append(steps[:-1] + steps[1:] > 0, True)
    back = (steps < 0) & (steps - due < -min(back_ns, REWIND_NS)) & ~goes_on
    cut: Booleans = back | (steps < -REWIND_NS) | (steps - np.maximum(passed, 0) > REWIND_NS)
    if silences:
        cut |= steps > SILENCE_NS
    return times.numbers[1:][cut]


def pieces(cuts: Iterable[int], messages: int) -> list[tuple[int, int]]:
    """``[first, end)`` of the numbers between cuts that lie apart."""
    edges = sorted({0, *(int(cut) for cut in cuts), messages})
    return list(pairwise(edges))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How often a stream really came.

    Attributes:
        messages: How many there are.
        rate_hz: 1 / median of the differences of stamps; 0 where there are none.
        missing: Share of the messages that this rate would have given and that are not there.
        out_of_order: Stamps before an earlier one.
        duplicates: Stamps equal to the one before.
    """

    messages: int
    rate_hz: float
    missing: float
    out_of_order: int
    duplicates: int


def measure_rate(times: Times) -> Rate:
    """Of all messages of a stream; silences and jumps of its clock do not count."""
    steps = np.diff(times.stamps_ns)
    ordered = np.diff(np.sort(times.stamps_ns))
    ordered = ordered[(ordered > 0) & (ordered <= SILENCE_NS)]
    median_ns = float(np.median(ordered)) if ordered.size else 0.0
    missed = int(np.maximum(np.rint(ordered / median_ns) - 1, 0).sum()) if median_ns else 0
    return Rate(
        messages=len(times),
        rate_hz=1e9 / median_ns if median_ns else 0.0,
        missing=missed / (missed + ordered.size + 1),
        out_of_order=int((steps < 0).sum()),
        duplicates=int((steps == 0).sum()),
    )
