"""Normalisation statistics of states and actions, and their file `norm_stats.json`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_core.errors import CheckpointError

Vector = npt.NDArray[np.float64]

MAX_FILE_BYTES = 16 * 2**20
_FIX = "write the file with save_norm_stats, or take it from the checkpoint that was trained"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NormStats:
    """Statistics of one quantity, each (D,) float64 in the units of that quantity.

    D may be larger than the robot's dimensions (padded statistics) or smaller.
    """

    mean: Vector
    std: Vector
    q01: Vector | None = None
    q99: Vector | None = None

    def cut(self, dims: int) -> NormStats:
        """The first dimensions alone."""
        return NormStats(
            mean=self.mean[:dims],
            std=self.std[:dims],
            q01=None if self.q01 is None else self.q01[:dims],
            q99=None if self.q99 is None else self.q99[:dims],
        )


def load_norm_stats(path: Path) -> dict[str, NormStats]:
    """Read openpi's `norm_stats.json`: `{"norm_stats": {"state": {"mean": [..], ..}, ..}}`.

    Args:
        path: The file.

    Returns:
        Statistics by the name of the quantity, as a rule `state` and `actions`.

    Raises:
        CheckpointError: The file is missing, too large, not JSON, of another layout, or holds
            numbers that cannot be.
    """
    where = str(path)
    try:
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise _bad(
                "normalisation statistics are too large", where, f"{size} bytes", MAX_FILE_BYTES
            )
        root = json.loads(path.read_bytes())
    except OSError as error:
        raise _bad("no normalisation statistics", where, error.strerror, "a file") from error
    except (ValueError, RecursionError) as error:
        raise _bad("normalisation statistics are not JSON", where, error, "JSON") from error
    entries = root.get("norm_stats") if isinstance(root, dict) else None
    if not isinstance(entries, dict) or not entries:
        raise _bad(
            "statistics of an unknown layout", where, type(root).__name__, '{"norm_stats": {..}}'
        )
    return {name: _read_entry(entry, f"{where}, {name}") for name, entry in entries.items()}


def save_norm_stats(path: Path, stats: Mapping[str, NormStats]) -> None:
    """Write statistics as openpi does; the file appears whole or not at all."""
    entries = {
        name: {
            field: None if (vector := getattr(entry, field)) is None else vector.tolist()
            for field in ("mean", "std", "q01", "q99")
        }
        for name, entry in stats.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump({"norm_stats": entries}, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _read_entry(entry: object, where: str) -> NormStats:
    if not isinstance(entry, dict):
        raise _bad(
            "statistics are not a mapping", where, type(entry).__name__, "mean, std, q01, q99"
        )
    mean, std = (_read_vector(entry.get(field), f"{where}.{field}") for field in ("mean", "std"))
    q01, q99 = (
        None if entry.get(field) is None else _read_vector(entry[field], f"{where}.{field}")
        for field in ("q01", "q99")
    )
    lengths = {vector.size for vector in (mean, std, q01, q99) if vector is not None}
    if len(lengths) != 1:
        raise _bad("statistics differ in length", where, sorted(lengths), "one length")
    if (std < 0).any():
        raise _bad("a standard deviation is negative", where, std.min(), ">= 0")
    if (q01 is None) != (q99 is None):
        raise _bad("only one of the two quantiles is given", where, "q01 or q99", "both or none")
    if q01 is not None and q99 is not None and (q99 < q01).any():
        raise _bad("q99 lies below q01", where, (q99 - q01).min(), "q99 >= q01")
    return NormStats(mean=mean, std=std, q01=q01, q99=q99)


def _read_vector(values: object, where: str) -> Vector:
    numbers = isinstance(values, list) and all(type(value) in (int, float) for value in values)
    if not numbers or not values:
        raise _bad("not a list of numbers", where, type(values).__name__, "a list of numbers")
    try:
        vector = np.array(values, dtype=np.float64)
    except OverflowError:  # JSON integers have no upper limit
        vector = np.array([np.inf])
    if not np.isfinite(vector).all():
        raise _bad("a statistic is not finite", where, vector[~np.isfinite(vector)][0], "finite")
    return vector


def _bad(what: str, where: str, found: Any, allowed: Any) -> CheckpointError:
    return CheckpointError(what, where=where, found=found, allowed=allowed, fix=_FIX)
