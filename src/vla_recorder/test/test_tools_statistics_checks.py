"""Statistics that are not those of the data are seen, value by value."""

from __future__ import annotations

import numpy as np
import pytest

from vla_core.dataset.statistics import QUANTILES
from vla_core.preflight.findings import Level
from vla_recorder.tools.report import Report
from vla_recorder.tools.statistics_checks import StatedNumbers, check_pictures

VALUES = np.random.default_rng(0).standard_normal((500, 3))


def judge(stated: dict[str, object], episode: int | None = 0, pieces: int = 1) -> Report:
    report, watch = Report(), StatedNumbers(stated)
    for piece in np.array_split(VALUES, pieces):
        watch.see(piece)
    watch.check(report, episode, "action")
    return report


def right() -> dict[str, list[float]]:
    stats = {key: getattr(VALUES, key)(axis=0).tolist() for key in ("min", "max", "mean", "std")}
    quantiles = {key: np.quantile(VALUES, q, axis=0).tolist() for key, q in QUANTILES.items()}
    return {**stats, **quantiles, "count": [500]}


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_right_statistics_pass_however_many_episodes_there_are(pieces: int) -> None:
    assert judge(right(), None, pieces).level is Level.PASS


@pytest.mark.parametrize("key", ["min", "max", "mean", "std", "count"])
def test_a_wrong_value_is_a_failure(key: str) -> None:
    stated = right()
    stated[key][-1] += 0.05 if key != "count" else 1
    (finding, *_) = judge(stated).findings()
    assert (finding.level, finding.where) == (Level.FAIL, f"action, {key}")


@pytest.mark.parametrize("key", QUANTILES)
def test_a_quantile_that_is_none_of_the_data_is_a_warning(key: str) -> None:
    stated = right()
    stated[key][1] += 0.4
    (finding, *_) = judge(stated, None, 3).findings()
    assert (finding.level, finding.where) == (Level.WARN, f"action, {key}")


@pytest.mark.parametrize("wrong", [None, "text", [1.0], [[1.0]] * 4, [np.nan] * 3])
def test_statistics_of_another_shape_are_a_failure(wrong: object) -> None:
    assert judge(right() | {"mean": wrong}).level is Level.FAIL


def test_missing_statistics_are_a_warning_that_says_what_to_do() -> None:
    report = judge({})
    assert report.level is Level.WARN
    assert "dataset stats" in report.findings()[0].advice


@pytest.mark.parametrize(("off", "level"), [(0.01, Level.PASS), (0.2, Level.WARN)])
def test_statistics_of_pictures_are_compared_coarsely(off: float, level: Level) -> None:
    report = Report()
    mean, std = np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.2, 0.2])
    stated = {"mean": (mean + off).reshape(3, 1, 1), "std": std.reshape(3, 1, 1)}
    check_pictures(report, 0, "cam", stated, mean, std)
    assert report.level is level
