"""Runs the executor's state machine on the scripted trajectory, on fake clocks, with a delay.

Shape letters: N control ticks, A action dimension, H action horizon.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from measured_on import ROOT
from scripted_flow import HORIZON, STEP_S, ScriptedPolicy, script, ways

from vla_core.chunk import ActionChunk, Target
from vla_core.continuation import Continuation
from vla_core.contract import Contract, parse_contract
from vla_core.execution import Execution, State
from vla_core.rtc import RTC_OFF, Rtc, RtcMode
from vla_core.safety import Limits
from vla_core.sampling import Sample
from vla_core.strategies import RecedingHorizon, Strategy, make_strategy
from vla_core.types import FloatArray, Observation

START_NS = 1_700_000_000_000_000_000
STEP_NS = round(STEP_S * 1e9)
SETTLED_S = 1.0  # of the run, which begins with a soft start


class WeightedAverage(RecedingHorizon):
    """LeRobot's asynchronous client: where two chunks overlap, 0.3 old + 0.7 new.

    It sends each action for a whole step; here it is read as all others are, linearly in time.

    Source: lerobot, async_inference/robot_client.py and configs.py ("weighted_average").
    """

    def accept(self, chunk: ActionChunk) -> None:
        old = self._chunk
        if old is not None:
            first = (chunk.begin_ns - old.begin_ns) // chunk.step_ns
            overlap = old.actions[first:]
            merged = chunk.actions.copy()
            merged[: len(overlap)] = 0.3 * overlap + 0.7 * merged[: len(overlap)]
            chunk = replace(chunk, actions=merged)
        super().accept(chunk)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of the comparison.

    Attributes:
        make: The strategy for the limits.
        rtc: What the policy is told of the chunk before.
        every_s: Between two observations; one that comes while inference runs is left out.
        overlapping: Whether inferences run side by side instead.
    """

    make: Callable[[Limits], Strategy]
    rtc: Rtc = RTC_OFF
    every_s: float = 0.5
    overlapping: bool = False


def _named(name: str) -> Callable[[Limits], Strategy]:
    return partial(make_strategy, name)


def _guided(execution_horizon: int, *, vjp: bool = False) -> Entry:
    rtc = Rtc(mode=RtcMode.GUIDED, execution_horizon=execution_horizon, vjp=vjp)
    return Entry(make=_named("rtc"), rtc=rtc)


LEFT = HORIZON // 2  # steps of a chunk when the next observation is taken
ENTRIES = {
    "synchronous": Entry(make=_named("synchronous")),
    "receding_horizon": Entry(make=_named("receding_horizon")),
    "temporal_ensemble": Entry(make=_named("temporal_ensemble")),
    "latency_aligned": Entry(make=_named("latency_aligned")),
    "rtc": _guided(LEFT),
    "rtc_trained": Entry(make=_named("rtc_trained"), rtc=Rtc(mode=RtcMode.TRAINED)),
    "rtc, horizon 10": _guided(10),
    "rtc, vjp": _guided(LEFT, vjp=True),
    "LeRobot weighted_average": Entry(make=WeightedAverage),
    "ACT, each action": Entry(make=_named("temporal_ensemble"), every_s=STEP_S, overlapping=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What happened from the first command on.

    Attributes:
        times_s: (N,) of the script.
        wishes, commands: (N, A) before and after the guard; no wish is nan.
        taken: (time, chunk) where a chunk was accepted.
        starved: Ticks that executed no chunk, with or without a command.
    """

    times_s: FloatArray
    wishes: FloatArray
    commands: FloatArray
    taken: list[tuple[float, ActionChunk]]
    starved: int
    tick_s: float


def contract() -> Contract:
    """The UR5e's, with the rate of the benchmark's policy."""
    text = (ROOT / "config" / "robots" / "ur5e.yaml").read_text()
    given = "policy_rate_hz: 20"
    if given not in text:
        raise SystemExit(f"boundaries: ur5e.yaml has another rate than {given!r}")
    return parse_contract(text.replace(given, f"policy_rate_hz: {1 / STEP_S:g}"), "ur5e.yaml")


class Simulation:
    """An execution, a policy that answers late, and a robot that does what it is told."""

    def __init__(self, entry: Entry, *, delay_s: float, seed: int) -> None:
        self._contract = contract()
        limits = Limits.of(self._contract)
        strategy = entry.make(limits)
        self._wish: Target | None = None
        self._execution = Execution(self._contract, self._watched(strategy))
        self._policy = ScriptedPolicy(seed=seed, rtc=entry.rtc)
        self._continuation = Continuation(self._contract)
        self._tick_ns = round(1e9 / self._contract.control_rate_hz)
        self._delay_ns = round(delay_s * 1e9) + self._tick_ns  # to another process and back
        self._every_ns, self._overlapping = round(entry.every_s * 1e9), entry.overlapping
        self._pose = script(np.zeros(1))[0]
        self._under_way: deque[ActionChunk] = deque()
        self.taken: list[tuple[float, ActionChunk]] = []

    def _watched(self, strategy: Strategy) -> Strategy:
        """The same strategy; what it answers is kept."""
        at = strategy.at

        def watched(t_ns: int) -> Target | None:
            self._wish = at(t_ns)
            return self._wish

        strategy.at = watched  # type: ignore[method-assign]
        return strategy

    def run(self, seconds: float) -> Run:
        times, wishes, commands, starved = [], [], [], 0
        for since_ns in range(0, round(seconds * 1e9), self._tick_ns):
            self._measure(since_ns)
            self._think(since_ns)
            self._wish = None
            tick = self._execution.tick(START_NS + since_ns, since_ns)
            if not self.taken:
                continue
            if tick.command is not None:
                self._pose = tick.command
            starved += tick.state is not State.RUNNING
            times.append(since_ns / 1e9)
            nothing = np.full(len(self._pose), np.nan)
            wishes.append(nothing if self._wish is None else self._wish.position)
            commands.append(self._pose)
        return Run(
            times_s=np.array(times),
            wishes=np.array(wishes),
            commands=np.array(commands),
            taken=self.taken,
            starved=starved,
            tick_s=self._tick_ns / 1e9,
        )

    def _measure(self, since_ns: int) -> None:
        values = dict(zip(self._contract.action_names, self._pose.tolist(), strict=True))
        for stream in self._contract.streams:
            payload = {name: values[name] for name in stream.joints}
            self._execution.measure(
                stream.name,
                Sample(stamp_ns=START_NS + since_ns, received_ns=since_ns, payload=payload),
            )

    def _think(self, since_ns: int) -> None:
        """Hand over what has been computed by now, and observe when it is time."""
        now_ns = START_NS + since_ns
        while self._under_way and now_ns >= self._under_way[0].stamp_ns + self._delay_ns:
            chunk = self._under_way.popleft()
            self._continuation.published(chunk, now_ns)
            self._execution.accept(chunk, now_ns)
            self.taken.append((since_ns / 1e9, chunk))
        if since_ns % self._every_ns == 0 and (self._overlapping or not self._under_way):
            observation = Observation(stamp_ns=now_ns, state=self._pose, images={}, prompt="")
            previous = self._continuation.committed(observation)
            actions = self._policy.infer(since_ns / 1e9, self._pose, previous)
            self._under_way.append(ActionChunk(stamp_ns=now_ns, step_ns=STEP_NS, actions=actions))


def velocity_steps(positions: FloatArray, run: Run) -> FloatArray:
    """(N - 2,) the largest of the arm joints' changes of velocity in one tick, rad/s."""
    settled = positions[run.times_s >= SETTLED_S, :-1]
    return np.asarray(np.abs(np.diff(settled, 2, axis=0)).max(1) / run.tick_s)


def jerk(run: Run) -> float:
    """Root mean square of the arm joints' third derivative as sent, rad/s^3."""
    third = np.diff(run.commands[run.times_s >= SETTLED_S, :-1], 3, axis=0) / run.tick_s**3
    return float(np.sqrt((third**2).mean()))


def tracking_error(run: Run) -> float:
    """Mean distance of an arm joint from the script, by the nearer way at each tick, rad."""
    away = np.abs(ways(run.times_s) - run.commands)[..., :-1].mean(-1)
    return float(away.min(0).mean())


def figures(runs: list[Run]) -> dict[str, float]:
    """One row of the comparison, of runs that differ in their noise."""
    wished = np.concatenate([velocity_steps(run.wishes, run) for run in runs])
    sent = np.concatenate([velocity_steps(run.commands, run) for run in runs])
    return {
        "ticks": sum(len(run.times_s) for run in runs),
        "starved_ticks": sum(run.starved for run in runs),
        "wish_largest_step_rad_s": round(float(np.nanmax(wished)), 3),
        "command_largest_step_rad_s": round(float(sent.max()), 3),
        "command_rms_jerk_rad_s3": round(float(np.mean([jerk(run) for run in runs])), 1),
        "tracking_error_rad": round(float(np.mean([tracking_error(run) for run in runs])), 5),
    }


def run_entry(entry: Entry, *, delay_s: float, seconds: float, runs: int) -> list[Run]:
    return [Simulation(entry, delay_s=delay_s, seed=seed).run(seconds) for seed in range(runs)]
