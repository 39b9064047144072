"""Losses against what a bag says it holds: what is missing, and what damage did no harm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from vla_recorder.bags.types import Loss


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
