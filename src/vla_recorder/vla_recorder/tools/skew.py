"""How old samples were at their ticks, as a conversion has counted: ``meta/conversion.json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_core.dataset.info import MAX_JSON_BYTES, damaged
from vla_core.json_file import read_object

MANIFEST = Path("meta") / "conversion.json"
_MAX_BINS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Skew:
    """Of one stream: how many samples were between one age and the next, N bins.

    Attributes:
        edges_ms: (N + 1,) rising.
        counts: (N,).
    """

    edges_ms: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]


def read_manifest(root: Path) -> dict[str, Any] | None:
    """What the conversion says of itself; None for datasets that were made otherwise.

    Raises:
        DatasetError: It cannot be read.
    """
    file = root / MANIFEST
    if not file.exists():
        return None
    try:
        return read_object(file, MAX_JSON_BYTES)
    except ValueError as error:
        raise damaged(file, error, "a JSON object") from error


def skew_of(manifest: Mapping[str, Any]) -> dict[str, Skew]:
    """By stream, summed over the episodes whose bins are those of the first."""
    found: dict[str, Skew] = {}
    for name, one in _entries(manifest):
        first = found.setdefault(name, one)
        if first is not one and np.array_equal(first.edges_ms, one.edges_ms):
            found[name] = Skew(first.edges_ms, first.counts + one.counts)
    return found


def _entries(value: Any) -> Iterator[tuple[str, Skew]]:
    """All entries of all blocks called ``skew``, wherever they stand."""
    if isinstance(value, list):
        for item in value:
            yield from _entries(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "skew" and isinstance(item, dict):
                yield from ((n, skew) for n, raw in item.items() if (skew := _skew(raw)))
            else:
                yield from _entries(item)


def _skew(raw: Any) -> Skew | None:
    """None for what is no histogram."""
    try:
        edges = np.array(raw["edges_ms"], dtype=np.float64)
        counts = np.array(raw["counts"], dtype=np.int64)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    whole = edges.ndim == counts.ndim == 1 and len(edges) == len(counts) + 1 <= _MAX_BINS
    return Skew(edges, counts) if whole and (np.diff(edges) > 0).all() else None
