"""Statistics that a dataset states, against those of its data.

Shape letters: T rows of an episode, D dimensions of a feature.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_core.dataset.statistics import QUANTILES
from vla_recorder.tools.number_checks import Numbers
from vla_recorder.tools.report import FAIL, WARN, Report

FIX = "write them anew: dataset stats DIR OUTPUT"
CLOSE = 1e-3  # of the span: mean and deviation of float32 numbers, summed in another order
COARSE = 0.02  # of the span: quantiles that LeRobot takes from histograms
PICTURE = 0.05  # of 1: LeRobot samples frames, and before they are encoded


def check_numbers(
    report: Report, episode: int | None, name: str, stated: Mapping[str, Any], values: Numbers
) -> None:
    """Statistics of one feature, of an episode or (None) of a whole dataset, over (T, D)."""
    report.looked_at("statistics")
    if not stated:
        report.add(WARN, "statistics", name, "has none", advice=FIX, episode=episode)
        return
    actual = {
        "min": values.min(axis=0),
        "max": values.max(axis=0),
        "mean": values.mean(axis=0),
        "std": values.std(axis=0),
        "count": np.array([len(values)]),
    }
    span = np.maximum(np.ptp(values, axis=0), 1e-6 * np.abs(values).max(axis=0) + 1e-9)
    for key, right in actual.items():
        allowed = np.zeros(1) if key == "count" else CLOSE * span
        _compare(report, FAIL, episode, f"{name}, {key}", stated.get(key), right, allowed)
    for key, q in QUANTILES.items():
        if key in stated:
            # Every formula of a quantile lies between these two values.
            low = np.quantile(values, q, axis=0, method="lower")
            high = np.quantile(values, q, axis=0, method="higher")
            nearest = np.clip(_numbers(stated[key], low.shape, low), low, high)
            _compare(report, WARN, episode, f"{name}, {key}", stated[key], nearest, COARSE * span)


def _numbers(stated: Any, shape: tuple[int, ...], otherwise: Numbers) -> Numbers:
    try:
        found = np.asarray(stated, dtype=np.float64).reshape(shape)
    except (TypeError, ValueError):
        return otherwise
    return found


def _compare(
    report: Report,
    level: Any,
    episode: int | None,
    where: str,
    stated: Any,
    right: npt.NDArray[Any],
    allowed: Numbers,
) -> None:
    try:
        found = np.asarray(stated, dtype=np.float64)
        if found.size != right.size:
            raise ValueError(f"{found.size} values, expected {right.size}")
    except (TypeError, ValueError) as error:
        report.add(FAIL, "statistics", where, str(error), advice=FIX, episode=episode)
        return
    found = found.reshape(right.shape)
    wrong = np.flatnonzero(~(np.abs(found - right) <= allowed))
    if wrong.size:
        dim = int(wrong[0])
        report.add(
            level, "statistics", where,
            f"dimension {dim} states {found[dim]:.6g}, the data say {right[dim]:.6g}"
            + (f"; {wrong.size} dimensions are wrong" if wrong.size > 1 else ""),
            advice=FIX, episode=episode,
        )  # fmt: skip


def check_pictures(
    report: Report, episode: int, name: str, stated: Mapping[str, Any], mean: Numbers, std: Numbers
) -> None:
    """Of a camera, against the mean and deviation (3,) of its decoded pictures."""
    report.looked_at("statistics")
    if not stated:
        report.add(WARN, "statistics", name, "has none", advice=FIX, episode=episode)
        return
    for key, right in (("mean", mean), ("std", std)):
        _compare(
            report, WARN, episode, f"{name}, {key}", stated.get(key), right, np.full(3, PICTURE)
        )
