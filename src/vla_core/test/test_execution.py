"""The executor's state machine on fake clocks: when it moves, when it holds, when it latches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from robot_contract import GRIPPER_ONLY, TEXT, VELOCITIES_ONLY, robot

from vla_core.chunk import ActionChunk
from vla_core.errors import ChunkError
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

    def tick(self, *, measure: bool = True, jump_ns: int = 0) -> Tick:
        self.now_ns += self.period_ns + jump_ns
        self.mono_ns += self.period_ns
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
        assert [tick.state for tick in self.ticks(10)] == [State.RUNNING] * 10
        return self

    def assert_ramped_to_rest(self) -> None:
        steps = np.diff(np.stack(self.published), axis=0)
        np.testing.assert_array_equal(steps[-1], 0)
        rates = steps / self.period_ns * 1e9
        changes = np.abs(np.diff(rates, axis=0)) * 1e9 / self.period_ns
        assert (changes <= self.limits.acceleration * (1 + SLACK) + SLACK).all()


def states(ticks: list[Tick]) -> list[State]:
    return list(dict.fromkeys(tick.state for tick in ticks))


# --- before motion ---


def test_nothing_is_published_before_the_first_chunk() -> None:
    rig = Rig()
    ticks = rig.ticks(200)
    assert states(ticks) == [State.HOLDING]  # never latched: it has not moved
    assert all(tick.command is None for tick in ticks)


def test_p12_the_first_command_continues_from_the_measured_pose() -> None:
    rig = Rig()
    rig.tick()
    offset = np.array([0.29, -0.29, 0.0])  # as far as the contract allows
    rig.accept(to=rig.pose + offset, steps=2)
    first = rig.tick().command
    assert first is not None
    rates = np.abs(first - HOME) / (rig.period_ns / 1e9)
    assert (rates <= rig.limits.acceleration * rig.period_ns / 1e9 * (1 + SLACK)).all()
    hold = Rig()
    hold.tick()
    hold.accept(to=hold.pose)
    np.testing.assert_allclose(hold.tick().command, HOME, atol=1e-12)


def test_p12_a_chunk_that_starts_far_from_the_measured_pose_is_refused() -> None:
    rig = Rig()
    rig.tick()
    chunk = rig.chunk()
    chunk.actions[0] += [0.0, 0.31, 0.0]
    with pytest.raises(ChunkError, match=r"too far.*where: b; found: 0.310; allowed: 0.300"):
        rig.execution.accept(chunk, rig.now_ns)
    assert rig.execution.counts["chunks_refused"] == 1
    assert rig.tick().command is None


def test_p12_a_chunk_is_compared_with_the_pose_measured_at_its_stamp() -> None:
    rig = Rig()
    rig.tick()
    old_ns, old_pose = rig.now_ns, rig.pose.copy()
    rig.pose[0] += 0.4  # moved by hand meanwhile
    rig.tick()
    late = ActionChunk(stamp_ns=old_ns, step_ns=STEP, actions=np.tile(old_pose, (9, 1)))
    rig.execution.accept(late, rig.now_ns)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_p12_a_pose_that_is_not_a_number_accepts_no_chunk(bad: float) -> None:
    rig = Rig()
    rig.pose[0] = bad
    rig.tick()
    chunk = ActionChunk(stamp_ns=rig.now_ns, step_ns=STEP, actions=np.tile(HOME, (9, 1)))
    with pytest.raises(ChunkError, match="too far"):
        rig.execution.accept(chunk, rig.now_ns)


def test_p12_a_pose_outside_of_the_limits_latches_without_a_command() -> None:
    rig = Rig()
    rig.pose[1] = 1.2  # 0.2 rad outside, nearer than start_offset
    rig.tick()
    rig.accept(to=[0.5, 1.0, 0.03])
    ticks = rig.ticks(5)
    assert states(ticks) == [State.LATCHED]
    assert "outside of the contract's limits: b" in ticks[0].cause
    assert all(tick.command is None for tick in ticks)


def test_a_chunk_before_any_measurement_is_refused() -> None:
    rig = Rig()
    with pytest.raises(ChunkError, match="no measured pose"):
        rig.accept()


def test_a_chunk_older_than_all_measurements_is_compared_with_the_oldest() -> None:
    rig = Rig()
    rig.tick()
    rig.accept(stamp_ns=rig.now_ns - 100 * MS)
    assert rig.tick().state is State.RUNNING


# --- chunks ---


@pytest.mark.parametrize(
    ("offset_ns", "steps", "message"),
    [(6 * MS, 10, "from the future"), (-STEP * 10, 10, "already ended"), (-HOUR, 10, "ended")],
)
def test_a_chunk_from_another_time_is_refused(offset_ns: int, steps: int, message: str) -> None:
    rig = Rig()
    rig.tick()
    with pytest.raises(ChunkError, match=message):
        rig.accept(stamp_ns=rig.now_ns + offset_ns, steps=steps)
    assert rig.tick().state is State.HOLDING


def test_chunks_out_of_order_are_refused_and_what_runs_goes_on() -> None:
    rig = Rig().running()
    newest_ns = rig.now_ns
    rig.accept(steps=40)
    rig.tick()
    for stamp_ns in (newest_ns, newest_ns - MS):
        with pytest.raises(ChunkError, match="older than the one in use"):
            rig.accept(stamp_ns=stamp_ns, steps=40)
    assert rig.tick().state is State.RUNNING


def test_withdrawn_chunks_hold_the_robot_until_a_new_one() -> None:
    rig = Rig().running()
    rig.execution.accept(None, rig.now_ns)
    assert states(rig.ticks(20)) == [State.HOLDING]
    rig.assert_ramped_to_rest()
    rig.accept()
    assert rig.tick().state is State.RUNNING


@pytest.mark.parametrize("steps", [2, 3, 10])
def test_p4_a_chunk_runs_to_its_end_then_the_robot_ramps_to_rest_and_latches(steps: int) -> None:
    rig = Rig()
    rig.tick()
    rig.accept(steps=steps)
    end_ns = rig.now_ns + steps * STEP
    while rig.now_ns + rig.period_ns < end_ns:
        assert rig.tick().state is State.RUNNING
    held = rig.ticks(51)  # 0.5 s
    assert states(held) == [State.HOLDING]
    assert held[0].cause == "the action chunk has ended"
    rig.assert_ramped_to_rest()
    count = len(rig.published)
    latched = rig.ticks(100)
    assert states(latched) == [State.LATCHED]
    assert len(rig.published) == count
    assert latched[-1].cause.startswith("held for more than 0.5 s")


def test_p4_a_latched_robot_needs_resume_and_then_a_new_chunk() -> None:
    rig = Rig().running()
    rig.execution.latch("test")
    rig.ticks(50)
    rig.accept(steps=40)
    assert states(rig.ticks(20)) == [State.LATCHED]
    rig.pose[0] -= 0.5  # moved by hand
    rig.execution.resume()
    ticks = rig.ticks(80)
    assert states(ticks) == [State.HOLDING]  # the chunk from before is forgotten
    assert all(tick.command is None for tick in ticks)
    rig.accept(to=rig.pose)
    np.testing.assert_allclose(rig.tick().command, rig.pose, atol=1e-12)


def test_resume_while_braking_comes_to_rest_before_it_starts_anew() -> None:
    rig = Rig().running()
    rig.execution.latch("test")
    rig.tick()
    rig.execution.resume()
    rig.accept(steps=40)
    assert rig.tick().cause == "coming to rest"
    rig.ticks(40)
    steps = np.diff(np.stack(rig.published), axis=0)
    changes = np.abs(np.diff(steps, axis=0)) / (rig.period_ns / 1e9) ** 2
    assert (changes <= rig.limits.acceleration * (1 + 1e-6)).all()


def test_resume_while_stale_publishes_nothing() -> None:
    rig = Rig().running()
    rig.execution.latch("test")
    rig.ticks(50, measure=False)
    rig.execution.resume()
    ticks = rig.ticks(100, measure=False)
    assert states(ticks) == [State.HOLDING]
    assert all(tick.command is None for tick in ticks)


def test_estop_brakes_within_the_limits_and_then_is_silent() -> None:
    rig = Rig().running()
    rig.execution.latch("stopped by ~/estop")
    ticks = rig.ticks(50)
    assert states(ticks) == [State.LATCHED]
    assert {tick.cause for tick in ticks} == {"stopped by ~/estop"}
    rig.assert_ramped_to_rest()
    assert ticks[-1].command is None
    rig.execution.latch("a second cause")
    assert rig.tick().cause == "stopped by ~/estop"
    assert rig.execution.counts["latched"] == 1


def test_a_wish_that_jumps_latches() -> None:
    rig = Rig()
    rig.tick()
    chunk = rig.chunk(to=rig.pose)
    chunk.actions[3:, 0] -= 1.5
    rig.execution.accept(chunk, rig.now_ns)
    ticks = rig.ticks(40)
    assert ticks[-1].state is State.LATCHED
    assert "far from the last one: a" in ticks[-1].cause


def test_a_robot_that_does_not_follow_latches_unless_it_is_a_dry_run() -> None:
    for dry_run, expected in ((False, State.LATCHED), (True, State.RUNNING)):
        rig = Rig()
        rig.execution.dry_run = dry_run
        rig.tick()
        rig.accept(to=rig.pose - [1.4, 0.0, 0.0], steps=40)
        for _ in range(150):
            tick = rig.tick()
            rig.pose = HOME.copy()
        assert tick.state is expected


def test_leaving_a_dry_run_starts_anew_from_the_measured_pose() -> None:
    rig = Rig()
    rig.execution.dry_run = True
    rig.running()  # in the mind only
    rig.execution.dry_run = False
    ticks = rig.ticks(5)
    assert all(tick.command is None for tick in ticks)
    rig.accept(to=HOME)
    np.testing.assert_allclose(rig.tick().command, HOME, atol=1e-12)


def test_a_dry_run_does_not_release_a_latch() -> None:
    rig = Rig().running()
    rig.execution.latch("stopped by ~/estop")
    rig.ticks(40)
    for dry_run in (True, False):
        rig.execution.dry_run = dry_run
        rig.accept(to=rig.pose)
        tick = rig.tick()
        assert (tick.state, tick.cause) == (State.LATCHED, "stopped by ~/estop")
        assert tick.command is None


# --- stale, future and jumping clocks ---


def test_p2_stale_joints_hold_within_one_tick_and_latch() -> None:
    rig = Rig().running()
    last_ns = rig.now_ns
    fresh = [t for t in rig.ticks(10, measure=False) if t.state is State.RUNNING]
    assert len(fresh) == 10  # 0.1 s: as old as max_age_s allows
    ticks = rig.ticks(51, measure=False)
    assert rig.now_ns - last_ns == 610 * MS
    assert states(ticks) == [State.HOLDING]
    assert "too old" in ticks[0].cause
    rig.assert_ramped_to_rest()
    assert rig.tick(measure=False).state is State.LATCHED
    assert states(rig.ticks(100)) == [State.LATCHED]  # fresh again: no motion by itself


def test_p2_one_silent_stream_of_two_holds() -> None:
    rig = Rig().running()
    rig.silent = {"hand"}
    ticks = rig.ticks(25)
    assert states(ticks) == [State.RUNNING, State.HOLDING]
    assert "hand: too old" in ticks[-1].cause


def test_p2_a_short_gap_holds_and_goes_on_by_itself() -> None:
    rig = Rig().running()
    rig.ticks(30, measure=False)
    assert rig.tick().state is State.RUNNING


def test_p2_a_frozen_receipt_holds_even_when_stamps_are_fresh() -> None:
    """The clock stands still (a paused simulation): only the receive time tells."""
    rig = Rig().running()
    ticks = rig.ticks(20, measure=False, jump_ns=-rig.period_ns)
    assert states(ticks) == [State.RUNNING, State.HOLDING]
    assert "received too long ago" in ticks[-1].cause


def test_p2_a_stamp_ahead_of_now_holds_within_one_tick() -> None:
    for ahead_ns, state in ((5 * MS, State.RUNNING), (6 * MS, State.HOLDING)):
        rig = Rig().running()
        rig.now_ns += rig.period_ns
        rig.mono_ns += rig.period_ns
        rig.measure(stamp_offset_ns=ahead_ns)
        assert rig.execution.tick(rig.now_ns, rig.mono_ns).state is state


@pytest.mark.parametrize("jump_ns", [HOUR, -HOUR, 3 * SECOND, -3 * SECOND, -300 * MS])
@pytest.mark.parametrize("strategy", ["receding_horizon", "temporal_ensemble"])
def test_p2_a_clock_jump_while_running_holds_ramps_and_latches(
    jump_ns: int, strategy: str
) -> None:
    rig = Rig(strategy=strategy).running()
    assert rig.tick(jump_ns=jump_ns).state is State.HOLDING
    ticks = rig.ticks(60)
    assert ticks[-1].state is State.LATCHED
    rig.assert_ramped_to_rest()


@pytest.mark.parametrize("jump_ns", [HOUR, -HOUR])
def test_p2_after_a_clock_jump_a_new_chunk_is_followed(jump_ns: int) -> None:
    rig = Rig().running()
    rig.tick(jump_ns=jump_ns)
    rig.accept(steps=40)
    assert rig.tick().state is State.RUNNING


def test_p2_a_chunk_from_before_a_rewind_never_votes_again() -> None:
    rig = Rig(strategy="temporal_ensemble")
    rig.tick()
    rig.accept(to=rig.pose + 0.5, steps=80)
    rig.ticks(5)
    rig.tick(jump_ns=-2 * SECOND)
    still = rig.pose.copy()
    rig.accept(to=still, steps=100)  # covers the time at which the first one was made
    for _ in range(300):
        assert rig.tick().state is State.RUNNING
    np.testing.assert_allclose(rig.pose, still, atol=0.05)  # where it braked to, no further


def test_a_late_control_loop_skips_and_does_not_jump() -> None:
    rig = Rig().running()
    before = rig.published[-1]
    tick = rig.tick(jump_ns=80 * MS)  # the wish is 80 ms further; the command is one step further
    assert tick.state is State.RUNNING
    assert tick.command is not None
    step = np.abs(tick.command - before)
    assert (step <= rig.limits.rate * rig.period_ns / 1e9 * (1 + SLACK)).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_p1_a_measured_value_that_is_not_finite_latches_and_brakes(bad: float) -> None:
    rig = Rig().running()
    rig.pose[2] = bad
    tick = rig.tick()
    assert tick.state is State.LATCHED
    assert "not finite" in tick.cause
    assert np.isfinite(np.stack(rig.published)).all()


# --- other robots ---


def test_a_robot_of_velocities_ramps_up_and_back_to_zero() -> None:
    rig = Rig(VELOCITIES_ONLY)
    rig.pose = np.zeros(2)
    assert rig.execution.streams == ()
    rig.tick()
    actions = np.tile([0.4, -1.0], (10, 1))
    chunk = ActionChunk(stamp_ns=rig.now_ns, step_ns=100 * MS, actions=actions)
    rig.execution.accept(chunk, rig.now_ns)
    rig.ticks(40)
    np.testing.assert_allclose(rig.published[-1], [0.4, -1.0])
    ticks = rig.ticks(60)
    assert ticks[-1].state is State.LATCHED
    np.testing.assert_allclose(rig.published[-1], 0, atol=1e-12)
    steps = np.abs(np.diff(np.stack(rig.published), axis=0)) / (rig.period_ns / 1e9)
    assert (steps <= np.array([2.0, 4.0]) * (1 + SLACK)).all()


def test_a_robot_that_is_one_gripper_follows_its_steps() -> None:
    rig = Rig(GRIPPER_ONLY)
    rig.tick()
    chunk = ActionChunk(stamp_ns=rig.now_ns, step_ns=STEP, actions=np.array([[0.5], [1.0]] * 9))
    rig.execution.accept(chunk, rig.now_ns)
    assert states(rig.ticks(40)) == [State.RUNNING]


def test_counts_add_up() -> None:
    rig = Rig().running()
    rig.execution.accept(None, rig.now_ns)
    rig.ticks(60)
    counts = rig.execution.counts
    assert counts["ticks"] == 71
    assert counts["commands"] == len(rig.published)
    assert counts["holds"] == 2  # before the chunk, and after it
    assert counts["latched"] == 1
    assert (counts["chunks_received"], counts["chunks_withdrawn"]) == (2, 1)


# --- any sequence of events ---


class AnySequence(RuleBasedStateMachine):
    """P1 and P4 whatever happens, and in whatever order."""

    @initialize(strategy=st.sampled_from(["receding_horizon", "temporal_ensemble"]))
    def begin(self, strategy: str) -> None:
        self.rig = Rig(strategy=strategy)
        self.latched_for = 0
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
        self.latched_for = self.latched_for + 1 if tick.state is State.LATCHED else 0
        if self.latched_for > 25:  # more than the time to brake from the largest rate
            assert tick.command is None

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

    @rule()
    def withdraw(self) -> None:
        self.rig.execution.accept(None, self.rig.now_ns)

    @rule()
    def estop(self) -> None:
        self.rig.execution.latch("stopped by ~/estop")

    @rule()
    def resume(self) -> None:
        self.rig.execution.resume()

    @rule(push=st.lists(st.floats(-0.3, 0.3), min_size=3, max_size=3))
    def push(self, push: list[float]) -> None:
        self.rig.pose = self.rig.pose + push

    @invariant()
    def latched_without_resume_stays_latched(self) -> None:
        if self.latched_for > 25:
            self.watch(self.rig.tick())


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
