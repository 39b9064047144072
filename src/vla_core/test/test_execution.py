"""The executor's state machine on fake clocks: when it moves, when it holds, when it latches."""

from __future__ import annotations

import numpy as np
import pytest
from executor_rig import HOME, HOUR, MS, SLACK, STEP, Rig, states
from robot_contract import GRIPPER_ONLY, VELOCITIES_ONLY

from vla_core.chunk import ActionChunk
from vla_core.errors import ChunkError
from vla_core.execution import Execution, State
from vla_core.strategies import make_strategy

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
    with pytest.raises(ChunkError, match=r"too far.*where: b; found: 0.31; allowed: 0.3;"):
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
    for stamp_ns, message in (
        (newest_ns, "of this observation was taken already"),
        (newest_ns - MS, "older than the one in use; found: 0.001 s older"),
    ):
        with pytest.raises(ChunkError, match=message):
            rig.accept(stamp_ns=stamp_ns, steps=40)
    assert rig.tick().state is State.RUNNING


def test_withdrawn_chunks_hold_the_robot_until_a_new_one() -> None:
    rig = Rig().running()
    rig.execution.accept(None, rig.now_ns)
    assert states(rig.ticks(20)) == [State.RAMPING, State.HOLDING]
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
    assert states(held) == [State.RAMPING, State.HOLDING]
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


@pytest.mark.parametrize("latch", [False, True])
def test_p1_resume_makes_no_command_jump_where_the_robot_lags_behind(latch: bool) -> None:
    rig = Rig().running()
    if latch:
        rig.execution.latch("test")
        rig.tick()
    else:
        rig.execution.accept(None, rig.now_ns)
        rig.ticks(20)  # at rest, and holding
    rig.execution.resume()
    for _ in range(40):
        rig.pose = rig.published[-1] - [0.1, 0.1, 0.0]
        rig.measure()
        rig.accept(to=rig.pose, steps=40)
        rig.tick()
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


# --- holding ---


def test_a_hold_that_does_not_latch_is_silent_as_soon() -> None:
    rig = Rig().running()
    rig.execution.resume()  # a person asked for it: nothing to latch
    ticks = rig.ticks(200)
    assert states(ticks) == [State.RAMPING, State.HOLDING]
    rig.assert_ramped_to_rest()
    assert ticks[45].command is not None
    assert all(tick.command is None for tick in ticks[52:])  # 0.5 s
    rig.pose[0] -= 0.3  # moved by hand
    rig.tick()
    rig.accept(to=rig.pose)
    np.testing.assert_allclose(rig.tick().command, rig.pose, atol=1e-12)


@pytest.mark.parametrize("moved_to", [-1.0, np.nan])
def test_a_pose_is_not_held_where_the_robot_is_not(moved_to: float) -> None:
    rig = Rig().running()
    rig.execution.accept(None, rig.now_ns)
    assert rig.ticks(20)[-1].command is not None
    rig.pose[0] = moved_to
    assert all(tick.command is None for tick in rig.ticks(20))
    rig.pose[0] = -0.9
    rig.tick()
    rig.accept(to=rig.pose)
    np.testing.assert_allclose(rig.tick().command, rig.pose, atol=1e-12)


def test_a_pose_is_not_held_without_fresh_joints_and_latches_all_the_same() -> None:
    rig = Rig().running()
    rig.execution.accept(None, rig.now_ns)
    assert rig.ticks(20)[-1].command is not None
    ticks = rig.ticks(20, measure=False)
    assert states(ticks) == [State.HOLDING]
    assert ticks[-1].command is None
    assert rig.ticks(20)[-1].state is State.LATCHED


def test_estop_brakes_within_the_limits_and_then_is_silent() -> None:
    rig = Rig().running()
    rig.execution.latch("stopped by ~/estop")
    ticks = rig.ticks(50)
    assert states(ticks) == [State.RAMPING, State.LATCHED]
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
    for dry_run, expected in ((False, State.LATCHED), (True, State.DRY_RUN)):
        rig = Rig()
        rig.execution.dry_run = dry_run
        rig.tick()
        rig.accept(to=rig.pose - [1.4, 0.0, 0.0], steps=40)
        for _ in range(150):
            tick = rig.tick()
            rig.pose = HOME.copy()
        assert tick.state is expected


def test_a_dry_run_begins_once_the_robot_is_at_rest() -> None:
    rig = Rig().running()
    rig.execution.dry_run = True
    tick = rig.tick()
    assert (tick.cause, rig.execution.dry_run) == ("coming to rest", False)
    while not rig.execution.dry_run:
        rig.tick()
    rig.assert_ramped_to_rest()


def test_a_robot_of_velocities_is_at_zero_when_a_dry_run_begins() -> None:
    rig = Rig(VELOCITIES_ONLY)
    rig.pose = np.zeros(2)
    rig.tick()
    actions = np.tile([0.4, -1.0], (10, 1))
    chunk = ActionChunk(stamp_ns=rig.now_ns, step_ns=100 * MS, actions=actions)
    rig.execution.accept(chunk, rig.now_ns)
    rig.ticks(40)
    rig.execution.dry_run = True
    while not rig.execution.dry_run:
        sent = rig.tick().command
    assert sent is None
    np.testing.assert_allclose(rig.published[-1], 0, atol=1e-12)


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


def test_a_chunk_of_another_rate_is_refused() -> None:
    rig = Rig()
    rig.tick()
    chunk = ActionChunk(stamp_ns=rig.now_ns, step_ns=2 * STEP, actions=np.tile(HOME, (9, 1)))
    with pytest.raises(ChunkError, match="time between two actions"):
        rig.execution.accept(chunk, rig.now_ns)


# --- leaving ---


def succeeded(rig: Rig) -> Execution:
    """The execution after the rig's, in its place."""
    before, strategy = rig.execution, make_strategy("receding_horizon", rig.limits)
    rig.execution = Execution(rig.contract, strategy)
    rig.execution.succeed(before)
    return rig.execution


def test_leaving_brakes_and_falls_silent_without_a_latch() -> None:
    rig = Rig().running()
    rig.execution.leave()
    rig.accept(steps=40)
    ticks = rig.ticks(100)
    assert {tick.cause for tick in ticks} == {"deactivated"}
    assert states(ticks) == [State.RAMPING, State.HOLDING]
    assert ticks[20].command is None
    rig.assert_ramped_to_rest()
    assert succeeded(rig).latched is None
    rig.tick()
    rig.accept(to=rig.pose)
    assert rig.tick().state is State.RUNNING


def test_p4_a_latch_outlives_its_execution_until_resume() -> None:
    rig = Rig().running()
    rig.execution.latch("stopped by ~/estop")
    rig.tick()
    rig.execution.leave()
    rig.ticks(20)
    for _ in range(2):
        succeeded(rig)
        rig.tick()
        rig.accept(to=rig.pose)
        assert rig.tick().cause == "stopped by ~/estop"
    rig.execution.resume()
    succeeded(rig)
    rig.tick()
    rig.accept(to=rig.pose)
    assert rig.tick().state is State.RUNNING


def test_a_dry_run_and_the_counts_outlive_their_execution() -> None:
    rig = Rig().running()
    rig.execution.dry_run = True  # begins at rest
    assert succeeded(rig).dry_run
    assert rig.execution.counts["chunks_received"] == 1


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
    chunk = ActionChunk(
        stamp_ns=rig.now_ns, step_ns=100 * MS, actions=np.array([[0.5], [1.0]] * 9)
    )
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
