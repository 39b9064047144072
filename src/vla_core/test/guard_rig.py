"""Limits and wishes for tests of the guard, and the judge of what it publishes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vla_core.chunk import Target
from vla_core.safety import Command, Limits, guard

EPS = float(np.finfo(np.float64).eps)


def made(rows: Sequence[tuple[Any, ...]]) -> Limits:
    """Limits from (kind, lower, upper, rate, acceleration), and jerk, of each joint."""
    kinds, lower, upper, rate, acceleration, jerk = zip(
        *((*row, np.inf)[:6] for row in rows), strict=True
    )
    velocity = np.array([kind == "velocity" for kind in kinds])
    arm = np.array([kind == "position" for kind in kinds])
    return Limits(
        names=tuple(f"j{i}" for i in range(len(rows))),
        lower=np.array(lower, float),
        upper=np.array(upper, float),
        rate=np.array(rate, float),
        acceleration=np.where(velocity, np.inf, acceleration),
        jerk=np.array(jerk, float),
        start_offset=np.where(arm, 0.5, np.inf),
        gross_offset=np.where(arm, 1.5, np.inf),
        is_velocity=velocity,
        is_gripper=np.array([kind == "gripper" for kind in kinds]),
    )


def arm(
    *, joints: int = 1, rate: float = 2.0, acceleration: float = 10.0, jerk: float = np.inf
) -> Limits:
    return made([("position", -3.0, 3.0, rate, acceleration, jerk)] * joints)


def wish(position: Any, velocity: Any = None) -> Target:
    position = np.asarray(position, float)
    zero = np.zeros_like(position)
    return Target(position=position, velocity=zero if velocity is None else np.asarray(velocity))


def resting(position: Any) -> Command:
    position = np.asarray(position, float)
    return Command(position=position, rate=np.zeros_like(position))


def assert_within_limits(limits: Limits, published: np.ndarray, dt_s: float) -> None:
    """P1 on (T, A) published values, the robot at rest before them.

    The slack is 1e-9 of each limit, plus what rounding of a value does to its differences.
    """
    assert np.isfinite(published).all()
    assert (published >= limits.lower).all()
    assert (published <= limits.upper).all()
    rounding = 4 * EPS * np.maximum(np.abs(limits.lower), np.abs(limits.upper))
    rates = np.diff(published, axis=0, prepend=published[:1]) / dt_s
    assert (np.abs(rates) <= limits.rate * (1 + 1e-9) + rounding / dt_s).all()
    changes = np.abs(np.diff(rates, axis=0)) / dt_s
    assert (changes <= limits.acceleration * (1 + 1e-9) + 2 * rounding / dt_s**2).all()
    slopes = (
        rates if not limits.is_velocity.any() else np.where(limits.is_velocity, published, rates)
    )
    jerks = np.abs(np.diff(slopes, 2, axis=0)) / dt_s**2
    assert (jerks <= limits.jerk * (1 + 1e-9) + 8 * rounding / dt_s**3).all()


def follow(limits: Limits, first: Command, wishes: list[Target], dt_s: float) -> np.ndarray:
    """(T + 1, A): the first position, then each command."""
    positions, last = [first.position], first
    for target in wishes:
        last = guard(limits, last, target, dt_s).command
        positions.append(last.position)
    return np.stack(positions)


def random_limits(rng: np.random.Generator) -> Limits:
    def row(kind: str) -> tuple[Any, ...]:
        middle, half = rng.uniform(-5, 5), 10 ** rng.uniform(-2, 1.5)
        span = (-half, rng.uniform(0, half)) if kind == "velocity" else (middle - half, middle)
        rate, acceleration = 10 ** rng.uniform(-2, 2), 10 ** rng.uniform(-2, 3)
        rise_s = 10 ** rng.uniform(-4, np.log10(0.25))
        jerk = (rate if kind == "velocity" else acceleration) / rise_s
        return kind, *span, rate, acceleration, jerk if is_jerk_limited else np.inf

    is_jerk_limited = rng.random() < 0.5
    kinds = rng.choice(["position", "gripper", "velocity"], size=rng.integers(1, 15))
    return made([row(str(kind)) for kind in kinds])
