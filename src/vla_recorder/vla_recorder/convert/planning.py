"""From scanned bags to the episodes to be made."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from vla_core.contract import Contract
from vla_recorder.convert.checks import (
    check_contract,
    check_rates,
    common_action,
    common_depth,
)
from vla_recorder.convert.clock import pieces
from vla_recorder.convert.episodes import Marked, episodes
from vla_recorder.convert.errors import ConvertError
from vla_recorder.convert.extract import EpisodeTask
from vla_recorder.convert.layout import layout
from vla_recorder.convert.manifest import identity
from vla_recorder.convert.options import ActionSource, Options
from vla_recorder.convert.pictures import Fit
from vla_recorder.convert.scan import Scan
from vla_recorder.convert.work import Work
from vla_recorder.marks import Mark

_log = logging.getLogger(__name__)


def plan_episodes(
    scans: Sequence[Scan], contract: Contract, text: str, options: Options, work: Work
) -> tuple[list[EpisodeTask], list[dict[str, str]]]:
    """The episodes to make, in the order of the bags, and those that are left out on purpose.

    Args:
        scans: Of the bags.
        contract: Of the robot.
        text: Of the contract.
        options: Of the conversion.
        work: Where episodes are staged.

    Raises:
        ConvertError: A bag does not fit the contract, or the others; or there is no episode.
    """
    action, depth = common_action(contract, scans, options.action), common_depth(scans)
    fit = Fit(crop=options.crop, resize=options.resize)
    fit.check([camera.name for camera in contract.cameras])
    layout(contract, depth, fit, options.keys)
    tasks, left_out = [], []
    for scanned in scans:
        found = episodes(scanned.marks, scanned.custom)
        if scanned.other_marks:
            topics = ", ".join(scanned.other_marks)
            _log.info("%s: marks of another robot are not used: %s", scanned.bag.name, topics)
        if not options.allow_contract:
            hashes = [marked.label.contract_sha256 for marked in found]
            check_contract(scanned, hashes, contract, text)
        if not options.allow_rate:
            check_rates(scanned, contract)
        for marked in found:
            if why := _unwanted(marked, scanned, options):
                left_out.append({"bag": scanned.bag.name, "episode": marked.episode, "why": why})
            else:
                tasks.append(_task(scanned, marked, contract, options, action, depth, work))
    if not tasks:
        raise ConvertError(
            "the bags hold no episode to convert",
            found="; ".join(f"{entry['episode']}: {entry['why']}" for entry in left_out),
            fix="to take episodes that were marked bad: --include-bad",
        )
    return tasks, left_out


def _unwanted(marked: Marked, scanned: Scan, options: Options) -> str:
    """Why an episode is left out; empty if it is not."""
    if marked.discarded:
        return "discarded"
    if marked.label.bad and not options.include_bad:
        return f"bad: {marked.label.bad}"
    if marked.stop is not None and not _overlaps(marked.stop, scanned, options.receive_time):
        return "ended before this bag begins"  # its marks were kept for late subscribers
    return ""


def _overlaps(stop: Mark, scanned: Scan, by_receipt: bool) -> bool:
    stop_ns = stop.received_ns if by_receipt else stop.time_ns
    return any(len(t) and int(t.stamps_ns.min()) < stop_ns for t in scanned.times.values())


def _task(
    scanned: Scan,
    marked: Marked,
    contract: Contract,
    options: Options,
    action: ActionSource,
    depth: frozenset[str],
    work: Work,
) -> EpisodeTask:
    label = marked.label
    touched = _touched(scanned, marked)
    fps = options.fps or contract.policy_rate_hz
    about: dict[str, Any] = {
        "episode": marked.episode,
        "task": _text(scanned, marked, options),
        "operator": label.operator,
        "success": label.success,
        "bad": label.bad,
        "cut": marked.cut,
    }
    begin = {"begin": marked.start.number} if marked.start else {}  # ids may be empty
    name = identity(scanned, contract, options, fps=fps, action=action, about=about | begin)
    return EpisodeTask(
        bag=scanned.bag.absolute(),
        folder=work.staged(name),
        contract=contract,
        options=options,
        fps=fps,
        text=about["task"],
        marked=marked,
        action=action,
        topics=scanned.topics,
        times={n: t.between(touched[0][0], touched[-1][1]) for n, t in scanned.times.items()},
        pieces=touched,
        depth=depth,
        about={"id": name, "bag": scanned.bag.name, **about},
    )


def _text(scanned: Scan, marked: Marked, options: Options) -> str:
    """The task in words.

    Raises:
        ConvertError: Nobody has told it.
    """
    if text := options.task or marked.label.task:
        return text
    raise ConvertError(
        "an episode has no task in words",
        where=f"{scanned.bag}, {marked.episode or 'whole bag'}",
        fix="give it: --task",
    )


def _touched(scanned: Scan, marked: Marked) -> tuple[tuple[int, int], ...]:
    """The pieces of a bag in which an episode lies."""
    first = marked.start.number if marked.start else 0
    last = marked.stop.number if marked.stop else scanned.messages
    return tuple(
        piece
        for piece in pieces(scanned.cuts, scanned.messages)
        if piece[0] <= last and first < piece[1]
    )
