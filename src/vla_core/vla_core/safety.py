"""The limit guard: the last function before a command is published. Pure, without memory.

Shape letter: A action dimension. Values are in the contract's units; a rate is the first
derivative of a value, an acceleration its second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_core.chunk import Target
from vla_core.contract import Contract, Kind
from vla_core.types import FloatArray

BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The contract's limits as (A,) arrays.

    Attributes:
        acceleration: inf where the quantity is itself a velocity.
        start_offset, gross_offset: inf for grippers and velocities, which may jump.
    """

    names: tuple[str, ...]
    lower: FloatArray
    upper: FloatArray
    rate: FloatArray
    acceleration: FloatArray
    start_offset: FloatArray
    gross_offset: FloatArray
    is_velocity: BoolArray
    is_gripper: BoolArray

    @property
    def is_arm(self) -> BoolArray:
        return ~(self.is_velocity | self.is_gripper)

    @classmethod
    def of(cls, contract: Contract) -> Limits:
        joints = contract.action_joints()
        arm = np.array([joint.kind is Kind.POSITION for joint in joints])

        def offsets(table: Any) -> FloatArray:
            return np.where(arm, [table.get(joint.unit, np.inf) for joint in joints], np.inf)

        return cls(
            names=contract.action_names,
            lower=np.array([joint.lower for joint in joints]),
            upper=np.array([joint.upper for joint in joints]),
            rate=np.array([joint.max_rate for joint in joints]),
            acceleration=np.array([joint.max_acceleration or np.inf for joint in joints]),
            start_offset=offsets(contract.safety.start_offset),
            gross_offset=offsets(contract.safety.gross_offset),
            is_velocity=np.array([joint.kind is Kind.VELOCITY for joint in joints]),
            is_gripper=np.array([joint.kind is Kind.GRIPPER for joint in joints]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What was commanded last: values (A,) and their rates (A,)."""

    position: FloatArray
    rate: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """The command to publish. ``limited`` (A,): where the wish was cut.

    Being always able to stop costs a small error up to acceleration * dt^2 / 8: that is no cut.
    """

    command: Command
    limited: BoolArray


def start_violation(limits: Limits, measured: FloatArray, dt_s: float) -> str | None:
    """Why motion must not start here, or None: the first command would jump into the limits."""
    jump = np.abs(np.clip(measured, limits.lower, limits.upper) - measured)
    far = limits.is_arm & (jump > limits.rate * dt_s)
    if far.any():
        return f"the measured pose is outside of the contract's limits: {_names(limits, far)}"
    return None


def gross_violation(
    limits: Limits, measured: FloatArray, last: Command, wish: Target
) -> str | None:
    """Why motion must stop and latch, or None. Called before ``guard``."""
    if not np.isfinite(measured).all():
        return "a measured joint is not finite"
    if not (np.isfinite(wish.position).all() and np.isfinite(wish.velocity).all()):
        return "a proposed command is not finite"
    far = np.abs(wish.position - last.position) > limits.gross_offset
    if far.any():
        return f"a proposed command is far from the last one: {_names(limits, far)}"
    lost = np.abs(measured - last.position) > limits.gross_offset
    if lost.any():
        return f"the robot does not follow its commands: {_names(limits, lost)}"
    return None


def guard(limits: Limits, last: Command, wish: Target, dt_s: float) -> Guarded:
    """The command nearest to the wish that keeps every limit, given the last command.

    Position, rate and acceleration hold for each command against the one before, ``dt_s`` apart.
    Arm joints are scaled together, and velocities together, which keeps the direction of motion;
    each gripper by itself. Where acceleration forbids the direction, each joint turns as fast as
    it may. No joint is ever too fast to stop before its position limit, nor, once on its way, at
    its goal: see ``_braking_rate``.
    """
    low, high = _reachable_rates(limits, last, dt_s)
    goal = np.clip(wish.position, limits.lower, limits.upper)
    moving = ~limits.is_velocity & (goal == wish.position)  # a clipped goal stands still
    steady = np.where(moving, wish.velocity, 0.0)
    error = goal - last.position - steady * dt_s
    distance = np.maximum(np.abs(error), np.finfo(np.float64).tiny)
    gain = _braking_rate(limits.acceleration, distance, dt_s) / distance
    wanted = steady + error * _by_group(limits, np.minimum, gain)
    share = limits.rate / np.maximum(np.abs(wanted), limits.rate)
    wanted = wanted * _by_group(limits, np.minimum, share)
    wanted = wanted * _reachable_share(limits, last.rate, wanted, dt_s)
    rate = np.clip(wanted, low, high)
    position = np.clip(last.position + rate * dt_s, limits.lower, limits.upper)
    cushion = np.where(limits.is_velocity, 0.0, limits.acceleration) * dt_s**2 / 8
    limited = np.abs(position - wish.position) > 1e-9 + cushion
    return Guarded(command=Command(position=position, rate=rate), limited=limited)


def brake(limits: Limits, last: Command, dt_s: float) -> Command:
    """The next command on the way to rest: standing still, or zero for velocities."""
    low, high = _reachable_rates(limits, last, dt_s)
    to_rest = np.where(limits.is_velocity, -last.position / dt_s, 0.0)
    rate = np.clip(to_rest, low, high)
    position = np.clip(last.position + rate * dt_s, limits.lower, limits.upper)
    return Command(position=position, rate=rate)


def at_rest(limits: Limits, command: Command) -> bool:
    still = np.where(limits.is_velocity, np.abs(command.position), np.abs(command.rate))
    return bool((still < 1e-9).all())


def start(limits: Limits, measured: FloatArray) -> Command:
    """A command that continues from the measured pose, at rest and within the position limits."""
    inside = np.clip(measured, limits.lower, limits.upper)
    position = np.where(limits.is_velocity, 0.0, inside)
    return Command(position=position, rate=np.zeros_like(position))


def _reachable_rates(limits: Limits, last: Command, dt_s: float) -> tuple[FloatArray, FloatArray]:
    """Rates (A,) that keep every limit in this step and leave room to brake after it."""
    step = limits.acceleration * dt_s
    to_upper = _braking_rate(limits.acceleration, limits.upper - last.position, dt_s)
    to_lower = _braking_rate(limits.acceleration, last.position - limits.lower, dt_s)
    high = np.minimum(np.minimum(limits.rate, to_upper), last.rate + step)
    low = np.maximum(np.maximum(-limits.rate, -to_lower), last.rate - step)
    return np.minimum(low, high), np.maximum(low, high)


def _braking_rate(acceleration: FloatArray, distance: FloatArray, dt_s: float) -> FloatArray:
    """Largest rate (A,) from which a joint stops within ``distance``, in steps of ``dt_s``.

    The root v of v dt + v^2 / (2 a) = d. After a step of it v^2 / (2 a) is left; v - a dt, which
    is the next rate when braking, fulfils the same equation with a dt^2 / 2 less than that.
    """
    distance = np.maximum(distance, 0.0)
    finite = np.where(np.isfinite(acceleration), acceleration, 1.0)
    # 2 d / (dt + sqrt(dt^2 + 2 d / a)): the same root, without the difference of near equals
    rate = 2 * distance / (dt_s + np.sqrt(dt_s**2 + 2 * distance / finite))
    return np.where(np.isfinite(acceleration), rate, distance / dt_s)


def _reachable_share(
    limits: Limits, last_rate: FloatArray, wanted: FloatArray, dt_s: float
) -> FloatArray:
    """Largest factor in [0, 1] (A,) that acceleration allows for a whole group; 1 if none."""
    step = limits.acceleration * dt_s
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        one, other = (last_rate - step) / wanted, (last_rate + step) / wanted
    least = np.maximum(_by_group(limits, np.maximum, np.fmin(one, other)), 0.0)
    most = np.minimum(_by_group(limits, np.minimum, np.fmax(one, other)), 1.0)
    return np.where(least <= most, most, 1.0)


def _by_group(limits: Limits, reduce: np.ufunc, values: FloatArray) -> FloatArray:
    """(A,): one value for all arm joints, one for all velocities; a gripper keeps its own."""
    shared = values.copy()
    for group in (limits.is_velocity, limits.is_arm):
        if group.any():
            shared[group] = reduce.reduce(values[group])
    return shared


def _names(limits: Limits, mask: BoolArray) -> str:
    return ", ".join(name for name, chosen in zip(limits.names, mask, strict=True) if chosen)
