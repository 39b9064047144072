"""Episodes that came twice: one recording, copied into another bag or under another name."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from vla_recorder.convert.extract import EpisodeTask

Span = tuple[int, int, str]  # first and last stamp in ns, and the bag


def without_twins(
    tasks: Sequence[EpisodeTask], runs: Sequence[Mapping[str, Any]]
) -> tuple[list[EpisodeTask], list[dict[str, str]]]:
    """The episodes that are there for the first time, and what is to be told of the others.

    Twins have one UUID and overlap in time: an episode may go on in a second bag.

    Args:
        tasks: To be made.
        runs: That made the dataset which these are appended to.
    """
    seen: dict[str, list[Span]] = {}
    for episode in (episode for run in runs for episode in run["episodes"]):
        if _is_unique(episode["episode"]) and episode["rows"]:
            span = (episode["begin_ns"], episode["end_ns"], episode["bag"])
            seen.setdefault(episode["episode"], []).append(span)
    kept, twins = [], []
    for task in tasks:
        name, (begin_ns, end_ns) = task.marked.episode, _span(task)
        spans = seen.setdefault(name, []) if _is_unique(name) else []
        if other := next((bag for b, e, bag in spans if begin_ns <= e and b <= end_ns), ""):
            why = f"the same recording as in {other}"
            twins.append({"bag": task.bag.name, "episode": name, "why": why, "twin": other})
        else:
            kept.append(task)
            spans.append((begin_ns, end_ns, task.bag.name))
    return kept, twins


def _is_unique(episode: str) -> bool:
    """Whether no other recorder can have given this id."""
    try:
        uuid.UUID(episode)
    except ValueError:
        return False
    return True


def _span(task: EpisodeTask) -> tuple[int, int]:
    stamps_ns = task.times[task.contract.streams[0].name].stamps_ns
    return (int(stamps_ns.min()), int(stamps_ns.max())) if stamps_ns.size else (0, -1)
