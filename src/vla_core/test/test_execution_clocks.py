"""P2: stale, future and frozen measurements, and clocks that jump: hold, ramp to rest, latch."""

from __future__ import annotations

import numpy as np
import pytest
from executor_rig import HOUR, MS, SECOND, SLACK, Rig, states

from vla_core.execution import State


def test_p2_stale_joints_hold_within_one_tick_and_latch() -> None:
    rig = Rig().running()
    last_ns = rig.now_ns
    fresh = [t for t in rig.ticks(10, measure=False) if t.state is State.RUNNING]
    assert len(fresh) == 10  # 0.1 s: as old as max_age_s allows
    ticks = rig.ticks(51, measure=False)
    assert rig.now_ns - last_ns == 610 * MS
    assert states(ticks) == [State.RAMPING, State.HOLDING]
    assert "too old" in ticks[0].cause
    rig.assert_ramped_to_rest()
    assert rig.tick(measure=False).state is State.LATCHED
    assert states(rig.ticks(100)) == [State.LATCHED]  # fresh again: no motion by itself


def test_p2_one_silent_stream_of_two_holds() -> None:
    rig = Rig().running()
    rig.silent = {"hand"}
    ticks = rig.ticks(25)
    assert states(ticks) == [State.RUNNING, State.RAMPING, State.HOLDING]
    assert "hand: too old" in ticks[-1].cause


def test_p2_a_short_gap_holds_and_goes_on_by_itself() -> None:
    rig = Rig().running()
    rig.ticks(30, measure=False)
    assert rig.tick().state is State.RUNNING


def test_p2_a_frozen_receipt_holds_even_when_stamps_are_fresh() -> None:
    """The clock stands still (a paused simulation): only the receive time tells."""
    rig = Rig().running()
    ticks = rig.ticks(20, measure=False, jump_ns=-rig.period_ns)
    assert states(ticks) == [State.RUNNING, State.RAMPING, State.HOLDING]
    assert "received too long ago" in ticks[-1].cause


def test_p2_a_stamp_ahead_of_now_holds_within_one_tick() -> None:
    for ahead_ns, state in ((5 * MS, State.RUNNING), (6 * MS, State.RAMPING)):
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
    assert rig.tick(jump_ns=jump_ns).state is State.RAMPING
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
    assert tick.state is State.RAMPING
    assert "not finite" in tick.cause
    assert rig.ticks(40)[-1].state is State.LATCHED
    assert np.isfinite(np.stack(rig.published)).all()
