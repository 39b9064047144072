"""Reduced speed: the same path, in the same order, at a slower pace."""

from __future__ import annotations

import numpy as np
import pytest
from executor_rig import HOME, MS, SECOND, STEP, Rig, states
from robot_contract import VELOCITIES_ONLY

from vla_core.chunk import ActionChunk
from vla_core.execution import State
from vla_core.playback import SLEW_S, Playback

NAN = float("nan")


def slowed(speed: float, **options: object) -> Rig:
    """A robot at rest, its speed reduced long ago."""
    rig = Rig(**options)  # type: ignore[arg-type]
    rig.execution.speed = speed
    rig.ticks(round(SLEW_S * 1e9 / rig.period_ns) + 1)
    return rig


def wave(rig: Rig) -> ActionChunk:
    """1 s: joint a swings out, then b, and the gripper closes in between."""
    phase = np.linspace(0, 1, 20)
    actions = np.stack(
        [
            HOME[0] + 0.2 * np.sin(np.pi * phase),
            HOME[1] + 0.1 * phase,
            0.01 + 0.05 * (phase > 0.5),
        ],
        axis=1,
    )
    return ActionChunk(stamp_ns=rig.now_ns, step_ns=STEP, actions=actions)


def test_at_half_speed_the_same_path_takes_twice_the_time() -> None:
    paths = {}
    for speed in (1.0, 0.5):
        rig = slowed(speed)
        rig.execution.accept(wave(rig), rig.now_ns)
        count = round(100 / speed) - 1
        assert states(rig.ticks(count)) == [State.RUNNING]
        paths[speed] = np.stack(rig.published)[-count:]
        assert rig.tick().cause == "the action chunk has ended"
    # the first tenth of a second the robot gathers speed, each in its own time
    np.testing.assert_allclose(paths[0.5][41:-10:2, :2], paths[1.0][20:-5, :2], atol=0.01)


def test_grippers_close_where_the_arm_is_and_not_when_it_would_have_been() -> None:
    where = []
    for speed in (1.0, 0.25):
        rig = slowed(speed)
        rig.execution.accept(wave(rig), rig.now_ns)
        rig.ticks(round(100 / speed) - 1)
        path = np.stack(rig.published)
        where.append(path[np.argmax(path[:, 2] > 0.03), 1])
    assert where[0] == pytest.approx(where[1], abs=0.01)


def test_latency_is_skipped_by_what_the_robot_has_done_meanwhile() -> None:
    rig = slowed(0.5)
    rig.tick()
    ramp = HOME + np.outer(np.arange(20), [0.02, 0.0, 0.0])
    late = ActionChunk(stamp_ns=rig.now_ns - 200 * MS, step_ns=STEP, actions=ramp)
    rig.execution.accept(late, rig.now_ns)
    rig.ticks(40)  # 0.2 s + 0.4 s, at half speed: 0.3 s of the chunk
    assert rig.pose[0] == pytest.approx(HOME[0] + 0.3 * 0.4, abs=0.01)


def test_a_change_of_speed_while_moving_never_turns_the_robot_back() -> None:
    rig = Rig()
    rig.tick()
    rig.accept(to=rig.pose + np.array([1.2, 0.0, 0.0]), steps=40)
    for speed in (0.2, 1.0, 0.5):
        rig.execution.speed = speed
        rig.ticks(40)
    moved = np.diff(np.stack(rig.published)[5:, 0])
    assert moved.min() > 0
    rates = moved / 0.01
    assert np.abs(np.diff(rates)).max() <= 10 * 0.01 * (1 + 1e-9)


@pytest.mark.parametrize("strategy", ["receding_horizon", "latency_aligned", "temporal_ensemble"])
@pytest.mark.parametrize("speed", [0.02, 0.1, 0.9])
def test_a_chunk_that_comes_between_two_ticks_is_executed_at_the_next(
    strategy: str, speed: float
) -> None:
    rig = slowed(speed, strategy=strategy)
    for _ in range(20):  # each from an observation just before it, right before the tick
        stamp_ns = rig.now_ns + round(0.7 * rig.period_ns)
        rig.execution.accept(rig.chunk(stamp_ns=stamp_ns), stamp_ns + round(0.2 * rig.period_ns))
        assert rig.tick().state is State.RUNNING


def test_no_speed_brakes_holds_and_needs_a_fresh_chunk() -> None:
    rig = Rig().running()
    rig.execution.speed = 0.0
    ticks = rig.ticks(80)
    assert states(ticks) == [State.RUNNING, State.RAMPING, State.HOLDING]
    assert ticks[-1].cause == "the speed is 0 %"
    rig.assert_ramped_to_rest()
    rig.accept(steps=40)  # forgotten
    rig.tick()
    rig.execution.speed = 1.0
    assert rig.tick().cause == "waiting for an action chunk"
    rig.accept(steps=40)
    assert rig.tick().state is State.RUNNING


def test_a_velocity_is_scaled_by_the_speed() -> None:
    rig = slowed(0.5, text=VELOCITIES_ONLY)
    rig.pose = np.zeros(2)
    actions = np.tile([0.4, -1.0], (10, 1))
    chunk = ActionChunk(stamp_ns=rig.now_ns, step_ns=100 * MS, actions=actions)
    rig.execution.accept(chunk, rig.now_ns)
    rig.ticks(40)
    np.testing.assert_allclose(rig.published[-1], [0.2, -0.5])


def test_at_full_speed_the_clock_of_chunks_is_the_clock() -> None:
    playback = Playback()
    chunk = Rig().chunk(stamp_ns=5 * SECOND)
    playback.advance(SECOND, 7 * SECOND)
    assert playback.time_ns(7 * SECOND) == 7 * SECOND
    assert playback.align(chunk, 7 * SECOND).begin_ns == 5 * SECOND


@pytest.mark.parametrize("value", [-1.0, 2.0, NAN])
def test_a_speed_outside_of_its_range_is_clamped(value: float) -> None:
    rig = Rig()
    rig.execution.speed = value
    assert rig.execution.speed == (1.0 if value > 1 else 0.0)
