"""An execution on fake clocks, and a robot that does what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from robot_contract import TEXT, robot

from vla_core.chunk import ActionChunk
from vla_core.execution import Execution, State, Tick
from vla_core.safety import Limits
from vla_core.sampling import Sample
from vla_core.strategies import make_strategy

MS, SECOND, HOUR = 10**6, 10**9, 3600 * 10**9
STEP = 50 * MS
HOME = np.array([0.5, -0.25, 0.03])
SLACK = 1e-9


class Rig:
    """An execution with its two clocks and a robot that does what it is told, one tick late."""

    def __init__(self, text: str = TEXT, strategy: str = "receding_horizon") -> None:
        self.contract = robot(text)
        self.limits = Limits.of(self.contract)
        self.execution = Execution(self.contract, make_strategy(strategy, self.limits))
        self.names = self.contract.action_names
        self.period_ns = round(1e9 / self.contract.control_rate_hz)
        self.now_ns = 1_700_000_000 * SECOND
        self.mono_ns = 77 * SECOND
        self.pose = HOME[: len(self.names)].copy()
        self.silent: set[str] = set()
        self.published: list[np.ndarray] = []
        self.is_pressed: bool | None = None  # None: no deadman is heard

    def measure(self, stamp_offset_ns: int = 0) -> None:
        values: Mapping[str, float] = dict(zip(self.names, self.pose.tolist(), strict=True))
        for stream in self.contract.streams:
            if stream.name in self.execution.streams and stream.name not in self.silent:
                payload = {name: values[name] for name in stream.joints if name in values}
                stamp_ns = self.now_ns + stamp_offset_ns
                self.execution.measure(
                    stream.name,
                    Sample(stamp_ns=stamp_ns, received_ns=self.mono_ns, payload=payload),
                )

    def press(self, is_pressed: bool | None) -> None:
        """The deadman, from now on, at each tick."""
        self.is_pressed = is_pressed
        if is_pressed is not None:
            self.execution.interlocks.press(is_pressed, self.mono_ns)

    def tick(self, *, measure: bool = True, jump_ns: int = 0) -> Tick:
        self.now_ns += self.period_ns + jump_ns
        self.mono_ns += self.period_ns
        self.press(self.is_pressed)
        if measure:
            self.measure()
        tick = self.execution.tick(self.now_ns, self.mono_ns)
        if tick.command is not None:
            self.published.append(tick.command)
            if not self.execution.dry_run:
                self.pose = tick.command.copy()
        return tick

    def ticks(self, count: int, **options: Any) -> list[Tick]:
        return [self.tick(**options) for _ in range(count)]

    def chunk(
        self, *, to: Any = None, steps: int = 10, stamp_ns: int | None = None
    ) -> ActionChunk:
        """From the pose to ``to`` (default: 0.2 further) in ``steps`` actions."""
        goal = self.pose + 0.2 if to is None else np.asarray(to, float)
        actions = np.linspace(self.pose, goal, steps)
        stamp_ns = self.now_ns if stamp_ns is None else stamp_ns
        return ActionChunk(stamp_ns=stamp_ns, step_ns=STEP, actions=actions)

    def accept(self, **options: Any) -> None:
        self.execution.accept(self.chunk(**options), self.now_ns)

    def running(self) -> Rig:
        """In the middle of a long chunk."""
        self.tick()
        self.accept(steps=40)
        state = State.DRY_RUN if self.execution.dry_run else State.RUNNING
        assert [tick.state for tick in self.ticks(10)] == [state] * 10
        return self

    def assert_ramped_to_rest(self) -> None:
        steps = np.diff(np.stack(self.published), axis=0)
        np.testing.assert_array_equal(steps[-1], 0)
        rates = steps / self.period_ns * 1e9
        changes = np.abs(np.diff(rates, axis=0)) * 1e9 / self.period_ns
        assert (changes <= self.limits.acceleration * (1 + SLACK) + SLACK).all()


def states(ticks: list[Tick]) -> list[State]:
    return list(dict.fromkeys(tick.state for tick in ticks))
