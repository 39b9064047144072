"""The five columns of every dataset: each kind of damage is seen."""

from __future__ import annotations

import numpy as np
import pytest

from vla_core.preflight.findings import Finding, Level
from vla_recorder.tools.index_checks import IndexWatch
from vla_recorder.tools.report import Report

LENGTHS = (20, 30)
FPS = 30.0


def columns() -> dict[str, np.ndarray]:
    frames = np.concatenate([np.arange(length) for length in LENGTHS])
    return {
        "timestamp": (frames / FPS).astype(np.float32),
        "frame_index": frames,
        "episode_index": np.repeat([0, 1], LENGTHS),
        "index": np.arange(sum(LENGTHS)),
        "task_index": np.zeros(sum(LENGTHS), dtype=np.int64),
    }


def findings(data: dict[str, np.ndarray], pieces: int = 1) -> list[Finding]:
    report = Report()
    watch = IndexWatch(report, FPS, [0])
    for rows in np.array_split(np.arange(len(data["index"])), pieces):
        watch.see({name: values[rows] for name, values in data.items()})
    watch.finish(LENGTHS)
    return [finding for finding in report.findings() if finding.level is not Level.PASS]


@pytest.mark.parametrize("pieces", [1, 2, 7, 50])
def test_whole_columns_pass_however_they_are_cut(pieces: int) -> None:
    assert findings(columns(), pieces) == []


@pytest.mark.parametrize(
    ("column", "row", "value", "check"),
    [
        ("timestamp", 5, 0.17, "timestamps"),
        ("timestamp", 5, np.nan, "timestamps"),
        ("frame_index", 5, 4, "index"),
        ("index", 25, 7, "index"),
        ("task_index", 3, 1, "tasks"),
        ("task_index", 3, -1, "tasks"),
    ],
)
def test_one_wrong_value_is_a_failure(column: str, row: int, value: float, check: str) -> None:
    data = columns()
    data[column][row] = value
    (finding,) = findings(data, 3)
    assert (finding.level, finding.check, finding.where) == (Level.FAIL, check, column)


def test_a_missing_row_is_seen_as_such() -> None:
    data = {name: np.delete(values, 10) for name, values in columns().items()}
    assert {f.check for f in findings(data)} == {"index", "timestamps", "lengths"}
    assert any("19 rows, but meta/ states 20" in f.found for f in findings(data))


def test_rows_of_an_episode_that_the_metadata_do_not_know_are_seen() -> None:
    data = columns()
    data["episode_index"][20:] = 2
    found = {f.where: f.found for f in findings(data) if f.check == "lengths"}
    assert found == {
        "data/": "episode 1: 0 rows, but meta/ states 30",
        "meta/": "episode 2: 30 rows, but meta/ states no such episode",
    }


def test_the_grid_of_an_episode_of_hours_is_as_coarse_as_its_type() -> None:
    report = Report()
    watch = IndexWatch(report, 50.0, [0])
    frames = np.arange(720_000)  # 4 h
    zeros = np.zeros(len(frames), dtype=np.int64)
    watch.see(
        {
            "timestamp": (frames / 50.0).astype(np.float32),
            "frame_index": frames,
            "episode_index": zeros,
            "index": frames,
            "task_index": zeros,
        }
    )
    assert report.level is Level.PASS
