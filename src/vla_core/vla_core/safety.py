"""The limit guard: the last function before a command is published. Pure, without memory.

Shape letter: A action dimension. Values are in the contract's units; a rate is the first
derivative of a value, an acceleration its second, a jerk its third.

Position, rate and acceleration are kept by a ramp that follows the wishes. Where the contract
limits the jerk, the command is the mean of the ramp's last positions: a mean of values within a
limit is within it too, whatever derivative they are of, so that all guarantees of the ramp hold
for the command as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
        jerk: inf where the contract sets none. Of a velocity it bounds the second derivative.
        start_offset, gross_offset: inf for grippers and velocities, which may jump.
    """

    names: tuple[str, ...]
    lower: FloatArray
    upper: FloatArray
    rate: FloatArray
    acceleration: FloatArray
    jerk: FloatArray
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
            jerk=np.array([joint.max_jerk for joint in joints]),
            start_offset=offsets(contract.safety.start_offset),
            gross_offset=offsets(contract.safety.gross_offset),
            is_velocity=np.array([joint.kind is Kind.VELOCITY for joint in joints]),
            is_gripper=np.array([joint.kind is Kind.GRIPPER for joint in joints]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What was commanded last.

    Attributes:
        position: (A,) values, as published.
        rate: (A,) first derivatives of the ramp.
        ramp: (N, A) last positions of the ramp, newest last, where the jerk is limited; else
            empty, and the ramp is at ``position``.
    """

    position: FloatArray
    rate: FloatArray
    ramp: FloatArray = field(default_factory=lambda: np.empty((0, 1)))

    @property
    def ramp_position(self) -> FloatArray:
        return self.ramp[-1] if len(self.ramp) else self.position


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
    if not (np.isfinite(wish.position).all() and np.isfinite(wish.velocity).all()):
        return "a proposed command is not finite"
    far = np.abs(wish.position - last.position) > limits.gross_offset
    if far.any():
        return f"a proposed command is far from the last one: {_names(limits, far)}"
    return lost_violation(limits, measured, last)


def lost_violation(limits: Limits, measured: FloatArray, last: Command) -> str | None:
    """Why the robot is not where it was commanded to be, or None."""
    if not np.isfinite(measured).all():
        return "a measured joint is not finite"
    lost = np.abs(measured - last.position) > limits.gross_offset
    if lost.any():
        return f"the robot does not follow its commands: {_names(limits, lost)}"
    return None


def guard(
    limits: Limits, last: Command, wish: Target, dt_s: float, *, speed: float = 1.0
) -> Guarded:
    """The command nearest to the wish that keeps every limit, given the last command.

    Position, rate, acceleration and jerk hold for each command against those before, ``dt_s``
    apart. Arm joints are scaled together, and velocities together, which keeps the direction of
    motion; each gripper by itself. Where acceleration forbids the direction, each joint turns as
    fast as it may. No joint is ever too fast to stop before its position limit, nor, once on its
    way, at its goal: see ``_braking_rate``. Where the mean lags behind the ramp, the ramp goes
    ahead of the wish by as much.

    Args:
        speed: 0 to 1, a factor on the largest rate of arm joints. A faster joint slows down to
            it within its acceleration.
    """
    limits = _slowed(limits, last, speed, dt_s)
    lag_s = (_windows(limits, dt_s) - 1) * (dt_s / 2)
    low, high = _reachable_rates(limits, last, dt_s)
    ahead = wish.position + wish.velocity * lag_s
    goal = np.clip(ahead, limits.lower, limits.upper)
    moving = ~limits.is_velocity & (goal == ahead)  # a clipped goal stands still
    steady = np.where(moving, wish.velocity, 0.0)
    error = goal - last.ramp_position - steady * dt_s
    distance = np.maximum(np.abs(error), np.finfo(np.float64).tiny)
    gain = _braking_rate(limits.acceleration, distance, dt_s) / distance
    wanted = steady + error * _by_group(limits, np.minimum, gain)
    share = limits.rate / np.maximum(np.abs(wanted), limits.rate)
    wanted = wanted * _by_group(limits, np.minimum, share)
    wanted = wanted * _reachable_share(limits, last.rate, wanted, dt_s)
    command = _next(limits, last, np.clip(wanted, low, high), dt_s)
    cushion = np.where(limits.is_velocity, 0.0, limits.acceleration) * dt_s**2 / 8
    limited = np.abs(command.ramp_position - ahead) > 1e-9 + cushion
    return Guarded(command=command, limited=limited)


def brake(limits: Limits, last: Command, dt_s: float) -> Command:
    """The next command on the way to rest: standing still, or zero for velocities."""
    low, high = _reachable_rates(limits, last, dt_s)
    to_rest = np.where(limits.is_velocity, -last.ramp_position / dt_s, 0.0)
    return _next(limits, last, np.clip(to_rest, low, high), dt_s)


def at_rest(limits: Limits, command: Command) -> bool:
    still = np.where(limits.is_velocity, np.abs(command.ramp_position), np.abs(command.rate))
    on_the_way = np.abs(command.ramp - command.ramp_position)  # of the mean, if there is one
    return bool((still < 1e-9).all() and (on_the_way < 1e-9).all())


def start(limits: Limits, measured: FloatArray) -> Command:
    """A command that continues from the measured pose, at rest and within the position limits."""
    inside = np.clip(measured, limits.lower, limits.upper)
    position = np.where(limits.is_velocity, 0.0, inside)
    return Command(position=position, rate=np.zeros_like(position))


def _next(limits: Limits, last: Command, rate: FloatArray, dt_s: float) -> Command:
    """The command one step of the ramp further."""
    ramp = np.clip(last.ramp_position + rate * dt_s, limits.lower, limits.upper)
    windows = _windows(limits, dt_s)
    longest = int(windows.max())
    if longest == 1:
        return Command(position=ramp, rate=rate)
    before = last.ramp if len(last.ramp) else np.tile(last.position, (longest, 1))
    positions = np.concatenate([before[1 - longest :], ramp[None]])
    counts = np.arange(longest, 0, -1)[:, None] <= windows
    # differences from the newest: a joint at rest stays exactly where it is
    mean = ramp + ((positions - ramp) * counts).sum(0) / windows
    return Command(position=np.clip(mean, limits.lower, limits.upper), rate=rate, ramp=positions)


def _windows(limits: Limits, dt_s: float) -> FloatArray:
    """Numbers of positions (A,) to average so that the jerk is kept.

    The acceleration of a mean of N positions changes in one step by the N-th part of the
    difference of two accelerations of the ramp, so by at most 2 a / N.
    """
    largest = np.where(limits.is_velocity, limits.rate, limits.acceleration)
    needed = np.ceil(2 * largest / (limits.jerk * dt_s) - 1e-9)
    return _by_group(limits, np.maximum, np.maximum(needed, 1.0))


def _slowed(limits: Limits, last: Command, speed: float, dt_s: float) -> Limits:
    if speed >= 1:
        return limits
    slow = max(speed, 1e-12) * limits.rate  # above zero: rates are compared by quotient
    least = np.maximum(slow, np.abs(last.rate) - limits.acceleration * dt_s)
    return replace(
        limits, rate=np.where(limits.is_arm, np.minimum(limits.rate, least), limits.rate)
    )


def _reachable_rates(limits: Limits, last: Command, dt_s: float) -> tuple[FloatArray, FloatArray]:
    """Rates (A,) that keep every limit in this step and leave room to brake after it."""
    step = limits.acceleration * dt_s
    to_upper = _braking_rate(limits.acceleration, limits.upper - last.ramp_position, dt_s)
    to_lower = _braking_rate(limits.acceleration, last.ramp_position - limits.lower, dt_s)
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
