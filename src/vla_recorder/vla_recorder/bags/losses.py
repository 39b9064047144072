"""Losses against what a bag says it holds, and as a bag that was recovered tells them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from vla_recorder.bags.types import Loss

RECOVERED: Final = "recovered_losses"  # key of the metadata of a bag that was recovered
_TOLD: Final = 500  # pieces that are told one by one; a file of metadata holds 4 MB


def write_recovered(losses: Sequence[Loss]) -> str:
    """Losses as the metadata of a bag keep them; empty where no message was lost."""
    real = [loss for loss in losses if loss.messages != 0]
    told, rest = real[:_TOLD], real[_TOLD:]
    if rest:
        unknown = any(loss.messages is None for loss in rest)
        told.append(
            Loss(
                file="",
                what=f"{len(rest)} more damaged pieces",
                bytes=sum(loss.bytes for loss in rest),
                messages=None if unknown else sum(loss.messages or 0 for loss in rest),
            )
        )
    return json.dumps([plain(loss) for loss in told]) if told else ""


def read_recovered(custom: Mapping[str, str]) -> list[Loss]:
    """What had been lost when a bag was recovered; empty for one that never was."""
    if not (text := custom.get(RECOVERED, "")):
        return []
    try:
        return [_read(entry) for entry in json.loads(text)]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return [Loss(file=RECOVERED, what="losses that cannot be read")]


def plain(loss: Loss) -> dict[str, Any]:
    """As JSON has it."""
    return {**asdict(replace(loss, topics={})), "topics": dict(loss.topics)}


def _read(entry: Mapping[str, Any]) -> Loss:
    messages, offset = entry["messages"], entry["offset"]
    return Loss(
        file=str(entry["file"]),
        what=str(entry["what"]),
        offset=None if offset is None else int(offset),
        bytes=int(entry["bytes"]),
        messages=None if messages is None else int(messages),
        topics={str(topic): int(count) for topic, count in entry["topics"].items()},
        doubtful=bool(entry["doubtful"]),
    )


def balance(
    losses: list[Loss], *, expected: Mapping[str, int], kept: Mapping[str, int], file: str
) -> None:
    """Replaces "cannot be known" by numbers, where the bag counts its own messages.

    Args:
        losses: Changed in place.
        expected: Messages by topic as ``file`` counts them.
        kept: Messages by topic that were read.
        file: What holds that count.
    """
    missing = Counter(expected)
    missing.subtract(kept)
    for loss in losses:
        missing.subtract(loss.topics)
    nameless = sum((loss.messages or 0) - sum(loss.topics.values()) for loss in losses)
    total = missing.total() - nameless
    if total < 0 or any(count < 0 for count in missing.values()):
        return  # a count that is wrong itself proves nothing
    losses[:] = [
        replace(loss, messages=0) if loss.messages is None and not loss.doubtful else loss
        for loss in losses
    ]
    if total:
        topics = {} if nameless else dict(+missing)
        what = f"messages that {file} counts were not found"
        losses.append(Loss(file=file, what=what, messages=total, topics=topics))
