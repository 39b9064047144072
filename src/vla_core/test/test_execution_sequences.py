"""P1 and P4 hold whatever happens, and in whatever order."""

from __future__ import annotations

import numpy as np
from executor_rig import HOUR, MS, SECOND, Rig
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from robot_contract import PEOPLE, TEXT

from vla_core.errors import ChunkError
from vla_core.execution import State, Tick
from vla_core.strategies import STRATEGIES


class AnySequence(RuleBasedStateMachine):
    """P1 and P4 whatever happens, and in whatever order."""

    @initialize(strategy=st.sampled_from(sorted(STRATEGIES)))
    def begin(self, strategy: str) -> None:
        self.rig = Rig(TEXT + PEOPLE, strategy=strategy)
        self.rig.press(True)
        self.ramping, self.is_stopped = 0, False
        self.run: list[np.ndarray] = []  # commands since the last restart from the measured pose

    def watch(self, tick: Tick) -> None:
        limits, dt_s = self.rig.limits, self.rig.period_ns / 1e9
        if tick.command is None:
            self.run.clear()
        else:
            self.run.append(tick.command)
            assert np.isfinite(tick.command).all()
            assert (tick.command >= limits.lower).all()
            assert (tick.command <= limits.upper).all()
            rates = np.diff(np.stack(self.run[-3:]), axis=0) / dt_s
            assert (np.abs(rates) <= limits.rate * (1 + 1e-6)).all()
            changes = np.abs(np.diff(rates, axis=0)) / dt_s
            assert (changes <= limits.acceleration * (1 + 1e-6)).all()
        self.ramping = self.ramping + 1 if tick.state is State.RAMPING else 0
        assert self.ramping <= 25  # more than the time to brake from the largest rate
        if tick.state is State.LATCHED:
            assert tick.command is None
        if self.is_stopped:
            assert tick.state in (State.RAMPING, State.LATCHED)

    @rule(count=st.integers(1, 70), measure=st.booleans())
    def ticks(self, count: int, measure: bool) -> None:
        for _ in range(count):
            self.watch(self.rig.tick(measure=measure))

    @rule(jump_ns=st.sampled_from([HOUR, -HOUR, SECOND, -SECOND, 80 * MS, -80 * MS]))
    def jump(self, jump_ns: int) -> None:
        self.watch(self.rig.tick(jump_ns=jump_ns))

    @rule(
        to=st.lists(st.floats(-3, 3), min_size=3, max_size=3),
        steps=st.integers(2, 60),
        offset_ns=st.integers(-SECOND, 10 * MS),
        noise=st.sampled_from([0.0, 0.0, 0.01, 0.5, 1e300]),
    )
    def chunk(self, to: list[float], steps: int, offset_ns: int, noise: float) -> None:
        chunk = self.rig.chunk(to=to, steps=steps, stamp_ns=self.rig.now_ns + offset_ns)
        signs = np.where(np.arange(steps) % 2, noise, -noise)
        chunk.actions[1:] += signs[1:, None]
        try:
            self.rig.execution.accept(chunk, self.rig.now_ns)
        except ChunkError:
            return

    @rule(speed=st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    def speed(self, speed: float) -> None:
        self.rig.execution.speed = speed

    @rule(is_pressed=st.booleans())
    def deadman(self, is_pressed: bool) -> None:
        self.rig.press(is_pressed)

    @rule()
    def take_over(self) -> None:
        self.rig.execution.interlocks.drive(self.rig.mono_ns)

    @rule()
    def withdraw(self) -> None:
        self.rig.execution.accept(None, self.rig.now_ns)

    @rule()
    def estop(self) -> None:
        self.rig.execution.latch("stopped by ~/estop")
        self.is_stopped = True

    @rule()
    def resume(self) -> None:
        self.rig.execution.resume()
        self.is_stopped = False

    @rule(push=st.lists(st.floats(-0.3, 0.3), min_size=3, max_size=3))
    def push(self, push: list[float]) -> None:
        self.rig.pose = self.rig.pose + push


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
