"""Statistics that a dataset states, against those of its data.

Shape letters: T rows, D dimensions of a feature.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_core.dataset.statistics import QUANTILES
from vla_core.preflight.findings import Level
from vla_recorder.tools.number_checks import Numbers
from vla_recorder.tools.report import FAIL, WARN, Report

FIX = "take them anew: dataset stats DIR OUTPUT"
CLOSE = 1e-3  # of the span: mean and deviation of float32 numbers, summed in another order
SHARE = 0.003  # of the values: how many more may lie on one side of a quantile
PICTURE = 0.05  # of 1: LeRobot samples frames, and before they are encoded


class StatedNumbers:
    """What is stated of a feature, of one episode or of a dataset, while its data pass by.

    Args:
        stated: As LeRobot has it; empty where nothing is stated.

    Attributes:
        count: Rows that were seen.
        low, high: (D,) Extremes of them.
    """

    def __init__(self, stated: Mapping[str, Any]) -> None:
        self._stated = stated
        self.count = 0
        self._mean: Numbers = np.zeros(0)
        self._squares: Numbers = np.zeros(0)  # of the distances from the mean, summed
        self.low: Numbers = np.zeros(0)
        self.high: Numbers = np.zeros(0)
        self._sides: dict[str, npt.NDArray[np.int64]] = {}

    def see(self, values: Numbers) -> None:
        """(T, D) of one episode.

        Source: Chan, Golub, LeVeque 1979, updating formulae for means and variances.
        """
        count, mean = len(values), values.mean(axis=0)
        squares = ((values - mean) ** 2).sum(axis=0)
        low, high = values.min(axis=0), values.max(axis=0)
        if self.count:
            total, apart = self.count + count, mean - self._mean
            squares += self._squares + apart**2 * self.count * count / total
            mean = self._mean + apart * count / total
            low, high = np.minimum(low, self.low), np.maximum(high, self.high)
        self.count, self._mean, self._squares = self.count + count, mean, squares
        self.low, self.high = low, high
        for key in QUANTILES:
            point = _numbers(self._stated.get(key), mean.size)
            if point is not None:
                sides = np.stack([(values < point).sum(axis=0), (values <= point).sum(axis=0)])
                self._sides[key] = self._sides.get(key, 0) + sides

    def check(self, report: Report, episode: int | None, name: str) -> None:
        """Compares; ``episode`` is None for a whole dataset."""
        report.looked_at("statistics")
        if not self._stated:
            report.add(WARN, "statistics", name, "has none", advice=FIX, episode=episode)
            return
        span = self.high - self.low
        close = CLOSE * span + 1e-6 * np.abs(self._mean) + 1e-9
        for key, right, allowed in (
            ("min", self.low, close),
            ("max", self.high, close),
            ("mean", self._mean, close),
            ("std", np.sqrt(self._squares / self.count), close),
            ("count", np.array([float(self.count)]), np.zeros(1)),
        ):
            where = f"{name}, {key}"
            _compare(report, FAIL, episode, where, self._stated.get(key), right, allowed)
        for key, (below, upto) in self._sides.items():
            place = QUANTILES[key] * (self.count - 1)
            slack = 1 + SHARE * self.count
            wrong = np.flatnonzero((below > place + slack) | (upto < place - slack + 1))
            if wrong.size:
                dim = int(wrong[0])
                report.add(
                    WARN, "statistics", f"{name}, {key}",
                    f"{below[dim] / self.count:.1%} of dimension {dim} lie below it",
                    advice=FIX, episode=episode,
                )  # fmt: skip


def check_pictures(
    report: Report,
    episode: int | None,
    name: str,
    stated: Mapping[str, Any],
    mean: Numbers,
    std: Numbers,
) -> None:
    """Of a camera, against the mean and deviation (3,) of its decoded pictures."""
    report.looked_at("statistics")
    if not stated:
        report.add(WARN, "statistics", name, "has none", advice=FIX, episode=episode)
        return
    allowed = np.full(3, PICTURE)
    _compare(report, WARN, episode, f"{name}, mean", stated.get("mean"), mean, allowed)
    _compare(report, WARN, episode, f"{name}, std", stated.get("std"), std, allowed)


def _numbers(stated: Any, size: int) -> Numbers | None:
    """(size,), or None for what is not that many numbers."""
    try:
        found = np.asarray(stated, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return found.ravel() if found.size == size else None


def _compare(
    report: Report,
    level: Level,
    episode: int | None,
    where: str,
    stated: Any,
    right: Numbers,
    allowed: Numbers,
) -> None:
    found = _numbers(stated, right.size)
    if found is None:
        report.add(
            FAIL, "statistics", where, f"is not {right.size} numbers", advice=FIX, episode=episode
        )
        return
    wrong = np.flatnonzero(~(np.abs(found - right) <= allowed))
    if wrong.size:
        dim = int(wrong[0])
        report.add(
            level, "statistics", where,
            f"dimension {dim} states {found[dim]:.6g}, the data say {right[dim]:.6g}"
            + (f"; {wrong.size} dimensions are wrong" if wrong.size > 1 else ""),
            advice=FIX, episode=episode,
        )  # fmt: skip
