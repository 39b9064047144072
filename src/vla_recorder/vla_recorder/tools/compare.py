"""Whether datasets can be one dataset, and in what they differ where they cannot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vla_core.dataset.episode import Feature
from vla_core.dataset.info import DatasetInfo

_SHOWN = 4


def differences(first: DatasetInfo, second: DatasetInfo) -> list[str]:
    """One line for each difference that matters, in the words "here" and "there"."""
    found = [
        f"{key}: {ours} here, {theirs} there"
        for key, ours, theirs in (
            ("fps", first.fps, second.fps),
            ("robot_type", first.robot_type, second.robot_type),
        )
        if ours != theirs
    ]
    return [*found, *_features(first.features, second.features)]


def _features(ours: Mapping[str, Feature], theirs: Mapping[str, Feature]) -> Iterator[str]:
    for name in dict.fromkeys([*ours, *theirs]):
        if name not in theirs or name not in ours:
            yield f"{name}: only {'here' if name in ours else 'there'}"
            continue
        mine, other = ours[name], theirs[name]
        if mine.dtype != other.dtype:
            yield f"{name}: {mine.dtype} here, {other.dtype} there"
        if mine.shape != other.shape:
            yield f"{name}: shape {list(mine.shape)} here, {list(other.shape)} there"
        if mine.names != other.names:
            yield f"{name}: names: {_names(mine.names, other.names)}"


def _names(ours: Sequence[str] | None, theirs: Sequence[str] | None) -> str:
    if ours is None or theirs is None:
        return f"none {'here' if ours is None else 'there'}"
    here = [name for name in ours if name not in theirs]
    there = [name for name in theirs if name not in ours]
    if not here and not there:
        at = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), 0)
        return f"another order: dimension {at} is {ours[at]} here, {theirs[at]} there"
    parts = [
        f"only {side} {', '.join(names[:_SHOWN])}{' ...' if len(names) > _SHOWN else ''}"
        for side, names in (("here", here), ("there", there))
        if names
    ]
    return "; ".join(parts)
