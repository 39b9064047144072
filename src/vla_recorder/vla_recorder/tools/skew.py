"""How old samples were at their ticks, as the conversion of each episode has counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

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


def skew_of(extras: Iterable[Mapping[str, Any]]) -> dict[str, Skew]:
    """By stream, summed over the episodes whose bins are those of the first.

    Args:
        extras: What is known of each episode; of what was not made by a conversion, nothing.
    """
    found: dict[str, Skew] = {}
    for extra in extras:
        entries = extra.get("skew")
        for name, raw in entries.items() if isinstance(entries, dict) else ():
            if (one := _skew(raw)) is None:
                continue
            first = found.setdefault(name, one)
            if first is not one and np.array_equal(first.edges_ms, one.edges_ms):
                found[name] = Skew(first.edges_ms, first.counts + one.counts)
    return found


def _skew(raw: Any) -> Skew | None:
    """None for what is no histogram."""
    try:
        edges = np.array(raw["edges_ms"], dtype=np.float64)
        counts = np.array(raw["counts"], dtype=np.int64)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    whole = edges.ndim == counts.ndim == 1 and len(edges) == len(counts) + 1 <= _MAX_BINS
    return Skew(edges, counts) if whole and (np.diff(edges) > 0).all() else None
