"""From chunks to one wish per tick."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from robot_contract import TEXT, robot

from vla_core.chunk import ActionChunk
from vla_core.errors import ChunkError
from vla_core.safety import Limits
from vla_core.strategies import (
    STRATEGIES,
    LatencyAligned,
    RecedingHorizon,
    Strategy,
    StrategySettings,
    Synchronous,
    TemporalEnsemble,
    make_strategy,
)

GOLDEN = Path(__file__).resolve().parents[3] / "test/golden/rtc/temporal_ensemble.npz"
LIMITS = Limits.of(robot())  # two arm joints, then a gripper
ARM = Limits.of(robot(TEXT.replace("kind: gripper", "kind: position")))
STEP = 20_000_000


def chunk(stamp_ns: int, actions: object) -> ActionChunk:
    return ActionChunk(stamp_ns=stamp_ns, step_ns=STEP, actions=np.asarray(actions, float))


def constant(stamp_ns: int, value: float, steps: int = 10) -> ActionChunk:
    return chunk(stamp_ns, np.full((steps, 3), value))


def position(strategy: Strategy, t_ns: int) -> float:
    target = strategy.at(t_ns)
    assert target is not None
    return float(target.position[0])


@pytest.mark.parametrize("name", STRATEGIES)
def test_without_a_chunk_that_covers_now_there_is_no_wish(name: str) -> None:
    strategy = make_strategy(name, LIMITS)
    assert strategy.at(0) is None
    assert strategy.newest() is None
    made = constant(1000, 0.5)
    strategy.accept(made)
    assert strategy.newest() is made
    assert strategy.at(999) is None
    assert strategy.at(1000) is not None
    assert strategy.in_use() is made
    assert strategy.at(made.end_ns) is None
    strategy.clear()
    assert strategy.newest() is None
    assert strategy.in_use() is None
    assert strategy.at(1000) is None


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(ChunkError, match=", ".join(STRATEGIES)):
        make_strategy("os.system", LIMITS)


def test_receding_horizon_takes_the_action_that_is_due_now_from_the_newest_chunk() -> None:
    strategy = RecedingHorizon(LIMITS)
    strategy.accept(constant(0, 0.1))
    newer = chunk(4 * STEP, np.arange(30).reshape(10, 3))
    strategy.accept(newer)
    target = strategy.at(7 * STEP)  # three steps of latency are skipped
    assert target is not None
    np.testing.assert_allclose(target.position, newer.actions[3])
    assert strategy.at(STEP) is None  # the older chunk is gone


@pytest.mark.parametrize("coefficient", ["0.01", "0.0", "-0.05"])
def test_temporal_ensemble_agrees_with_act(coefficient: str) -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        chunks, expected = golden["chunks"], golden[f"m_{coefficient}"]
    steps, batch = chunks.shape[:2]
    for row in range(batch):
        strategy = TemporalEnsemble(ARM, float(coefficient))
        for k in range(steps):
            strategy.accept(chunk(k * STEP, chunks[k, row]))
            target = strategy.at(k * STEP)
            assert target is not None
            np.testing.assert_allclose(target.position, expected[k, row], rtol=1e-6, atol=1e-6)


def test_temporal_ensemble_agrees_with_the_formula_in_double_precision() -> None:
    rng = np.random.default_rng(0)
    strategy, made = TemporalEnsemble(ARM), []
    for k in range(12):
        made.append(chunk(k * STEP, rng.normal(size=(6, 3))))
        strategy.accept(made[-1])
        votes = [c.actions[k - j] for j, c in enumerate(made) if k - j < 6]
        weights = np.exp(-0.01 * np.arange(len(votes)))
        target = strategy.at(k * STEP)
        assert target is not None
        expected = (weights @ np.stack(votes)) / weights.sum()
        np.testing.assert_allclose(target.position, expected, rtol=1e-12)


def test_temporal_ensemble_averages_the_slopes_with_the_same_weights() -> None:
    strategy = TemporalEnsemble(ARM, 0.0)
    ramp = np.outer(np.arange(10), np.ones(3))
    strategy.accept(chunk(0, ramp))
    strategy.accept(chunk(STEP, 3 * ramp))
    before, after = strategy.at(2 * STEP), strategy.at(2 * STEP + STEP // 2)
    assert before is not None
    assert after is not None
    np.testing.assert_allclose(before.velocity, 2 / 0.02)
    np.testing.assert_allclose(after.position - before.position, before.velocity * 0.01)


@pytest.mark.parametrize("name", set(STRATEGIES) - {"synchronous"})
def test_grippers_are_never_averaged_between_chunks_nor_actions(name: str) -> None:
    strategy = make_strategy(name, LIMITS)
    strategy.accept(constant(0, 0.0))
    strategy.at(0)
    open_then_closed = np.zeros((10, 3))
    open_then_closed[2:, 2] = 1.0
    strategy.accept(chunk(STEP, open_then_closed))
    for t_ns in range(STEP, 10 * STEP, STEP // 5):
        target = strategy.at(t_ns)
        assert target is not None
        assert target.position[2] == (1.0 if t_ns >= 3 * STEP else 0.0)
        assert target.velocity[2] == 0.0


def test_temporal_ensemble_forgets_chunks_that_have_ended() -> None:
    strategy = TemporalEnsemble(LIMITS)
    for k in range(1000):
        strategy.accept(constant(k * STEP, float(k)))
    target = strategy.at(999 * STEP)
    assert target is not None
    assert 990 <= target.position[0] <= 999
    assert len(strategy._chunks) == 10  # memory and time per tick stay bounded


# --- synchronous ---


def test_synchronous_takes_a_new_chunk_when_the_one_in_use_has_ended() -> None:
    strategy = Synchronous(LIMITS)
    first, second, third = (constant(k * 4 * STEP, k / 10) for k in range(3))
    strategy.accept(first)
    assert position(strategy, 0) == 0.0
    strategy.accept(second)
    strategy.accept(third)  # newer: the second is never executed
    assert strategy.newest() is third
    assert position(strategy, 10 * STEP - 1) == 0.0
    assert strategy.in_use() is first
    assert position(strategy, 10 * STEP) == 0.2
    assert strategy.in_use() is third


def test_synchronous_takes_a_new_chunk_after_its_executed_part() -> None:
    strategy = make_strategy("synchronous", LIMITS, StrategySettings(execute_steps=3))
    strategy.accept(constant(0, 0.0))
    assert position(strategy, 2 * STEP) == 0.0  # two steps late: they count as skipped
    strategy.accept(chunk(4 * STEP, np.arange(30).reshape(10, 3)))
    assert position(strategy, 5 * STEP - 1) == 0.0
    assert position(strategy, 6 * STEP) == 6.0  # the third action: what is due now


def test_synchronous_goes_on_beyond_its_part_where_nothing_new_has_come() -> None:
    strategy = Synchronous(LIMITS, execute_steps=3)
    strategy.accept(constant(0, 0.5))
    assert position(strategy, 0) == 0.5
    assert position(strategy, 9 * STEP) == 0.5
    assert strategy.at(10 * STEP) is None


# --- latency aligned ---


def test_latency_aligned_fades_linearly_from_the_old_chunk_to_the_new_one() -> None:
    strategy = LatencyAligned(LIMITS, blend_s=0.1)
    strategy.accept(constant(0, 0.0, steps=100))
    assert position(strategy, 20 * STEP) == 0.0  # the first one does not fade in
    strategy.accept(constant(STEP, 1.0, steps=100))
    found = [position(strategy, 20 * STEP + k * 10_000_000) for k in range(13)]
    np.testing.assert_allclose(found, [*np.arange(11) / 10, 1, 1], atol=1e-12)
    assert len(strategy._fading) == 1  # what is over is forgotten


def test_latency_aligned_fades_from_where_it_is_when_a_third_chunk_comes() -> None:
    strategy = LatencyAligned(LIMITS, blend_s=0.1)
    strategy.accept(constant(0, 0.0, steps=100))
    strategy.at(0)
    for k in range(1, 90):  # a new chunk each tick, in a hurry
        strategy.accept(constant(k, float(k % 2), steps=100))
        before = position(strategy, k * 10_000_000)
        after = position(strategy, k * 10_000_000 + 1)
        assert after == pytest.approx(before, abs=1e-6)
        assert 0 <= before <= 1
    assert len(strategy._fading) <= 12


@pytest.mark.parametrize("gap", [0, 5 * STEP])
def test_latency_aligned_fades_from_nothing_that_has_ended(gap: int) -> None:
    strategy = LatencyAligned(LIMITS, blend_s=0.1)
    strategy.accept(constant(0, 0.0))
    strategy.at(0)
    strategy.accept(constant(STEP, 1.0, steps=100))
    assert position(strategy, 10 * STEP + gap) == 1.0


def test_latency_aligned_has_the_velocity_of_its_position() -> None:
    rng = np.random.default_rng(2)
    strategy = LatencyAligned(LIMITS, blend_s=0.15)
    for k in range(4):
        strategy.accept(chunk(k, rng.normal(size=(60, 3))))
        for t_ns in range(k * 60_000_000 + 500_000, (k + 1) * 60_000_000, 3_000_000):
            target, after = strategy.at(t_ns), strategy.at(t_ns + 1000)
            assert target is not None
            assert after is not None
            slope = (after.position - target.position) / 1e-6
            np.testing.assert_allclose(target.velocity[:2], slope[:2], rtol=1e-3, atol=0.01)
            assert target.velocity[2] == 0.0


# --- a boundary, seen by the robot ---


def largest_velocity_step(name: str, delay_ns: int) -> float:
    """rad/s, of a policy that follows a slow wave and errs by 0.03 rad, another way each time."""
    strategy = make_strategy(name, LIMITS, StrategySettings(execute_steps=25, blend_s=0.2))
    times = np.arange(50) * STEP
    tick_ns, every_ns, positions = 10_000_000, 500_000_000, []
    for t_ns in range(0, 6_000_000_000, tick_ns):
        stamp_ns = t_ns - delay_ns
        if stamp_ns >= 0 and stamp_ns % every_ns == 0:
            wave = 0.3 * np.sin((stamp_ns + times) / 1e9)
            error = 0.03 if stamp_ns // every_ns % 2 else -0.03
            strategy.accept(chunk(stamp_ns, np.outer(wave + error, np.ones(3))))
        if t_ns >= delay_ns:
            positions.append(position(strategy, t_ns))  # never starved
    return float(np.abs(np.diff(positions, 2)).max() / (tick_ns / 1e9))


@pytest.mark.parametrize("delay_ms", [0, 100, 200, 300])
def test_latency_aligned_steps_by_at_most_a_third_of_synchronous_at_a_boundary(
    delay_ms: int,
) -> None:
    stepped = largest_velocity_step("synchronous", delay_ms * 1_000_000)
    blended = largest_velocity_step("latency_aligned", delay_ms * 1_000_000)
    assert stepped == pytest.approx(6.0, rel=0.05)  # 0.06 rad in a tick
    assert blended <= 0.3 * stepped
