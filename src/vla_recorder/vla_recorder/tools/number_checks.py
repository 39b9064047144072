"""Checks of the columns of numbers of one episode, on plain arrays.

Shape letters: T rows of an episode, D dimensions of a feature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_core.contract import Contract, Joint, Kind
from vla_recorder.tools.report import FAIL, WARN, Report

Numbers = npt.NDArray[np.float64]

FROZEN_S = 0.5  # a stream that gives the same bits for longer, while its robot moves, is dead
MOVED = 0.05  # of the span of the episode: more is a motion, less may be noise
SPAN = 0.01  # rad or m; an episode that spans less stood still
STEP = 0.002  # of the span: from one row to the next, less is no motion
REPEATED = 0.2  # share of moving rows whose state is the row before's
TOLERANCE = 1e-3  # of the range of a joint: limits are compared with float32 values


def check_finite(report: Report, episode: int, name: str, values: Numbers) -> bool:
    """Numbers that are none; True when all are."""
    report.looked_at("numbers")
    odd = ~np.isfinite(values)
    if not odd.any():
        return True
    row, dim = np.argwhere(odd)[0]
    report.add(
        FAIL, "numbers", name,
        f"{int(odd.sum())} of {odd.size} values are NaN or infinite,"
        f" the first in row {row}, dimension {dim}",
        advice="delete the episode, or convert its bag again", episode=episode,
    )  # fmt: skip
    return False


def longest_run(values: npt.NDArray[np.generic]) -> tuple[int, int]:
    """First row and number of rows of the longest piece in which all rows of (T, D) are equal."""
    changed = np.flatnonzero((values[1:] != values[:-1]).any(axis=1)) + 1
    bounds = np.concatenate(([0], changed, [len(values)]))
    lengths = np.diff(bounds)
    at = int(lengths.argmax())
    return int(bounds[at]), int(lengths[at])


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Something that moves when the robot does: (T, D), and what it spans in the episode (D,)."""

    values: Numbers
    span: Numbers

    @classmethod
    def of(cls, values: Numbers) -> Motion:
        return cls(values, np.ptp(values, axis=0))

    def goes(self, first: int, count: int) -> bool:
        """Whether it goes somewhere in these rows."""
        within = np.ptp(self.values[first : first + count], axis=0)
        return bool(((within > MOVED * self.span) & (self.span > SPAN)).any())

    def steps(self, rows: npt.NDArray[np.int64], least: float) -> npt.NDArray[np.bool_]:
        """Whether it moves from each of these rows to the next by this part of its span."""
        steps = np.abs(np.diff(self.values[rows], axis=0))
        return np.asarray(((steps > least * self.span) & (self.span > SPAN)).any(axis=1))


def check_frozen(
    report: Report, episode: int, name: str, values: Numbers, other: Motion, fps: float
) -> None:
    """A stream whose bits stand still while the other side of the robot moves."""
    report.looked_at("frozen")
    first, count = longest_run(values)
    if count / fps > FROZEN_S and other.goes(first, count):
        report.add(
            WARN, "frozen", name,
            f"the same values for {count / fps:.2f} s from row {first} while the robot moves",
            advice="its driver or its topic had stopped: delete the episode", episode=episode,
        )  # fmt: skip


def check_repeated(
    report: Report, episode: int, name: str, values: Numbers, other: Motion
) -> None:
    """Rows that repeat the row before them, while the other side of the robot moves."""
    report.looked_at("repeated")
    moving = other.steps(np.arange(len(values)), STEP)
    same = (values[1:] == values[:-1]).all(axis=1) & moving
    if moving.any() and (share := float(same.sum() / moving.sum())) > REPEATED:
        report.add(
            WARN, "repeated", name,
            f"{share:.0%} of the rows in motion repeat the row before",
            advice="the stream is slower than the rate of the dataset", episode=episode,
        )  # fmt: skip


def check_limits(
    report: Report, episode: int, name: str, values: Numbers, joints: Sequence[Joint]
) -> None:
    """Values against the range that the contract allows."""
    report.looked_at("limits")
    for dim, joint in enumerate(joints):
        column, width = values[:, dim], joint.upper - joint.lower
        excess = np.maximum(joint.lower - column, column - joint.upper)
        row = int(excess.argmax())
        if excess[row] <= TOLERANCE * width:
            continue
        gross = excess[row] > width
        report.add(
            FAIL if gross else WARN, "limits", f"{name}, {joint.name}",
            f"{column[row]:.4g} {joint.unit} in row {row},"
            f" allowed {joint.lower:g} to {joint.upper:g}",
            advice="this is another unit or another joint" if gross else "", episode=episode,
        )  # fmt: skip


def check_rates(
    report: Report, episode: int, name: str, values: Numbers, joints: Sequence[Joint], fps: float
) -> None:
    """Steps of the commands against the speed that the contract allows."""
    report.looked_at("speed")
    if len(values) < 2:
        return
    rates = np.abs(np.diff(values, axis=0)) * fps
    for dim, joint in enumerate(joints):
        if joint.kind is Kind.VELOCITY:  # its rate is an acceleration, which grids blur
            continue
        row = int(rates[:, dim].argmax())
        if rates[row, dim] > joint.max_rate * 1.05:
            report.add(
                WARN, "speed", f"{name}, {joint.name}",
                f"{rates[row, dim]:.3g} {joint.unit}/s after row {row},"
                f" allowed {joint.max_rate:g}",
                advice="a jump in the recording, or rows are missing", episode=episode,
            )  # fmt: skip


def stream_columns(contract: Contract | None, state: Sequence[str]) -> Mapping[str, list[int]]:
    """Which columns of the state come from one topic; all of them where that is not known."""
    if contract is None:
        return {"": list(range(len(state)))}
    columns = {
        stream.name: [i for i, name in enumerate(state) if name in stream.joints]
        for stream in contract.streams
    }
    return {name: indices for name, indices in columns.items() if indices}
