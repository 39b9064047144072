"""Normalisation statistics are read strictly and written as openpi writes them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vla_core.errors import CheckpointError
from vla_core.stats import MAX_FILE_BYTES, NormStats, load_norm_stats, save_norm_stats

GOLDEN = Path(__file__).resolve().parents[3] / "test/golden/transforms/norm_stats/norm_stats.json"
GOOD = {"mean": [0.0, 1.0], "std": [1.0, 2.0], "q01": [-1.0, -2.0], "q99": [1.0, 2.0]}


def write(path: Path, entry: object) -> Path:
    path.write_text(json.dumps({"norm_stats": {"state": entry}}))
    return path


def test_reference_file_survives_a_round_trip_byte_for_byte(tmp_path: Path) -> None:
    save_norm_stats(tmp_path / "a/b/norm_stats.json", load_norm_stats(GOLDEN))
    assert (tmp_path / "a/b/norm_stats.json").read_bytes() == GOLDEN.read_bytes()


def test_values_of_the_reference_file_are_read() -> None:
    stats = load_norm_stats(GOLDEN)
    entry = json.loads(GOLDEN.read_text())["norm_stats"]["actions"]
    assert set(stats) == {"state", "actions"}
    for field in ("mean", "std", "q01", "q99"):
        np.testing.assert_array_equal(getattr(stats["actions"], field), entry[field])


def test_quantiles_may_be_null(tmp_path: Path) -> None:
    stats = load_norm_stats(write(tmp_path / "n.json", {**GOOD, "q01": None, "q99": None}))
    assert stats["state"].q01 is None
    assert stats["state"].q99 is None


def test_bounds_that_only_lerobot_knows_survive_a_round_trip(tmp_path: Path) -> None:
    more = {"min": [-3.0, -4.0], "max": [3.0, 4.0], "q10": [-0.5, -1.0], "q90": [0.5, 1.0]}
    first = load_norm_stats(write(tmp_path / "n.json", GOOD | more))
    save_norm_stats(tmp_path / "again.json", first)
    entry = load_norm_stats(tmp_path / "again.json")["state"]
    for field, values in (GOOD | more).items():
        np.testing.assert_array_equal(getattr(entry, field), values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": [0.0, float("nan")]}, "not finite"),
        ({"std": [1.0, float("inf")]}, "not finite"),
        ({"mean": [0, 10**400]}, "not finite"),
        ({"std": [1.0, -1e-9]}, "negative"),
        ({"mean": [0.0]}, "length"),
        ({"q99": None}, "only one of two bounds"),
        ({"q99": [1.0, -3.0]}, "q99 lies below q01"),
        ({"min": [0.0, 0.0]}, "only one of two bounds"),
        ({"min": [0.0, 0.0], "max": [1.0, -1.0]}, "max lies below min"),
        ({"q10": [0.0, 0.0], "q90": [1.0]}, "length"),
        ({"mean": ["0", 1.0]}, "list of numbers"),
        ({"mean": [True, 1.0]}, "list of numbers"),
        ({"std": None}, "list of numbers"),
        ({"std": []}, "list of numbers"),
    ],
)
def test_impossible_statistics_are_refused(tmp_path: Path, change: dict, message: str) -> None:
    path = write(tmp_path / "n.json", {**GOOD, **change})
    with pytest.raises(CheckpointError, match=message) as caught:
        load_norm_stats(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "{}", '{"norm_stats": []}', '{"norm_stats": {}}', "\xff", "[" * 10**5),
        '{"norm_stats": {"state": {"mean": [0], "std": [1], "std": [2]}}}',
    ],
)
def test_file_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "n.json").write_text(text, encoding="latin-1")
    with pytest.raises(CheckpointError):
        load_norm_stats(tmp_path / "n.json")


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no normalisation statistics"):
        load_norm_stats(tmp_path / "none.json")


def test_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "n.json").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(CheckpointError, match=f"{MAX_FILE_BYTES + 1} bytes"):
        load_norm_stats(tmp_path / "n.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": np.zeros(3)}, "differ in length"),
        ({"mean": np.zeros((2, 1)), "std": np.ones((2, 1))}, "differ in length"),
        ({"mean": np.array([0.0, np.nan])}, r"here\.mean; found: nan"),
        ({"std": np.array([1.0, -1.0])}, "negative.*here"),
        ({"q01": np.zeros(2)}, "only one of two bounds.*here"),
        ({"q10": np.ones(2), "q90": np.zeros(2)}, "q90 lies below q10.*here"),
    ],
)
def test_statistics_from_wherever_are_checked(change: dict, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        NormStats.checked({"mean": np.zeros(2), "std": np.ones(2), **change}, "here")


def test_cut_keeps_the_first_dimensions_of_every_statistic() -> None:
    entry = load_norm_stats(GOLDEN)["state"].cut(3)
    whole = load_norm_stats(GOLDEN)["state"]
    for field in ("mean", "std", "q01", "q99"):
        np.testing.assert_array_equal(getattr(entry, field), getattr(whole, field)[:3])
    assert NormStats(mean=np.zeros(2), std=np.ones(2)).cut(1).q01 is None


def test_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    path = write(tmp_path / "n.json", GOOD)
    before = path.read_bytes()
    stats = load_norm_stats(path)
    with pytest.raises(TypeError):
        save_norm_stats(path, stats | {("not", "JSON"): stats["state"]})  # type: ignore[dict-item]
    assert path.read_bytes() == before
