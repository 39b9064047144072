"""Normalisation statistics of states and actions, and their file `norm_stats.json`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_core.errors import CheckpointError
from vla_core.json_file import read_object

Vector = npt.NDArray[np.float64]

MAX_FILE_BYTES = 16 * 2**20
_NEEDED = ("mean", "std")
_BOUNDS = (("q01", "q99"), ("min", "max"), ("q10", "q90"))
_ALWAYS_WRITTEN = ("mean", "std", "q01", "q99")  # openpi's file, null where there are none
_FIX = "write the file with save_norm_stats, or take it from the checkpoint that was trained"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NormStats:
    """Statistics of one quantity, each (D,) float64 in the units of that quantity.

    D may be larger than the robot's dimensions (padded statistics) or smaller. openpi knows the
    first four; LeRobot's datasets have them all.
    """

    mean: Vector
    std: Vector
    q01: Vector | None = None
    q99: Vector | None = None
    min: Vector | None = None
    max: Vector | None = None
    q10: Vector | None = None
    q90: Vector | None = None

    @classmethod
    def checked(cls, vectors: Mapping[str, Vector], where: str) -> NormStats:
        """What a file holds, by field; numbers that no data can have are a CheckpointError."""
        sizes = {vector.shape for vector in vectors.values()}
        if len(sizes) != 1 or len(*sizes) != 1:
            raise _bad("statistics differ in length", where, sorted(sizes), "one length")
        for name, vector in vectors.items():
            if not np.isfinite(vector).all():
                found = vector[~np.isfinite(vector)][0]
                raise _bad("a statistic is not finite", f"{where}.{name}", found, "finite")
        if (vectors["std"] < 0).any():
            raise _bad("a standard deviation is negative", where, vectors["std"].min(), ">= 0")
        for low, high in _BOUNDS:
            if (low in vectors) != (high in vectors):
                raise _bad(
                    "only one of two bounds is given", where, f"{low} or {high}", "both or none"
                )
            if low in vectors and (found := (vectors[high] - vectors[low]).min()) < 0:
                raise _bad(f"{high} lies below {low}", where, found, f"{high} >= {low}")
        return cls(**vectors)

    def cut(self, dims: int) -> NormStats:
        """The first dimensions alone."""
        return NormStats(**{name: vector[:dims] for name, vector in self._vectors()})

    def _vectors(self) -> list[tuple[str, Vector]]:
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        return [(name, vector) for name, vector in named if vector is not None]


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
        root = read_object(path, MAX_FILE_BYTES)
    except ValueError as error:
        allowed = f"one JSON object of at most {MAX_FILE_BYTES} bytes"
        raise _bad("no normalisation statistics", where, error, allowed) from error
    entries = root.get("norm_stats")
    if not isinstance(entries, dict) or not entries:
        raise _bad(
            "statistics of an unknown layout", where, sorted(root)[:8], '{"norm_stats": {..}}'
        )
    return {name: _read_entry(entry, f"{where}, {name}") for name, entry in entries.items()}


def save_norm_stats(path: Path, stats: Mapping[str, NormStats]) -> None:
    """Write statistics as openpi does; the file appears whole or not at all."""
    entries = {
        name: {
            field.name: None if vector is None else vector.tolist()
            for field in fields(entry)
            if (vector := getattr(entry, field.name)) is not None or field.name in _ALWAYS_WRITTEN
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
    vectors = {
        field.name: _read_vector(entry.get(field.name), f"{where}.{field.name}")
        for field in fields(NormStats)
        if field.name in _NEEDED or entry.get(field.name) is not None
    }
    return NormStats.checked(vectors, where)


def _read_vector(values: object, where: str) -> Vector:
    listed = values if isinstance(values, list) else []
    if not listed or not all(type(value) in (int, float) for value in listed):
        raise _bad("not a list of numbers", where, type(values).__name__, "a list of numbers")
    try:
        return np.array(listed, dtype=np.float64)
    except OverflowError:  # JSON integers have no upper limit
        return np.full(len(listed), np.inf)


def _bad(what: str, where: str, found: Any, allowed: Any) -> CheckpointError:
    return CheckpointError(what, where=where, found=found, allowed=allowed, fix=_FIX)
