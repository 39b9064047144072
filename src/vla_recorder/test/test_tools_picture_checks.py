"""Cameras that stand still, repeat themselves or show nothing are seen."""

from __future__ import annotations

import numpy as np
import pytest

from vla_core.preflight.findings import Level
from vla_recorder.tools.number_checks import Motion
from vla_recorder.tools.picture_checks import PictureWatch, check_pictures, thumbnail
from vla_recorder.tools.report import Report

FPS = 50.0
KEYFRAMES = 60
MOTION = Motion.of(np.sin(np.arange(2 * KEYFRAMES) / 20.0)[:, None])
STILL = Motion.of(np.zeros((2 * KEYFRAMES, 1)))


def picture(place: int) -> np.ndarray:
    """A square that wanders over a grey ground."""
    frame = np.full((48, 64, 3), 90, dtype=np.uint8)
    frame[10:22, place % 50 : place % 50 + 12] = 220
    return frame


def judge(places: list[int], motion: Motion = MOTION, rate_hz: float | None = 50.0) -> Report:
    report, watch = Report(), PictureWatch()
    for place in places:
        watch.see(picture(place))
    rows = 2 * np.arange(len(places))
    check_pictures(report, 0, "cam", watch, rows=rows, motion=motion, fps=FPS, rate_hz=rate_hz)
    return report


def test_a_camera_that_changes_passes() -> None:
    assert judge(list(range(KEYFRAMES))).level is Level.PASS


def test_a_picture_that_stands_still_while_the_robot_moves_is_frozen() -> None:
    places = [min(at, 20) if at < 45 else at for at in range(KEYFRAMES)]  # 25 keyframes: 1 s
    report = judge(places)
    assert report.level is Level.WARN
    assert "the same picture for 1.00 s from row 40" in report.findings()[0].found


def test_a_still_scene_around_a_still_robot_is_none() -> None:
    assert judge([5] * KEYFRAMES, STILL).level is Level.PASS


def test_depth_that_changes_by_less_than_a_grey_level_is_not_frozen() -> None:
    watch = PictureWatch()
    for at in range(KEYFRAMES):
        depth = np.full((48, 64), 900 + at, np.uint16)  # mm; one pixel that is far away
        depth[0, 0] = 65_535
        watch.see(np.full((48, 64, 1), 2, np.uint8), lossless=depth)
    assert list(watch.still()) == []
    watch.see(np.full((48, 64, 1), 2, np.uint8), lossless=depth)
    assert list(watch.still()) == [(KEYFRAMES - 1, 2)]


@pytest.mark.parametrize(("rate_hz", "level"), [(50.0, Level.WARN), (12.5, Level.PASS)])
def test_a_camera_slower_than_its_contract_is_a_warning(rate_hz: float, level: Level) -> None:
    report = judge([at // 2 for at in range(KEYFRAMES)], rate_hz=rate_hz)
    assert report.level is level


def test_without_a_promised_rate_only_hardly_any_pictures_are_a_warning() -> None:
    assert judge([at // 2 for at in range(KEYFRAMES)], rate_hz=None).level is Level.PASS
    assert judge([at // 8 for at in range(KEYFRAMES)], rate_hz=None).level is Level.WARN


@pytest.mark.parametrize("value", [0, 255])
def test_black_and_white_pictures_are_counted(value: int) -> None:
    report, watch = Report(), PictureWatch()
    for _ in range(3):
        watch.see(np.full((48, 64, 3), value, dtype=np.uint8))
    rows = np.arange(3)
    check_pictures(report, 0, "cam", watch, rows=rows, motion=STILL, fps=FPS, rate_hz=None)
    assert "3 of 3 pictures are black or white" in report.findings()[0].found


def test_mean_and_deviation_are_those_of_the_pictures() -> None:
    watch = PictureWatch()
    frames = np.random.default_rng(1).integers(0, 256, (5, 400, 400, 3), dtype=np.uint8)
    for frame in frames:
        watch.see(frame)
    assert np.allclose(watch.mean, frames.mean(axis=(0, 1, 2)) / 255, atol=5e-3)
    assert np.allclose(watch.std, frames.std(axis=(0, 1, 2)) / 255, atol=5e-3)


def test_a_thumbnail_holds_the_means_of_its_cells() -> None:
    frame = np.random.default_rng(2).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    expected = frame.mean(axis=2).reshape(32, 2, 32, 3).mean(axis=(1, 3))
    assert np.allclose(thumbnail(frame), expected, atol=1e-3)
