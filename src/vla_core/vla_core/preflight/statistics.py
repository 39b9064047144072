"""The live state against the statistics that the policy was trained on, in the model's space.

Shape letter: S state dims.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vla_core.preflight.findings import Finding, Level
from vla_core.scaling import MIN_SPAN, Formula, Scaling, low_and_span, normalize
from vla_core.stats import NormStats, Vector

Z_WARN, Z_FAIL = 3.0, 10.0  # standard deviations
UNIT_WARN, UNIT_FAIL = 1.5, 5.0  # where training data map to [-1, 1]
NEAR_SHARE = 0.02  # of a joint's reach: no distance that matters, however narrow the training was
BEYOND_SHARE = 0.1  # of a joint's reach by which the mean of training may lie outside it
NARROW_GRIPPER = 0.15  # share of a gripper's reach that training used


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What the policy was trained on, and what of it this robot can reach.

    Attributes:
        stats: Of the state, each (S,), after the robot's transform.
        scaling, formula: How the state reaches the model.
        labels: S contract names, or ``state[3]`` where a dimension is not one joint.
        reach: (2, S) lower and upper end of each dimension by the contract's limits.
        grippers: S flags.
        where: Asset id and directory.
    """

    stats: NormStats
    scaling: Scaling
    formula: Formula
    labels: tuple[str, ...]
    reach: Vector
    grippers: tuple[bool, ...]
    where: str


def judge_statistics(trained: Trained, state: Vector) -> Iterator[Finding]:
    """One line per dimension that stands out, else one for all.

    Args:
        trained: See there.
        state: (S,) the live state after the robot's transform, before normalisation.
    """
    bad = [
        finding
        for dim in np.flatnonzero(np.ptp(trained.reach, axis=0)).tolist()  # others are padding
        if (finding := _judge_reach(trained, dim) or _judge_state(trained, state, dim))
    ]
    yield from bad
    if not bad:
        scores = model_values(trained, state)
        far = int(np.abs(scores).argmax())
        found = f"{len(trained.labels)} dims near the training data, farthest"
        found += f" {trained.labels[far]}: {_seen(trained, scores[far])}"
        yield Finding(level=Level.PASS, check="statistics", where=trained.where, found=found)


def model_values(trained: Trained, state: Vector) -> Vector:
    """(S,) what the model is given for a state, z-scores where it is given the state itself."""
    scaling = trained.scaling
    if scaling is Scaling.IDENTITY:
        scaling = Scaling.Z_SCORE
    low, span = low_and_span("state", trained.stats, scaling, MIN_SPAN)
    return np.asarray(normalize(state, low, span, scaling, trained.formula), np.float64)


def _judge_reach(trained: Trained, dim: int) -> Finding | None:
    """Statistics of another robot, or in another unit, show without any motion."""
    lower, upper = np.sort(trained.reach[:, dim])
    span, mean = float(upper - lower), float(trained.stats.mean[dim])
    label = trained.labels[dim]
    if max(lower - mean, mean - upper) > BEYOND_SHARE * span:
        found = f"{label}: the training mean {mean:.4g} is out of the contract's reach"
        found += f" [{lower:.4g}, {upper:.4g}]"
        advice = "these statistics are of another robot or unit: choose another --asset-id, recipe"
        return _finding(Level.FAIL, trained, found, f"{advice} or checkpoint")
    low, high = _band(trained.stats, dim)
    if trained.grippers[dim] and high - low < NARROW_GRIPPER * span:
        found = f"{label}: training used {low:.3g} to {high:.3g} of [{lower:.3g}, {upper:.3g}]"
        advice = "compare the unit of the gripper (m, rad, share) with that of the training data"
        return _finding(Level.WARN, trained, found, advice)
    return None


def _judge_state(trained: Trained, state: Vector, dim: int) -> Finding | None:
    score = float(model_values(trained, state)[dim])
    is_z = trained.scaling in (Scaling.Z_SCORE, Scaling.IDENTITY)
    warn, fail = (Z_WARN, Z_FAIL) if is_z else (UNIT_WARN, UNIT_FAIL)
    if abs(score) <= warn:
        return None
    low, high = _band(trained.stats, dim)
    away = max(low - state[dim], state[dim] - high)
    is_near = away <= NEAR_SHARE * float(np.ptp(trained.reach[:, dim]))
    found = f"{trained.labels[dim]} is {state[dim]:.4g}, {_seen(trained, score)};"
    found += f" trained on {low:.4g} to {high:.4g}"
    level = Level.FAIL if abs(score) > fail and not is_near else Level.WARN
    advice = (
        "move the robot to where its training episodes began"
        if level is Level.WARN
        else "check unit, sign, zero and name of this joint, and that the statistics are this"
        " robot's; else move it to where training began"
    )
    return _finding(level, trained, found, advice)


def _band(stats: NormStats, dim: int) -> tuple[float, float]:
    """The first to the last percentile; of a normal distribution where there are none."""
    if stats.q01 is not None and stats.q99 is not None:
        return float(stats.q01[dim]), float(stats.q99[dim])
    mean, std = float(stats.mean[dim]), float(stats.std[dim])
    return mean - 2.33 * std, mean + 2.33 * std


def _seen(trained: Trained, score: float) -> str:
    if trained.scaling in (Scaling.Z_SCORE, Scaling.IDENTITY):
        return f"{score:+.1f} standard deviations"
    return f"the model sees {score:+.1f} (trained within -1 to 1)"


def _finding(level: Level, trained: Trained, found: str, advice: str) -> Finding:
    return Finding(
        level=level, check="statistics", where=trained.where, found=found, advice=advice
    )
