"""Which message of each stream belongs to each tick of the grid t0 + n / fps.

Letters in shapes: T ticks.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count, pairwise

import numpy as np

from vla_core.errors import SampleError
from vla_core.sampling import as_of
from vla_recorder.convert.clock import Integers, Times
from vla_recorder.convert.sources import Source

SECOND_NS = 1_000_000_000
_LOST = -1
STARTUP_NS = SECOND_NS  # a stream may begin so long after the mark, or another, without a loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When an episode was, as its marks say; None: as its data say.

    Attributes:
        trim_start_ns: Left out at its begin.
        trim_end_ns: Left out at its end.
    """

    start_ns: int | None = None
    stop_ns: int | None = None
    trim_start_ns: int = 0
    trim_end_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """The ticks of one episode, all of them complete.

    Attributes:
        ticks_ns: (T,) times.
        chosen: By source, (T,) numbers of the messages.
        ages_ns: By source, (T,) how old they are at their ticks.
        lost: By source, how many ticks were lost because it had no fresh message.
        lost_ticks: Ticks that lack any source, or lie beside the longest piece.
        short: Why there is no time for two ticks, if there is none.
    """

    ticks_ns: Integers
    chosen: Mapping[str, Integers]
    ages_ns: Mapping[str, Integers]
    lost: Mapping[str, int]
    lost_ticks: int
    short: str = ""

    def __len__(self) -> int:
        return int(self.ticks_ns.size)


def ticks(t0_ns: int, end_ns: int, fps: float) -> Iterator[int]:
    """Times from ``t0_ns`` to ``end_ns``, each rounded down by itself: nothing adds up."""
    step = SECOND_NS / Fraction(str(fps))
    for n in count():
        t_ns = t0_ns + n * step.numerator // step.denominator
        if t_ns > end_ns:
            return
        yield t_ns


def make_plan(
    times: Mapping[str, Times],
    sources: Sequence[Source],
    fps: float,
    window: Window,
    *,
    allow_gaps: bool = False,
) -> Plan:
    """Choose for every tick the newest fresh message of every source, by the rule that is live.

    Ticks count as lost between the begin and the end of the episode: its marks, else all of its
    sensors (begin) and the last of its sensors (end). Before the first and after the last command
    there is nothing to learn; such ticks are left out and are no loss.

    Args:
        times: By source; in any order.
        sources: What every tick needs.
        fps: Ticks per second.
        window: Of the episode.
        allow_gaps: Keep all complete ticks; else the longest piece without a lost one.

    Returns:
        A plan without ticks where a source has no message at all.
    """
    ordered = {source.name: times[source.name].sorted() for source in sources}
    if empty := [name for name, of_source in ordered.items() if not len(of_source)]:
        return _nothing(ordered, empty, fps)
    t0_ns, end_ns, late = _bounds(ordered, sources, window, fps)
    stamps = {name: of_source.stamps_ns.data for name, of_source in ordered.items()}
    rows = {source.name: array("q") for source in sources}
    lost = dict.fromkeys(rows, 0)
    all_ns = array("q", ticks(t0_ns, end_ns, fps))
    for source in sources:
        of_source, row = stamps[source.name], rows[source.name]
        for t_ns in all_ns:
            try:
                row.append(as_of(of_source, t_ns, source.tolerance_ns))
            except SampleError:
                row.append(_LOST)
                lost[source.name] += 1
    table = {name: np.array(row, np.int64) for name, row in rows.items()}
    complete = np.flatnonzero(np.all([row != _LOST for row in table.values()], axis=0))
    kept = complete if allow_gaps else complete[_longest(complete)]
    ticks_ns = np.array(all_ns, np.int64)[kept]
    index = {name: row[kept] for name, row in table.items()}
    return Plan(
        ticks_ns=ticks_ns,
        chosen={name: ordered[name].numbers[at] for name, at in index.items()},
        ages_ns={name: ticks_ns - ordered[name].stamps_ns[at] for name, at in index.items()},
        lost={name: missing for name, missing in lost.items() if missing},
        lost_ticks=len(all_ns) - kept.size + late,
        short=_short(window, t0_ns, end_ns) if len(all_ns) < 2 else "",
    )


def _short(window: Window, t0_ns: int, end_ns: int) -> str:
    """Why two ticks do not fit between the begin and the end of an episode."""
    trim_ns = window.trim_start_ns + window.trim_end_ns
    if trim_ns and end_ns - t0_ns + trim_ns > 0:
        return f"{trim_ns / SECOND_NS:g} s are trimmed of {(end_ns - t0_ns + trim_ns) / 1e9:.3f} s"
    if window.start_ns is not None and window.stop_ns is not None:
        return f"{(window.stop_ns - window.start_ns) / SECOND_NS:.3f} s lie between its marks"
    return "its streams and commands have no time in common"


def _nothing(ordered: Mapping[str, Times], empty: Sequence[str], fps: float) -> Plan:
    stamps_ns = np.concatenate([of_source.stamps_ns for of_source in ordered.values()])
    span_ns = int(np.ptp(stamps_ns)) if stamps_ns.size else 0
    lost_ticks = int(span_ns * fps // SECOND_NS)
    none = np.empty(0, np.int64)
    return Plan(
        ticks_ns=none,
        chosen=dict.fromkeys(ordered, none),
        ages_ns=dict.fromkeys(ordered, none),
        lost=dict.fromkeys(empty, lost_ticks) if lost_ticks else {},
        lost_ticks=lost_ticks,
    )


def _bounds(
    ordered: Mapping[str, Times], sources: Sequence[Source], window: Window, fps: float
) -> tuple[int, int, int]:
    """First tick, last time, and how many ticks a late sensor has cost before the first."""
    sensors = [s.name for s in sources if not s.is_command]
    commands = [s for s in sources if s.is_command]
    firsts = {name: int(of_source.stamps_ns[0]) for name, of_source in ordered.items()}
    lasts = {name: int(of_source.stamps_ns[-1]) for name, of_source in ordered.items()}
    begin_ns = max(firsts[name] for name in sensors)
    wanted_ns = window.start_ns
    if wanted_ns is None:
        wanted_ns = min(firsts[name] for name in sensors)
    if wanted_ns < begin_ns <= wanted_ns + STARTUP_NS:
        wanted_ns = begin_ns
    begin_ns = max(begin_ns, wanted_ns)
    first_ns = begin_ns + window.trim_start_ns
    last_ns = window.stop_ns if window.stop_ns is not None else max(lasts[n] for n in sensors)
    last_ns -= window.trim_end_ns
    for command in commands:
        first_ns = max(first_ns, firsts[command.name])
        last_ns = min(last_ns, lasts[command.name] + command.tolerance_ns)
    late_ns = max(0, min(begin_ns, last_ns) - wanted_ns - window.trim_start_ns)
    return first_ns, last_ns, int(late_ns * fps // SECOND_NS)


def _longest(places: Integers) -> slice:
    """The longest run of places that follow each other; the first of equal ones."""
    breaks = np.flatnonzero(np.diff(places) != 1) + 1
    edges = [0, *breaks.tolist(), places.size]
    begin, end = max(pairwise(edges), key=lambda run: run[1] - run[0])
    return slice(begin, end)
