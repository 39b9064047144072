"""The jerk limit and the speed override of the guard, judged by the published positions."""

from __future__ import annotations

import numpy as np
import pytest
from guard_rig import arm, assert_within_limits, follow, made, resting, wish
from hypothesis import given, settings
from hypothesis import strategies as st
from robot_contract import TEXT, robot

from vla_core.errors import ContractError
from vla_core.safety import Command, Limits, at_rest, brake, guard, start

DT_S = 0.01


@settings(max_examples=60, deadline=None)
@given(
    jerk=st.floats(40, 1e5),
    goals=st.lists(st.floats(-4, 4), min_size=1, max_size=8),
    speed=st.floats(0, 1),
    hold=st.integers(1, 40),
)
def test_p1_jerk_and_position_are_kept_whatever_the_goals(
    jerk: float, goals: list[float], speed: float, hold: int
) -> None:
    limits = made([("position", -3, 3, 2, 10, jerk), ("gripper", -3, 3, 5, 80, 8 * jerk)])
    last = resting([0.0, 0.0])
    published = [last.position]
    for goal in goals:
        for _ in range(hold):
            last = guard(limits, last, wish([goal, -goal]), DT_S, speed=speed).command
            published.append(last.position)
    while not at_rest(limits, last):
        last = brake(limits, last, DT_S)
        published.append(last.position)
        assert len(published) < 1000
    assert_within_limits(limits, np.stack(published), DT_S)
    np.testing.assert_allclose(brake(limits, last, DT_S).position, last.position, atol=1e-9)


def test_jerk_needs_time_and_costs_no_more() -> None:
    goal = [wish([1.0])] * 200
    sharp = follow(arm(), resting([0.0]), goal, DT_S)
    smooth = follow(arm(jerk=200.0), resting([0.0]), goal, DT_S)  # a window of 0.1 s
    assert_within_limits(arm(jerk=200.0), smooth, DT_S)
    late = np.argmax(smooth > 0.999) - np.argmax(sharp > 0.999)
    assert 0 < late <= 10
    assert smooth[-1] == pytest.approx(1.0, abs=1e-9)
    assert smooth.max() <= 1.0 + 1e-9


def test_jerk_keeps_the_direction_of_the_arm() -> None:
    limits = made([("position", -3, 3, 2, 10, 100), ("position", -3, 3, 1, 30, 900)])
    target = np.array([1.5, 0.3])
    positions = follow(limits, resting([0.0, 0.0]), [wish(target)] * 300, DT_S)
    assert np.abs(positions @ np.array([-target[1], target[0]])).max() < 1e-12
    np.testing.assert_allclose(positions[-1], target, atol=1e-9)


def test_a_steady_motion_is_followed_without_the_lag_of_the_mean() -> None:
    slope = np.array([0.5])
    targets = [wish(slope * DT_S * k, slope) for k in range(1, 300)]
    positions = follow(arm(jerk=200.0), resting([0.0]), targets, DT_S)
    np.testing.assert_allclose(positions[-100:], [t.position for t in targets[-100:]], atol=1e-3)


def test_without_a_jerk_limit_nothing_is_averaged() -> None:
    guarded = guard(arm(), resting([0.0]), wish([1.0]), DT_S)
    assert len(guarded.command.ramp) == 0


def test_a_jerk_limit_comes_from_the_contract_and_may_not_be_absurdly_low() -> None:
    text = TEXT.replace("acceleration: 10}", "acceleration: 10, jerk: 40}")
    assert Limits.of(robot(text)).jerk.tolist() == [40.0, np.inf, np.inf]
    with pytest.raises(ContractError, match="number from 40 to"):
        robot(text.replace("jerk: 40", "jerk: 39"))


# --- speed ---


@pytest.mark.parametrize("speed", [0.1, 0.5])
def test_the_speed_limits_the_rate_of_the_arm_and_not_of_grippers(speed: float) -> None:
    limits = made([("position", -3, 3, 2, 10), ("gripper", 0, 1, 2, 50)])
    last, positions = resting([-2.0, 0.0]), []
    for _ in range(100):
        last = guard(limits, last, wish([2.0, 1.0]), DT_S, speed=speed).command
        positions.append(last.position)
    rates = np.diff(np.stack(positions), axis=0).max(axis=0) / DT_S
    np.testing.assert_allclose(rates, [2 * speed, 2])


def test_p1_a_lower_speed_slows_a_moving_arm_within_its_acceleration() -> None:
    limits = arm()
    moving = Command(position=np.zeros(1), rate=np.array([2.0]))
    last, positions = moving, [-moving.rate * DT_S, moving.position]
    for _ in range(30):
        last = guard(limits, last, wish([3.0], [2.0]), DT_S, speed=0.25).command
        positions.append(last.position)
    rates = np.diff(np.stack(positions), axis=0)[:, 0] / DT_S
    assert np.abs(np.diff(rates)).max() <= 10 * DT_S * (1 + 1e-9)
    assert rates[-1] == pytest.approx(0.5)


def test_no_speed_stands_still() -> None:
    limits = arm()
    first = start(limits, np.array([0.5]))
    assert guard(
        limits, first, wish([3.0], [2.0]), DT_S, speed=0.0
    ).command.position == pytest.approx(0.5)
