"""The executor's mind: from chunks, measured joints and two clocks to one safe command per tick.

No ROS here; ``vla_policy.nodes.executor_node`` wires it to topics. "now" is the ROS clock, which
may jump; "mono" the monotonic clock, which does not. Both in nanoseconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from vla_core.chunk import ActionChunk
from vla_core.contract import Contract
from vla_core.errors import ChunkError, SampleError
from vla_core.interlocks import Interlocks
from vla_core.playback import Playback
from vla_core.safety import (
    Command,
    Limits,
    at_rest,
    brake,
    gross_violation,
    guard,
    lost_violation,
    start,
    start_violation,
)
from vla_core.sampling import FUTURE_TOLERANCE_NS, Sample, StreamBuffer, select
from vla_core.strategies import Strategy
from vla_core.types import FloatArray
from vla_core.workspace import Workspace


class State(Enum):
    """What the executor is doing. Transitions: docs/execution.md."""

    INACTIVE = "INACTIVE"  # the node is not activated; never the state of a tick
    HOLDING = "HOLDING"  # at rest: no motion is asked for, or it cannot be trusted or allowed now
    RUNNING = "RUNNING"  # a chunk is being executed
    DRY_RUN = "DRY_RUN"  # a chunk is being executed in the mind only
    RAMPING = "RAMPING"  # braking, on the way to HOLDING or LATCHED
    LATCHED = "LATCHED"  # at rest until ~/resume


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """The result of one control tick.

    Attributes:
        command: (A,) values to publish, or None to publish nothing.
        chunk_age_ns: Age of the executed chunk's observation, None when none is executed.
        limited: Whether the guard cut the wish.
    """

    state: State
    cause: str
    command: FloatArray | None
    chunk_age_ns: int | None
    limited: bool


class Execution:
    """State machine of one robot. Not thread-safe: one thread calls it."""

    def __init__(self, contract: Contract, strategy: Strategy) -> None:
        self.limits = Limits.of(contract)
        self.counts: Counter[str] = Counter()
        self._workspace = Workspace.of(contract)
        self._strategy = strategy
        self._dt_s = 1.0 / contract.control_rate_hz
        self._step_ns = round(1e9 / contract.policy_rate_hz)
        self._latch_after_ns = round(contract.safety.latch_after_s * 1e9)
        self._names = contract.action_names
        self._buffers: dict[str, StreamBuffer[Mapping[str, float]]] = {
            stream.name: StreamBuffer(name=stream.name, max_age_s=stream.max_age_s, length=512)
            for stream in contract.streams
            if set(stream.joints) & set(self._names)
        }
        self._dry_run = self._dry_run_wanted = False
        self._last: Command | None = None
        self._has_moved = False
        self._holding_since_ns: int | None = None
        self._latched: str | None = None
        self._restarting = self._is_leaving = False
        self.interlocks = Interlocks(contract.safety)
        self._refused_until_ns: int | None = None
        self._is_refused = self._is_taken_over = False
        self._playback = Playback()
        self._ticked_ns: int | None = None

    def succeed(self, before: Execution) -> None:
        """Take over from another what only people undo, and what was counted."""
        self._latched, self.counts = before._latched, before.counts
        self.dry_run = before._dry_run_wanted

    @property
    def speed(self) -> float:
        """0 to 1: a factor on the pace of chunks and on the largest rates of arm joints."""
        return self._playback.wanted

    @speed.setter
    def speed(self, value: float) -> None:
        self._playback.wanted = min(max(0.0, value), 1.0)  # in this order nan is 0
        if self._ticked_ns is None:
            self._playback.speed = self._playback.wanted

    @property
    def dry_run(self) -> bool:
        """Whether the caller publishes nothing, so that the robot does not follow."""
        return self._dry_run

    @dry_run.setter
    def dry_run(self, value: bool) -> None:
        self._dry_run_wanted = value
        if value != self._dry_run:
            self._restart()
        self._change_dry_run()

    def _change_dry_run(self) -> None:
        """Once the robot is at rest: a moving one is braked by commands that it still gets."""
        is_still = self._dry_run or self._last is None or at_rest(self.limits, self._last)
        if self._dry_run_wanted != self._dry_run and is_still:
            self._dry_run = self._dry_run_wanted
            self._last = None  # where one of the two stood says nothing about the other

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams whose measurements are needed."""
        return tuple(self._buffers)

    @property
    def latched(self) -> str | None:
        """Why the robot is stopped until ``resume``, or None."""
        return self._latched

    @property
    def is_taken_over(self) -> bool:
        """Whether a person drives the robot, as of the last tick."""
        return self._is_taken_over

    def measure(self, stream: str, sample: Sample[Mapping[str, float]]) -> None:
        """A measurement of a stream: contract joint name -> value."""
        self._buffers[stream].add(sample)

    def accept(self, chunk: ActionChunk | None, now_ns: int) -> None:
        """Take a chunk; None withdraws all chunks, and the robot holds.

        Raises:
            ChunkError: the chunk must not be executed. It is counted, and what runs goes on.
        """
        self.counts["chunks_received"] += 1
        self._forget_future(now_ns)
        if chunk is None:
            self.counts["chunks_withdrawn"] += 1
            self._strategy.clear()
            return
        if self._is_refused:
            self.counts["chunks_not_wanted"] += 1
            return
        try:
            self._check(chunk, now_ns)
        except ChunkError:
            self.counts["chunks_refused"] += 1
            raise
        self._strategy.accept(self._playback.align(chunk, now_ns))

    def latch(self, cause: str) -> None:
        """Brake, then publish nothing until ``resume``."""
        if self._latched is None:
            self._latched = cause
            self.counts["latched"] += 1

    def leave(self) -> None:
        """Brake, then publish nothing: another execution comes after this one."""
        self._is_leaving = True

    def resume(self) -> None:
        """Leave LATCHED. Old chunks are forgotten; motion starts anew from the measured pose.

        While the robot still brakes it first comes to rest, and goes on from there: no command
        jumps away from the one before it.
        """
        self._latched = None
        self._restart()

    def _restart(self) -> None:
        self._strategy.clear()
        self._restarting = True
        self._has_moved = False
        self._holding_since_ns = None

    def tick(self, now_ns: int, mono_ns: int) -> Tick:
        """One control tick."""
        self.counts["ticks"] += 1
        elapsed_ns = 0 if self._ticked_ns is None else mono_ns - self._ticked_ns
        self._playback.advance(elapsed_ns, now_ns)
        self._ticked_ns = mono_ns
        self._forget_future(now_ns)
        self._change_dry_run()
        refusal = self._ask_people(now_ns, mono_ns)
        leaving = "deactivated" if self._is_leaving else None
        cause = self._latched or leaving or refusal or self._run(now_ns, mono_ns)
        if isinstance(cause, Tick):
            return cause
        return self._stop(cause, now_ns, mono_ns)

    def _ask_people(self, now_ns: int, mono_ns: int) -> str | None:
        """Why nothing may move now, or None. What was observed until then moves nothing later."""
        refusal = self.interlocks.refusal(mono_ns)
        self._is_taken_over = self.interlocks.is_taken_over(mono_ns)
        self._is_refused = refusal is not None
        if self._is_refused:
            self._strategy.clear()
            self._refused_until_ns = now_ns
            if self._is_taken_over or self.interlocks.is_released(mono_ns):
                self._has_moved = False  # meant so: nothing to latch
        return refusal

    def measured(self, now_ns: int, mono_ns: int | None = None) -> FloatArray:
        """The measured action joints (A,); velocities that nothing measures count as zero.

        Raises:
            SampleError: a needed stream is missing, stale, or from the future.
        """
        chosen = select(self._buffers, now_ns, mono_ns)
        return self._vector([sample.payload for sample in chosen.values()])

    def _vector(self, measurements: list[Mapping[str, float]]) -> FloatArray:
        merged = {name: value for values in measurements for name, value in values.items()}
        return np.array([merged.get(name, 0.0) for name in self._names])

    def _forget_future(self, now_ns: int) -> None:
        """After the clock was set back, what was due later is of another time."""
        newest = self._strategy.newest()
        if newest is not None and newest.stamp_ns - now_ns > FUTURE_TOLERANCE_NS:
            self.counts["chunks_forgotten"] += 1
            self._strategy.clear()

    def _check(self, chunk: ActionChunk, now_ns: int) -> None:
        if abs(chunk.step_ns - self._step_ns) > self._step_ns // 100:
            raise ChunkError(
                "the time between two actions is not the contract's",
                found=f"{chunk.step_ns / 1e9:.4f} s",
                allowed=f"{self._step_ns / 1e9:.4f} s",
                fix="run policy and executor with the same contract",
            )
        ahead_ns = chunk.stamp_ns - now_ns
        if ahead_ns > FUTURE_TOLERANCE_NS:
            raise ChunkError(
                "a chunk from the future",
                found=f"{ahead_ns / 1e9:.3f} s ahead",
                allowed=f"{FUTURE_TOLERANCE_NS / 1e9} s",
            )
        if chunk.end_ns <= now_ns:
            raise ChunkError(
                "a chunk that has already ended",
                found=f"{(now_ns - chunk.end_ns) / 1e9:.3f} s ago",
                allowed="an end after now",
                fix="the policy is slower than its horizon; use a faster one or a longer horizon",
            )
        newest = self._strategy.newest()
        if newest is not None and chunk.stamp_ns == newest.stamp_ns:
            raise ChunkError(
                "a chunk of this observation was taken already",
                found=f"stamp {chunk.stamp_ns / 1e9:.3f} s again",
                allowed="newer observations only",
            )
        if newest is not None and chunk.stamp_ns < newest.stamp_ns:
            raise ChunkError(
                "a chunk older than the one in use",
                found=f"{(newest.stamp_ns - chunk.stamp_ns) / 1e9:.3f} s older",
                allowed="newer observations only",
            )
        allowed_ns = self._refused_until_ns
        if allowed_ns is not None and chunk.stamp_ns <= allowed_ns <= now_ns:
            raise ChunkError(
                "an observation from before motion was allowed again",
                found=f"{(allowed_ns - chunk.stamp_ns) / 1e9:.3f} s before",
                allowed="observations after a takeover or a release of the deadman",
            )
        self._check_start(chunk, now_ns)

    def _check_start(self, chunk: ActionChunk, now_ns: int) -> None:
        samples = [b.as_of(chunk.stamp_ns) for b in self._buffers.values()]
        known = [sample.payload for sample in samples if sample is not None]
        for buffer, sample in zip(self._buffers.values(), samples, strict=True):
            if sample is not None and sample.stamp_ns - chunk.stamp_ns > buffer.max_age_ns:
                raise ChunkError(
                    "the observation is older than all measured poses",
                    found=f"{(now_ns - chunk.stamp_ns) / 1e9:.3f} s old",
                    fix="the policy is too slow, or its clock differs",
                )
        if len(known) != len(self._buffers):
            raise ChunkError("no measured pose to compare the first action with", found="none")
        offset = np.abs(chunk.actions[0] - self._vector(known))
        far = ~(offset <= self.limits.start_offset)  # also where the pose is not a number
        if far.any():
            column = int(np.argmax(np.where(far, offset, 0)))
            raise ChunkError(
                "the first action is too far from the measured pose",
                where=self._names[column],
                found=f"{offset[column]:.3g}",
                allowed=f"{self.limits.start_offset[column]:.3g}",
                fix="check joint order, units and statistics of the checkpoint",
            )

    def _run(self, now_ns: int, mono_ns: int) -> Tick | str:
        """RUNNING, or the reason why not."""
        if self._restarting:
            if self._last is not None and not at_rest(self.limits, self._last):
                return "coming to rest"
            self._restarting = False
        try:
            measured = self.measured(now_ns, mono_ns)
        except SampleError as error:
            return f"measured joints: {error.found}"
        if self._playback.speed == 0.0:
            self._strategy.clear()  # what is paused would go on long after it was observed
            return "the speed is 0 %"
        wish = self._strategy.at(self._playback.time_ns(now_ns))
        chunk = self._strategy.in_use()
        if wish is None or chunk is None:
            is_none = self._strategy.newest() is None
            return "waiting for an action chunk" if is_none else "the action chunk has ended"
        wish = self._playback.slow(wish, self.limits.is_velocity)
        last, violation = self._last, None
        if last is None:
            last = start(self.limits, measured)
            violation = start_violation(self.limits, measured, self._dt_s)
        followed = last.position if self.dry_run else measured
        violation = violation or gross_violation(self.limits, followed, last, wish)
        if violation is not None:
            self.latch(violation)
            return violation
        guarded = guard(self.limits, last, wish, self._dt_s, speed=self._playback.speed)
        self._last, is_inside = self._workspace.confine(
            self.limits, last, guarded.command, self._dt_s
        )
        self._has_moved = True
        self._holding_since_ns = None
        limited = bool(guarded.limited.any()) or not is_inside
        self.counts["commands"] += 1
        self.counts["commands_limited"] += limited
        self.counts["commands_outside_workspace"] += not is_inside
        return Tick(
            state=State.DRY_RUN if self._dry_run else State.RUNNING,
            cause="",
            command=self._last.position,
            chunk_age_ns=now_ns - chunk.stamp_ns,
            limited=limited,
        )

    def _stop(self, cause: str, now_ns: int, mono_ns: int) -> Tick:
        """RAMPING until at rest; then HOLDING, or LATCHED when that has lasted too long."""
        if self._holding_since_ns is None:
            self._holding_since_ns = mono_ns
            self.counts["holds"] += 1
        is_long = mono_ns - self._holding_since_ns > self._latch_after_ns
        if self._has_moved and is_long and not self._is_leaving:
            self.latch(f"held for more than {self._latch_after_ns / 1e9} s: {cause}")
        state = State.HOLDING if self._latched is None else State.LATCHED
        command = None
        if self._last is not None:
            is_moving = not at_rest(self.limits, self._last)
            is_silent = is_long or self._is_leaving or self._is_taken_over
            is_silent = is_silent or state is State.LATCHED
            is_silent = is_silent or not self._is_where_commanded(self._last, now_ns, mono_ns)
            state = State.RAMPING if is_moving else state
            self._last = brake(self.limits, self._last, self._dt_s)
            if is_moving or not is_silent:
                command = self._last.position
                self.counts["commands"] += 1
            else:
                self._last = None  # silent from now on: whatever follows starts anew
        return Tick(
            state=state,
            cause=self._latched or cause,
            command=command,
            chunk_age_ns=None,
            limited=False,
        )

    def _is_where_commanded(self, last: Command, now_ns: int, mono_ns: int) -> bool:
        """A pose is held only where the robot is known to stand: elsewhere it would be pulled."""
        try:
            measured = self.measured(now_ns, mono_ns)
        except SampleError:
            return False
        return self._dry_run or lost_violation(self.limits, measured, last) is None
