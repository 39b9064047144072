"""Bags in, a dataset out: scan, check, extract episode by episode, write, publish."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vla_core.contract import Contract
from vla_core.dataset.episode import Feature
from vla_core.dataset.info import DatasetInfo
from vla_core.dataset.read import open_dataset
from vla_core.dataset.staging import read_staged
from vla_core.dataset.write import write_dataset
from vla_core.errors import VlaError
from vla_recorder.bags.folder import find_files
from vla_recorder.convert.checks import read_contract
from vla_recorder.convert.engine import Engine
from vla_recorder.convert.errors import ConvertError
from vla_recorder.convert.extract import EpisodeTask, extract_episode
from vla_recorder.convert.layout import layout
from vla_recorder.convert.manifest import (
    FILE,
    describe_bag,
    losses,
    manifest,
    read_manifest,
    twin_lines,
)
from vla_recorder.convert.options import Options
from vla_recorder.convert.pictures import Fit
from vla_recorder.convert.planning import plan_episodes
from vla_recorder.convert.scan import Scan, ScanTask, scan
from vla_recorder.convert.twins import without_twins
from vla_recorder.convert.work import Existing, Work

_log = logging.getLogger(__name__)
DEFAULT_VERSION: Final = "v2.1"
HASH_KEY: Final = "vla_contract_sha256"
Bar = Callable[[str, int, str], AbstractContextManager[Callable[[int], None]]]
"""Of a title, a total and its unit: what to tell of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A conversion.

    Attributes:
        bags: Folders or files, in the order of their episodes.
        contract: Its file; None: the one in the first bag.
        output: The dataset.
        version: ``v2.1`` or ``v3.0``; None: that of the dataset to append to, else v2.1.
        options: How episodes are made.
        existing: What to do with an output that is there.
    """

    bags: tuple[Path, ...]
    contract: Path | None
    output: Path
    version: str | None
    options: Options
    existing: Existing


def convert(request: Request, engine: Engine, bar: Bar) -> list[str]:
    """Convert, and say what was lost, in lines.

    Raises:
        VlaError, OSError: Nothing was published; what was staged stays, for --resume.
    """
    existing, work = request.existing, Work(request.output)
    with work.opened(existing, request.bags):
        contract, text = read_contract(request.contract, request.bags)
        scans = _scan(request, contract, engine, bar)
        planned, left_out = plan_episodes(scans, contract, text, request.options, work)
        tasks, twins = without_twins(planned, [])
        before = _before(request, [task.folder.name for task in tasks])
        known = {episode["id"] for run in before for episode in run["episodes"]}
        new, more = without_twins([t for t in tasks if t.folder.name not in known], before)
        left_out += (twins := twins + more)
        _tell(left_out)
        if before and not new:
            _log.info("nothing to do: every episode is in %s already", work.output)
            work.remove()
            return [line for run in before for line in losses(run)] + twin_lines(twins)
        if before and not existing.append:
            raise ConvertError(
                "the output is another dataset",
                where=str(work.output),
                fix="give --append, --overwrite, or another --output",
            )
        run = {
            "contract_sha256": contract.sha256,
            "fps": new[0].fps,
            "action": new[0].action.value,
            "options": request.options.plain(),
            "bags": [describe_bag(scanned, contract) for scanned in scans],
            "episodes": _extract(new, engine, bar),
            "left_out": left_out,
        }
        _write(request, contract, text, new, [*before, run], work)
        work.publish()
    return losses(run)


def _tell(left_out: Sequence[Mapping[str, str]]) -> None:
    """What is left out on purpose; twins are told as losses."""
    reasons = Counter(entry["why"] for entry in left_out if "twin" not in entry)
    if reasons:
        by = ", ".join(f"{count} {why}" for why, count in reasons.items())
        _log.info("left out %d episodes: %s", reasons.total(), by)


def _before(request: Request, wanted: list[str]) -> list[dict[str, Any]]:
    """The runs that made the output, if it stays; none if there is none, or it is replaced.

    Args:
        wanted: Ids of the episodes that were asked for.

    Raises:
        ConvertError: What stays was not made by this converter, or is of another format.
    """
    output, existing = request.output, request.existing
    if not output.exists() or not any(output.iterdir()):
        return []
    if existing.overwrite and not existing.resume:
        return []
    try:
        runs = read_manifest(output)
        _check_version(output, request)
    except VlaError:
        if existing.overwrite:
            return []
        raise
    ids = [episode["id"] for run in runs for episode in run["episodes"]]
    # with overwrite, it stays only if it is what the interrupted conversion has already published
    return [] if existing.overwrite and ids != wanted else runs


def _check_version(output: Path, request: Request) -> None:
    found = open_dataset(output).info.version
    wanted = request.version or (found if request.existing.append else DEFAULT_VERSION)
    if found != wanted:
        raise ConvertError(
            "the output has another format",
            where=str(output),
            found=found,
            allowed=wanted,
            fix="give --format as it was, --overwrite, or another --output",
        )


def _scan(request: Request, contract: Contract, engine: Engine, bar: Bar) -> list[Scan]:
    """Read all bags once.

    Raises:
        ConvertError: Two of them are the same.
    """
    tasks = [
        ScanTask(bag=bag.absolute(), contract=contract, receive_time=request.options.receive_time)
        for bag in request.bags
    ]
    total = sum(file.stat().st_size for bag in request.bags for file in find_files(bag).files)
    with bar("reading", total, "B") as progress:
        scans = engine.run(scan, tasks, progress)
    seen: dict[tuple[str, ...], Scan] = {}
    for scanned in scans:
        other = seen.setdefault(tuple(sorted(scanned.sha256.values())), scanned)
        if other is not scanned:
            raise ConvertError("a bag was given twice", found=f"{other.bag} and {scanned.bag}")
    return scans


def _extract(tasks: Sequence[EpisodeTask], engine: Engine, bar: Bar) -> list[dict[str, Any]]:
    """The reports of all episodes, in order; what is staged already is not made again."""
    wanted = [task for task in tasks if not task.folder.exists()]
    if done := len(tasks) - len(wanted):
        _log.info("%d of %d episodes were finished before", done, len(tasks))
    total = sum(map(_expected_rows, wanted))
    with bar("converting", total, "frames") as progress:
        extracted = engine.run(extract_episode, wanted, progress)
    made = {task.folder: one.report for task, one in zip(wanted, extracted, strict=True)}
    return [
        dict(read_staged(task.folder).extra if task.folder.exists() else made[task.folder])
        for task in tasks
    ]


def _expected_rows(task: EpisodeTask) -> int:
    """For the progress bar: as many as the time of the episode would give."""
    marked, times = task.marked, task.times[task.contract.streams[0].name]
    if not len(times):
        return 0
    start_ns = marked.start.time_ns if marked.start else int(times.stamps_ns[0])
    stop_ns = marked.stop.time_ns if marked.stop else int(times.stamps_ns[-1])
    return max(0, round((stop_ns - start_ns) * task.fps / 1e9))


def _write(
    request: Request,
    contract: Contract,
    text: str,
    tasks: Sequence[EpisodeTask],
    runs: Sequence[Mapping[str, Any]],
    work: Work,
) -> None:
    """The dataset of what is staged, behind what it is appended to.

    Raises:
        ConvertError: Nothing is left of any episode, or the two do not fit.
    """
    options = request.options
    fit = Fit(crop=options.crop, resize=options.resize)
    features = layout(contract, tasks[0].depth, fit, options.keys).features
    episodes = [read_staged(task.folder) for task in tasks if task.folder.exists()]
    if not episodes:
        raise ConvertError(
            "no episode has two complete ticks in a row",
            found="; ".join(losses(runs[-1])),
            fix="where messages are damaged, look at what the contract says of them;"
            " where streams are slow, give --tolerance",
        )
    version, old = request.version or DEFAULT_VERSION, None
    if request.existing.append:
        old = open_dataset(work.output)
        _check_fit(old.info, request.version, contract, tasks[0].fps, features)
        version = old.info.version
    write_dataset(
        work.dataset,
        [*(old.episodes if old else ()), *episodes],
        version=version,
        fps=tasks[0].fps,
        robot_type=contract.robot,
        features=features,
        extra={HASH_KEY: contract.sha256},
        files={"meta/contract.yaml": text, FILE: manifest(runs)},
        overwrite=True,  # what an interrupted conversion has left there
    )


def _check_fit(
    info: DatasetInfo,
    version: str | None,
    contract: Contract,
    fps: float,
    features: Mapping[str, Feature],
) -> None:
    """What is appended must be of the same kind.

    Raises:
        ConvertError: It is not.
    """

    def kinds(of: Mapping[str, Feature]) -> dict[str, tuple[object, ...]]:
        return {key: (f.dtype, tuple(f.shape), f.names) for key, f in of.items()}

    pairs: list[tuple[str, object, object]] = [
        ("format", version or info.version, info.version),
        ("contract", contract.sha256, info.extra.get(HASH_KEY)),
        ("fps", fps, info.fps),
        ("features", kinds(features), kinds(info.features)),
    ]
    for name, found, allowed in pairs:
        if found != allowed:
            raise ConvertError(
                f"the dataset to append to has another {name}",
                found=found,
                allowed=allowed,
                fix="convert into another --output",
            )
