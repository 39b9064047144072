"""Real-time chunking: the weights, and what a new chunk continues."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from robot_contract import TEXT

from vla_core.chunk import ActionChunk
from vla_core.continuation import DELAYS_KEPT, WARM_UP, Continuation, remaining
from vla_core.contract import parse_contract
from vla_core.rtc import Committed, Schedule, guidance_weight, prefix_weights
from vla_core.safety import Limits
from vla_core.types import FloatArray, Observation

GOLDEN = Path(__file__).resolve().parents[3] / "test/golden/rtc"
GRID = json.loads((GOLDEN / "cases.json").read_text())["prefix_weights"]["grid"]
CONTRACT = parse_contract(TEXT, "tester.yaml")
STEP_NS = 50_000_000
MS = 1_000_000
LIMITS = Limits.of(CONTRACT)
schedules = pytest.mark.parametrize("schedule", list(Schedule))


@schedules
def test_prefix_weights_are_the_recorded_ones(schedule: Schedule) -> None:
    with np.load(GOLDEN / "prefix_weights.npz", allow_pickle=False) as recorded:
        for case in GRID:
            start, end, total = case["start"], case["end"], case["total"]
            found = prefix_weights(schedule, delay=start, end=end, total=total)
            for source in ("kinetix", "lerobot"):
                name = f"{start}_{end}_{total}/{schedule.value}/{source}"
                np.testing.assert_allclose(found, recorded[name], atol=1e-6, err_msg=name)


@pytest.mark.parametrize("maximum", [5.0, 10.0])
def test_guidance_weights_are_the_recorded_ones(maximum: float) -> None:
    with np.load(GOLDEN / "guidance_weight.npz", allow_pickle=False) as recorded:
        found = [guidance_weight(1.0 - tau, maximum) for tau in recorded["tau"]]
        np.testing.assert_allclose(found, recorded[f"beta_{maximum}"], rtol=1e-6)


@given(time=st.floats(0, 1), maximum=st.floats(0.1, 100))
def test_the_guidance_weight_is_positive_and_bounded(time: float, maximum: float) -> None:
    assert 0 < guidance_weight(time, maximum) <= maximum


@given(
    schedule=st.sampled_from(Schedule),
    delay=st.integers(0, 60),
    end=st.integers(0, 60),
    total=st.integers(1, 50),
)
def test_weights_are_one_then_fall_then_zero(
    schedule: Schedule, delay: int, end: int, total: int
) -> None:
    weights = prefix_weights(schedule, delay=delay, end=end, total=total)
    assert weights.shape == (total,)
    assert (weights[: min(delay, end)] == 1).all()
    assert (weights[end:] == 0).all()
    assert (np.diff(weights) <= 0).all()


def chunk(stamp_ns: int = 0, steps: int = 10, begin: float = 0.0) -> ActionChunk:
    """Arm joint a moves by 0.02 rad a step, the gripper by 0.001."""
    slope = np.arange(steps)[:, None] * np.array([0.02, 0.0, 0.001])
    return ActionChunk(stamp_ns=stamp_ns, step_ns=STEP_NS, actions=begin + slope)


def observation(stamp_ns: int, state: tuple[float, ...] = (0.0, 0.0, 0.0)) -> Observation:
    return Observation(stamp_ns=stamp_ns, state=np.array(state), images={}, prompt="")


def remaining_at(t_ns: int) -> FloatArray:
    return remaining(chunk(), t_ns, LIMITS)


def test_what_remains_is_what_is_due_at_each_period() -> None:
    np.testing.assert_array_equal(remaining_at(0), chunk().actions)
    np.testing.assert_array_equal(remaining_at(3 * STEP_NS), chunk().actions[3:])
    assert len(remaining_at(10 * STEP_NS - 1)) == 1


def test_between_two_actions_the_arm_is_interpolated_and_the_gripper_is_not() -> None:
    between = remaining_at(STEP_NS + STEP_NS // 2)
    np.testing.assert_allclose(between[:2], [[0.03, 0, 0.001], [0.05, 0, 0.002]])
    np.testing.assert_allclose(between[-1], chunk().actions[-1])


@settings(max_examples=50)
@given(t_ns=st.integers(0, 10 * STEP_NS - 1))
def test_what_remains_leaves_the_chunk_as_it_is(t_ns: int) -> None:
    whole = chunk()
    before = whole.actions.copy()
    left = remaining(whole, t_ns, LIMITS)
    left += 1.0
    np.testing.assert_array_equal(whole.actions, before)


def following(*delays_ms: float) -> tuple[Continuation, ActionChunk]:
    """After one chunk for each delay, all with the same stamp; a fake clock."""
    continuation, last = Continuation(CONTRACT), chunk()
    for delay_ms in delays_ms:
        continuation.published(last, round(delay_ms * MS))
    return continuation, last


def committed(continuation: Continuation, stamp_ns: int = 0) -> Committed:
    found = continuation.committed(observation(stamp_ns))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("delay_ms", "steps"), [(0, 0), (1, 1), (50, 1), (50.000001, 2), (149, 3), (150, 3)]
)
def test_a_delay_counts_every_period_that_it_touches(delay_ms: float, steps: int) -> None:
    assert committed(following(delay_ms)[0]).delay_steps == steps


def test_the_largest_recent_delay_is_expected() -> None:
    warm = (10.0,) * WARM_UP
    assert committed(following(*warm, 60, 190, 60)[0]).delay_steps == 4
    later = (60.0,) * DELAYS_KEPT
    assert committed(following(*warm, 190, *later)[0]).delay_steps == 2


def test_warm_up_counts_only_until_there_is_something_else() -> None:
    assert committed(following(400)[0]).delay_steps == 8
    assert committed(following(400, 300)[0]).delay_steps == 8
    assert committed(following(400, 300, 60)[0]).delay_steps == 2


def test_a_clock_that_was_set_leaves_the_delay_as_it_was() -> None:
    hour_ms = 3_600_000
    continuation, _ = following(60, 60, 60, hour_ms, -hour_ms)
    assert committed(continuation).delay_steps == 2


def test_nothing_is_continued_before_the_first_chunk_after_the_last_or_when_withdrawn() -> None:
    assert Continuation(CONTRACT).committed(observation(0)) is None
    continuation, last = following(60)
    assert continuation.committed(observation(last.end_ns)) is None
    assert continuation.committed(observation(-1)) is None
    assert continuation.committed(observation(last.end_ns - 1)) is not None
    continuation.forget()
    assert continuation.committed(observation(0)) is None


def test_a_chunk_that_the_robot_does_not_follow_is_not_continued() -> None:
    continuation, _ = following(60)
    assert continuation.committed(observation(0, (0.31, 0.0, 0.0))) is None
    assert continuation.committed(observation(0, (np.nan, 0.0, 0.0))) is None
    assert continuation.counts == {"rtc_not_followed": 2}
    assert continuation.committed(observation(0, (0.29, 0.0, 0.08))) is not None  # grippers jump


def test_late_chunks_are_counted_and_only_those() -> None:
    continuation, last = following(60, 60, 60)  # two periods
    committed(continuation, 100 * MS)
    new = replace(last, stamp_ns=100 * MS)
    continuation.published(new, 200 * MS)
    assert continuation.counts["rtc_late"] == 0
    committed(continuation, 200 * MS)
    continuation.published(replace(last, stamp_ns=200 * MS), 301 * MS)
    assert continuation.counts["rtc_late"] == 1
    assert continuation.committed(observation(10**12)) is None
    continuation.published(replace(last, stamp_ns=10**12), 10**12 + 900 * MS)  # a free one
    assert continuation.counts == {"rtc_continued": 2, "rtc_late": 1}


def test_grippers_are_marked_as_stepped() -> None:
    np.testing.assert_array_equal(committed(following(60)[0]).stepped, [False, False, True])
