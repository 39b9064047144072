"""One episode of a bag, staged on disk: the unit of work of every engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from vla_core.contract import Contract
from vla_core.dataset.staging import EpisodeWriter
from vla_recorder.bags import Decoder, open_bag
from vla_recorder.convert.clock import Times
from vla_recorder.convert.episodes import Marked
from vla_recorder.convert.errors import ConvertError
from vla_recorder.convert.gather import gather
from vla_recorder.convert.grid import Plan, Window, make_plan
from vla_recorder.convert.idle import IdleFilter
from vla_recorder.convert.layout import layout
from vla_recorder.convert.options import ActionSource, Options
from vla_recorder.convert.pictures import Fit, Stillness
from vla_recorder.convert.report import report_damage, report_plan, report_stillness
from vla_recorder.convert.rows import Damage, DamagedMessage, Row, RowReader
from vla_recorder.convert.sources import choose_sources

MIN_ROWS: Final = 2
_REPORT_ROWS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EpisodeTask:
    """An episode to be made.

    Attributes:
        bag: Where it is.
        folder: Where it is staged.
        contract: Of the robot.
        options: Of the conversion.
        fps: Rows per second.
        text: The task in words.
        marked: What its marks say.
        action: What the action is made of.
        topics: By source, the topic in the bag.
        times: By source, the messages of the pieces.
        pieces: Numbers ``[first, end)`` between jumps of clocks.
        depth: Cameras that measure depth.
        about: What is known of it beside its data; kept with it, as JSON has it.
    """

    bag: Path
    folder: Path
    contract: Contract
    options: Options
    fps: float
    text: str
    marked: Marked
    action: ActionSource
    topics: Mapping[str, str]
    times: Mapping[str, Times]
    pieces: tuple[tuple[int, int], ...]
    depth: frozenset[str]
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """What became of a task.

    Attributes:
        folder: Of the staged episode; None: too little was left of it.
        report: Rows, losses, ages of messages at ticks; as JSON has it.
    """

    folder: Path | None
    report: Mapping[str, Any]


def extract_episode(task: EpisodeTask, progress: Callable[[int], None]) -> Extracted:
    """Read, sample, lay out and encode one episode; no state is shared with any other.

    A message that cannot be read counts as one that was never recorded: its ticks take the one
    before it while that is fresh.

    Args:
        task: Which.
        progress: Told of the rows that were made.

    Raises:
        BagError, ConvertError, DatasetError: It cannot be made.
    """
    damaged: dict[int, Damage] = {}
    while True:
        piece, plan, lost_ticks = _best_plan(task, damaged)
        report = {**task.about, **report_plan(plan, lost_ticks), **report_damage(damaged.values())}
        if len(plan) < MIN_ROWS:
            return Extracted(folder=None, report=report | {"rows": 0})
        try:
            return _write(task, plan, report, progress)
        except DamagedMessage:
            found = {damage.number: damage for damage in _damage(task, piece)}
            if not found.keys() - damaged.keys():
                raise ConvertError(
                    "a message is damaged in one reading and whole in the next",
                    where=str(task.bag),
                    fix="check the disk",
                ) from None
            damaged |= found


def _best_plan(
    task: EpisodeTask, damaged: Mapping[int, Damage]
) -> tuple[tuple[int, int], Plan, int]:
    """The piece with the most ticks, its plan, and the ticks lost in all pieces."""
    sources = choose_sources(task.contract, task.topics, task.action, task.options.tolerance_s)
    bad = np.fromiter(damaged, np.int64)
    plans = {}
    for piece in task.pieces:
        times = {
            source.name: _without(task.times[source.name].between(*piece), bad)
            for source in sources
        }
        plans[piece] = make_plan(
            times, sources, task.fps, _window(task, piece), allow_gaps=task.options.allow_gaps
        )
    best = max(plans, key=lambda piece: len(plans[piece]))
    beside = sum(len(plan) for piece, plan in plans.items() if piece != best)
    return best, plans[best], beside + sum(plan.lost_ticks for plan in plans.values())


def _without(times: Times, numbers: np.ndarray[Any, np.dtype[np.int64]]) -> Times:
    return times.chosen(~np.isin(times.numbers, numbers)) if numbers.size else times


def _window(task: EpisodeTask, piece: tuple[int, int]) -> Window:
    """A mark says when an episode was only by the clock of its own piece."""

    def time_ns(which: str) -> int | None:
        mark = getattr(task.marked, which)
        if mark is None or not piece[0] <= mark.number < piece[1]:
            return None
        return int(mark.received_ns if task.options.receive_time else mark.time_ns)

    return Window(
        start_ns=time_ns("start"),
        stop_ns=time_ns("stop"),
        trim_start_ns=round(1e9 * task.options.trim_start_s),
        trim_end_ns=round(1e9 * task.options.trim_end_s),
    )


def _reader(task: EpisodeTask, decoder: Decoder) -> RowReader:
    return RowReader(
        task.contract,
        action=task.action,
        depth=task.depth,
        fit=Fit(crop=task.options.crop, resize=task.options.resize),
        decode=lambda raw: decoder.decode(raw.topic, memoryview(raw.data)),  # not copied
    )


def _damage(task: EpisodeTask, piece: tuple[int, int]) -> Iterator[Damage]:
    """Every message of the piece that cannot be read."""
    sources = choose_sources(task.contract, task.topics, task.action, task.options.tolerance_s)
    names = {source.topic: source.name for source in sources}
    with open_bag(task.bag) as bag:
        reader = _reader(task, Decoder(bag.topics))
        for raw in bag.messages(names):
            if raw.number >= piece[1]:
                return
            if raw.number >= piece[0]:
                try:
                    reader.check(names[raw.topic], raw)
                except DamagedMessage as error:
                    yield error.damage


def _write(
    task: EpisodeTask, plan: Plan, report: dict[str, Any], progress: Callable[[int], None]
) -> Extracted:
    contract, options = task.contract, task.options
    fit = Fit(crop=options.crop, resize=options.resize)
    names = layout(contract, task.depth, fit, options.keys)
    idle = IdleFilter(contract, task.fps) if options.drop_idle else None
    still = {camera.name: Stillness() for camera in contract.cameras}
    rows = 0
    with EpisodeWriter(
        task.folder, features=names.features, fps=task.fps, encoding=options.encoding
    ) as writer:
        for stamp_ns, row in _rows(task, plan):
            for camera in row.fresh:
                still[camera].add(row.pictures[camera], stamp_ns)
            if idle is not None and not idle.keeps(row.state, row.action):
                continue
            writer.add(
                {
                    names.state: row.state.astype(np.float32),
                    names.action: row.action.astype(np.float32),
                },
                {names.cameras[camera]: picture for camera, picture in row.pictures.items()},
                task.text,
            )
            rows += 1
            if rows % _REPORT_ROWS == 0:
                progress(_REPORT_ROWS)
        report |= {"rows": rows, "left_out_idle": idle.dropped if idle else 0}
        report |= report_stillness(still)
        if rows < MIN_ROWS:
            writer.discard()
            return Extracted(folder=None, report=report)
        writer.commit(report)
    progress(rows % _REPORT_ROWS)
    return Extracted(folder=task.folder, report=report)


def _rows(task: EpisodeTask, plan: Plan) -> Iterator[tuple[int, Row]]:
    """Tick by tick; made of states, an action is that of the next tick: the last one has none."""
    with open_bag(task.bag) as bag:
        reader = _reader(task, Decoder(bag.topics))
        messages = bag.messages({task.topics[name] for name in plan.chosen})
        ticks = zip(plan.ticks_ns.tolist(), gather(messages, plan.chosen), strict=True)
        rows = ((t_ns, reader.read(raw, t_ns)) for t_ns, raw in ticks)
        yield from _with_next(rows, task.fps) if task.action is ActionSource.STATE else rows


def _with_next(rows: Iterator[tuple[int, Row]], fps: float) -> Iterator[tuple[int, Row]]:
    last_ns, last = next(rows)
    for t_ns, row in rows:
        if t_ns - last_ns < 1.5e9 / fps:  # else ticks between the two were lost
            yield last_ns, replace(last, action=row.action)
        last_ns, last = t_ns, row
