"""The limit guard, judged from outside: only the published positions and their differences."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from guard_rig import EPS, arm, assert_within_limits, follow, made, random_limits, resting, wish
from robot_contract import GRIPPER_ONLY, VELOCITIES_ONLY, robot

from vla_core.chunk import Target
from vla_core.safety import (
    Command,
    Limits,
    at_rest,
    brake,
    gross_violation,
    guard,
    start,
    start_violation,
)

Wishes = Callable[[Command], Target]

# Of the P1 fuzz; each tick guards one command of up to 14 joints. 1000000 takes two minutes.
TICKS = int(os.environ.get("VLA_FUZZ_TICKS", "100000"))
TICKS_PER_ROBOT = 1000


def adversary(rng: np.random.Generator, limits: Limits) -> Iterator[Wishes]:
    """Endless wishes: each style lasts for a random while."""
    size, span = len(limits.names), limits.upper - limits.lower
    styles: list[Wishes] = [
        lambda _: wish(rng.uniform(limits.lower - span, limits.upper + span)),
        lambda _: wish(rng.choice([limits.lower, limits.upper])),
        lambda _: wish(rng.choice([-1e300, -1e9, 1e9, 1e300], size)),
        lambda last: wish(last.position, rng.normal(0, 1e3, size) * limits.rate),
        lambda last: wish(last.position + rng.normal(0, 1e-3, size) * span),
        lambda last: wish(last.position - np.sign(last.rate) * span, limits.rate),
        lambda last: wish(limits.upper, rng.choice([-1e300, 1e300], size)),
        lambda last: wish(limits.lower, -np.abs(last.rate) - limits.rate),
        lambda last: wish(last.position + rng.choice([0, 5e-324, 1e-200, EPS], size)),
    ]
    while True:
        held = wish(rng.uniform(limits.lower, limits.upper))
        style = styles[rng.integers(len(styles))] if rng.random() < 0.8 else lambda _, h=held: h
        for _ in range(rng.integers(1, 60)):
            yield style


def test_p1_no_wish_of_an_adversary_leaves_the_limits(
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    rng = np.random.default_rng(1)
    for _ in range(TICKS // TICKS_PER_ROBOT):
        limits, dt_s = random_limits(rng), float(10 ** rng.uniform(-3, -1))
        last = start(limits, rng.uniform(limits.lower, limits.upper))
        published, source = [last.position], adversary(rng, limits)
        for _ in range(TICKS_PER_ROBOT):
            if rng.random() < 0.02:
                last = brake(limits, last, dt_s)
            else:
                speed = rng.choice([0.0, 0.3, 1.0, 1.0])
                last = guard(limits, last, next(source)(last), dt_s, speed=speed).command
            published.append(last.position)
        assert_within_limits(limits, np.stack(published), dt_s)
    record_testsuite_property("P1 fuzzed actions through the guard", f"{TICKS}, none beyond")


def test_p1_the_check_of_the_fuzz_sees_a_violation() -> None:
    limits = arm(jerk=500.0)
    steady = np.full((9, 1), 0.5)
    assert_within_limits(limits, steady, 0.01)
    # finite, position, rate, acceleration, jerk
    for bad in (np.nan, 3.1, 0.5 + 0.0201, 0.5 + 0.00101, 0.5 + 0.00051):
        moved = steady.copy()
        moved[5:] = bad
        with pytest.raises(AssertionError):
            assert_within_limits(limits, moved, 0.01)


@pytest.mark.parametrize("distance", [1e-12, 1e-6, 1e-3, 0.05, 1.0])
def test_p1_a_joint_near_its_limit_never_overshoots_it(distance: float) -> None:
    limits = arm()
    targets = [wish([1e9], [1e9])] * 300
    positions = follow(limits, resting(limits.upper - distance), targets, 0.01)
    assert_within_limits(limits, positions, 0.01)
    assert positions[-1] == pytest.approx(limits.upper, abs=1e-9)


def test_a_joint_at_its_limit_does_not_stop_the_others() -> None:
    limits = arm(joints=2)
    targets = [wish([9.0, 1.0], [5.0, 0.0])] * 200
    positions = follow(limits, resting([3.0, 0.0]), targets, 0.01)
    np.testing.assert_allclose(positions[-1], [3.0, 1.0], atol=1e-9)


def test_direction_is_kept_on_the_way_to_a_far_target() -> None:
    limits = made([("position", -3, 3, 2.0, 10.0), ("position", -3, 3, 1.0, 30.0)])
    target = np.array([1.5, 0.3])
    positions = follow(limits, resting([0.0, 0.0]), [wish(target)] * 200, 0.01)
    line = positions @ np.array([-target[1], target[0]])
    assert np.abs(line).max() < 1e-12
    assert_within_limits(limits, positions, 0.01)


def test_direction_is_kept_where_only_the_rate_limits() -> None:
    limits = arm(joints=3, rate=1.0, acceleration=1e4)
    slope = np.array([3.0, -1.0, 0.5])
    targets = [wish(slope * 0.01 * k, slope) for k in range(1, 20)]
    steps = np.diff(follow(limits, resting(np.zeros(3)), targets, 0.01), axis=0)
    np.testing.assert_allclose(steps / steps[:, :1], np.tile(slope / 3.0, (19, 1)), atol=1e-9)
    assert np.abs(steps[:, 0]).max() == pytest.approx(0.01)


def test_a_gripper_is_not_slowed_by_the_arm_nor_slows_it() -> None:
    mixed = made([("position", -3, 3, 1.0, 10.0), ("gripper", 0, 1, 5.0, 50.0)])
    positions = follow(mixed, resting([0.0, 0.0]), [wish([2.0, 1.0])] * 60, 0.01)
    alone = made([("gripper", 0, 1, 5.0, 50.0)])
    gripper = follow(alone, resting([0.0]), [wish([1.0])] * 60, 0.01)
    np.testing.assert_array_equal(positions[:, 1:], gripper)


@pytest.mark.parametrize("distance", [1e-4, 0.01, 0.3, 2.5])
def test_a_static_target_is_reached_without_overshoot_in_about_the_least_time(
    distance: float,
) -> None:
    limits, dt_s = arm(), 0.005
    rate, acceleration = 2.0, 10.0
    ramp = rate**2 / acceleration
    least_s = (
        2 * np.sqrt(distance / acceleration)
        if distance < ramp
        else rate / acceleration + distance / rate
    )
    ticks = int(np.ceil(1.05 * least_s / dt_s)) + 8  # the last bit is approached geometrically
    positions = follow(limits, resting([0.0]), [wish([distance])] * (ticks + 200), dt_s)
    assert positions.max() <= distance + 1e-12
    assert positions[ticks, 0] == pytest.approx(distance, abs=max(0.01 * distance, 5e-5))
    assert positions[-1, 0] == pytest.approx(distance, abs=1e-12)


def test_joints_stop_at_their_goals_while_another_reverses() -> None:
    limits, dt_s = arm(joints=4), 0.01
    goal, last, beyond = np.full(4, 0.3), resting(np.zeros(4)), 0.0
    for tick in range(300):
        if tick in (14, 18, 22):
            goal = goal * [1, 1, 1, -2]
        last = guard(limits, last, wish(goal), dt_s).command
        beyond = max(beyond, float((last.position - goal)[:3].max()))
    assert beyond < 1e-12
    np.testing.assert_allclose(last.position, goal, atol=1e-9)


def test_a_linear_trajectory_within_limits_is_tracked_exactly() -> None:
    limits = arm(joints=2)
    slope = np.array([0.05, -0.1])  # one step of acceleration reaches it
    targets = [wish(slope * 0.01 * k, slope) for k in range(1, 300)]
    positions = follow(limits, resting(np.zeros(2)), targets, 0.01)
    np.testing.assert_allclose(positions[1:], [t.position for t in targets], atol=1e-12)


def test_a_smooth_trajectory_within_limits_is_tracked_without_lag() -> None:
    limits, dt_s = arm(), 0.01
    t_s = np.arange(1, 1000)[:, None] * dt_s
    position, velocity = 1 - np.cos(2 * t_s), 2 * np.sin(2 * t_s)  # at most 2 rad/s, 4 rad/s^2
    targets = [wish(p, v) for p, v in zip(position, velocity, strict=True)]
    positions = follow(limits, resting([0.0]), targets, dt_s)
    allowed = 10.0 * dt_s**2 / 8  # a cushion for braking; a lag of one tick would be 0.02
    assert np.abs(positions[1:] - position).max() <= allowed
    assert not guard(limits, resting([0.0]), targets[0], dt_s).limited.any()


def test_limited_tells_which_wish_was_cut() -> None:
    limits = arm(joints=2)
    guarded = guard(limits, resting([0.0, 0.0]), wish([1.0, 0.0]), 0.01)
    assert guarded.limited.tolist() == [True, False]


@pytest.mark.parametrize("speed", [2.0, 1.234, 0.1, 1e-6])
def test_brake_comes_to_rest_as_fast_as_the_limits_allow(speed: float) -> None:
    limits, dt_s = arm(joints=2), 0.01
    command = Command(position=np.zeros(2), rate=np.array([speed, -speed / 2]))
    before = command.position - command.rate * dt_s
    positions = [before, command.position]
    ticks = 0
    while not at_rest(limits, command):
        command = brake(limits, command, dt_s)
        positions.append(command.position)
        ticks += 1
    assert ticks == int(np.ceil(speed / (10.0 * dt_s) - 1e-9))
    rates = np.diff(np.stack(positions), axis=0) / dt_s
    assert np.abs(np.diff(rates, axis=0)).max() <= 10.0 * dt_s * (1 + 1e-9)


def test_brake_takes_a_velocity_to_zero() -> None:
    limits, dt_s = Limits.of(robot(VELOCITIES_ONLY)), 0.02
    command = Command(position=np.array([1.0, -2.0]), rate=np.zeros(2))
    for _ in range(25):
        assert not at_rest(limits, command)
        command = brake(limits, command, dt_s)
    assert at_rest(limits, command)
    np.testing.assert_allclose(command.position, 0, atol=1e-12)


def test_a_velocity_changes_within_its_acceleration_and_keeps_the_direction() -> None:
    limits = Limits.of(robot(VELOCITIES_ONLY))
    positions = follow(limits, resting([0.0, 0.0]), [wish([0.5, 2.0])] * 30, 0.02)
    np.testing.assert_allclose(positions[1], [0.02, 0.08])
    np.testing.assert_allclose(positions[-1], [0.5, 2.0])


def test_guard_and_brake_leave_their_inputs_unchanged() -> None:
    limits = arm(joints=2)
    last, target = resting([0.0, 1.0]), wish([1.0, -1.0], [0.1, 0.2])
    guard(limits, last, target, 0.01)
    brake(limits, last, 0.01)
    np.testing.assert_array_equal(last.position, [0.0, 1.0])
    np.testing.assert_array_equal(target.velocity, [0.1, 0.2])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_p1_what_is_not_finite_is_a_gross_violation(bad: float) -> None:
    limits, last, zero = arm(), resting([0.0]), np.zeros(1)
    assert gross_violation(limits, zero, last, wish([0.1])) is None
    assert "not finite" in str(gross_violation(limits, zero, last, wish([bad])))
    assert "not finite" in str(gross_violation(limits, zero, last, wish([0.1], [bad])))
    assert "not finite" in str(gross_violation(limits, np.array([bad]), last, wish([0.1])))


def test_a_far_wish_and_a_robot_that_does_not_follow_are_gross_violations() -> None:
    limits = made([("position", -3, 3, 2, 10), ("gripper", -9, 9, 2, 10)])
    last = resting([0.0, 0.0])
    far = gross_violation(limits, np.zeros(2), last, wish([1.6, 9.0]))
    assert far == "a proposed command is far from the last one: j0"
    lost = gross_violation(limits, np.array([-1.6, 9.0]), last, wish([0.0, 0.0]))
    assert lost == "the robot does not follow its commands: j0"


def test_p12_start_continues_from_the_measured_pose_at_rest() -> None:
    limits = Limits.of(robot())
    command = start(limits, np.array([0.5, -0.25, 0.03]))
    np.testing.assert_array_equal(command.position, [0.5, -0.25, 0.03])
    assert at_rest(limits, command)
    assert Limits.of(robot(GRIPPER_ONLY)).is_arm.tolist() == [False]


def test_p12_start_outside_of_the_limits_is_refused_beyond_one_ticks_motion() -> None:
    limits, dt_s = arm(), 0.01  # 0.02 rad in a tick
    assert start_violation(limits, np.array([3.019]), dt_s) is None
    assert start(limits, np.array([3.019])).position == 3.0
    assert "j0" in str(start_violation(limits, np.array([3.021]), dt_s))
    grippers = replace(limits, is_gripper=np.array([True]))
    assert start_violation(grippers, np.array([3.5]), dt_s) is None
