"""Each check of numbers is seen failing on damage of its kind, and silent without it."""

from __future__ import annotations

import numpy as np
import pytest

from vla_core.contract import Joint, Kind
from vla_core.preflight.findings import Level
from vla_recorder.tools import number_checks as checks
from vla_recorder.tools.report import Report

FPS = 50.0
TIME = np.arange(200) / FPS
MOVING = np.stack([np.sin(TIME), np.cos(TIME)], axis=1)
JOINT = Joint(
    name="elbow", unit="rad", kind=Kind.POSITION, lower=-1.0, upper=1.0, max_rate=2.0,
    max_acceleration=10.0,
)  # fmt: skip


@pytest.fixture
def report() -> Report:
    return Report()


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none_is_a_failure_with_its_place(report: Report, odd: float) -> None:
    values = MOVING.copy()
    values[7, 1] = odd
    assert not checks.check_finite(report, 3, "action", values)
    (finding,) = report.findings()
    assert finding.level is Level.FAIL
    assert "episode 3" in finding.found
    assert "row 7, dimension 1" in finding.found


def test_finite_numbers_pass(report: Report) -> None:
    assert checks.check_finite(report, 0, "action", MOVING)
    assert report.level is Level.PASS


def test_longest_run_finds_the_longest_of_several() -> None:
    values = np.array([[0], [1], [1], [2], [3], [3], [3], [4]])
    assert checks.longest_run(values) == (4, 3)
    assert checks.longest_run(values[:1]) == (0, 1)


def test_a_stream_that_stands_still_while_the_other_side_moves_is_frozen(report: Report) -> None:
    state = MOVING.copy()
    state[100:140] = state[100]  # 0.8 s
    checks.check_frozen(report, 0, "state", state, checks.Motion.of(MOVING), FPS)
    assert report.level is Level.WARN
    assert "0.80 s from row 100" in report.findings()[0].found


@pytest.mark.parametrize(
    ("held", "other"),
    [(slice(100, 120), MOVING), (slice(100, 160), np.zeros_like(MOVING))],
    ids=["only 0.4 s", "the robot stands still too"],
)
def test_a_stream_that_may_stand_still_is_not_frozen(
    report: Report, held: slice, other: np.ndarray
) -> None:
    state = MOVING.copy()
    state[held] = state[held][0]
    checks.check_frozen(report, 0, "state", state, checks.Motion.of(other), FPS)
    assert report.level is Level.PASS


def test_noise_of_a_robot_at_rest_is_no_motion(report: Report) -> None:
    noise = 1e-3 * np.random.default_rng(0).standard_normal(MOVING.shape)
    checks.check_frozen(report, 0, "action", np.zeros_like(MOVING), checks.Motion.of(noise), FPS)
    assert report.level is Level.PASS


def test_rows_that_repeat_the_row_before_are_counted_while_the_robot_moves(
    report: Report,
) -> None:
    motion = checks.Motion.of(MOVING)
    checks.check_repeated(report, 0, "state", MOVING, motion)
    assert report.level is Level.PASS
    checks.check_repeated(report, 0, "state", MOVING[np.arange(200) // 2 * 2], motion)
    assert report.level is Level.WARN
    assert "50% of the rows in motion" in report.findings()[0].found


@pytest.mark.parametrize(
    ("worst", "level"), [(1.0005, Level.PASS), (1.2, Level.WARN), (57.3, Level.FAIL)]
)
def test_limits_warn_and_another_unit_fails(report: Report, worst: float, level: Level) -> None:
    values = np.array([[0.0], [worst], [0.5]])
    checks.check_limits(report, 0, "action", values, [JOINT])
    assert report.level is level
    if level is Level.FAIL:
        assert "another unit" in report.findings()[0].advice


def test_a_value_below_its_limit_is_seen_too(report: Report) -> None:
    checks.check_limits(report, 0, "action", np.array([[-1.3]]), [JOINT])
    assert "-1.3 rad in row 0, allowed -1 to 1" in report.findings()[0].found


def test_a_step_faster_than_the_joint_is_a_warning(report: Report) -> None:
    values = np.array([[0.0], [0.03], [0.06], [0.12]])  # 1.5, 1.5 and 3 rad/s
    checks.check_rates(report, 0, "actions", values[:3], [JOINT], FPS)
    assert report.level is Level.PASS
    checks.check_rates(report, 0, "actions", values, [JOINT], FPS)
    assert "3 rad/s after row 2, allowed 2" in report.findings()[0].found


def test_checks_leave_their_input_as_it_is(report: Report) -> None:
    values = MOVING.copy()
    motion = checks.Motion.of(MOVING)
    checks.check_frozen(report, 0, "state", values, motion, FPS)
    checks.check_repeated(report, 0, "state", values, motion)
    checks.check_limits(report, 0, "state", values, [JOINT, JOINT])
    assert np.array_equal(values, MOVING)
