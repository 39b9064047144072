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
    RecedingHorizon,
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
    assert strategy.at(made.end_ns) is None
    strategy.clear()
    assert strategy.newest() is None
    assert strategy.at(1000) is None


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(ChunkError, match="receding_horizon, temporal_ensemble"):
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


@pytest.mark.parametrize("name", STRATEGIES)
def test_grippers_are_never_averaged_between_chunks_nor_actions(name: str) -> None:
    strategy = make_strategy(name, LIMITS)
    strategy.accept(constant(0, 0.0))
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
