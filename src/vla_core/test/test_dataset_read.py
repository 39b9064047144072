"""Datasets that others wrote are read; what cannot be true is refused before it does harm."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_rig import DEPTH, FEATURES, FPS, TOP, write_episode

from vla_core.dataset.columns import numbers
from vla_core.dataset.info import DatasetError, feature_of
from vla_core.dataset.read import open_dataset
from vla_core.dataset.video import decode
from vla_core.dataset.write import write_dataset

GOLDEN = Path(__file__).resolve().parents[3] / "test" / "golden" / "lerobot"
VERSIONS = ("v2.1", "v3.0")


@pytest.fixture(params=VERSIONS)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A dataset of LeRobot's, to damage."""
    return Path(shutil.copytree(GOLDEN / request.param, tmp_path / "golden"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Datasets with pictures, by version."""
    folder = tmp_path_factory.mktemp("written")
    episodes = [write_episode(folder / f"e{n}", 6 + n, seed=n) for n in range(2)]
    for version in VERSIONS:
        write_dataset(
            folder / version,
            episodes,
            version=version,
            fps=FPS,
            robot_type=None,
            features=FEATURES,
        )
    return folder


def edit(dataset: Path, change: Callable[[dict[str, Any]], object]) -> None:
    info = json.loads((file := dataset / "meta" / "info.json").read_text())
    change(info)
    file.write_text(json.dumps(info))


def edit_table(file: Path, column: str, change: Callable[[list[Any]], list[Any]]) -> None:
    table = pq.read_table(file)
    place = table.schema.get_field_index(column)
    values = pa.array(change(table[column].to_pylist()), table.schema.types[place])
    pq.write_table(table.set_column(place, column, values), file)


def read_all(root: Path) -> None:
    """Everything that a dataset has."""
    for episode in open_dataset(root).episodes:
        episode.read()
        dict(episode.stats)
        for clip in episode.clips.values():
            list(decode(clip))


def test_lerobots_own_datasets_are_the_same_in_both_versions() -> None:
    old, new = (open_dataset(GOLDEN / version) for version in VERSIONS)
    assert old.tasks == new.tasks == {0: "pick up the red cube", 1: "Fold the towel"}
    assert old.info.features == new.info.features
    for a, b in zip(old.episodes, new.episodes, strict=True):
        assert a.read().equals(b.read())
        assert (a.length, a.tasks) == (b.length, b.tasks)
        for name, stats in a.stats.items():
            for key, value in stats.items():
                np.testing.assert_allclose(value, b.stats[name][key])


def test_v2_0_is_v2_1_without_statistics(written: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(written / "v2.1", tmp_path / "d"))
    edit(root, lambda info: info.update(codebase_version="v2.0"))
    for name in ("episodes_stats.jsonl", "histograms.parquet", "episodes_extra.jsonl"):
        (root / "meta" / name).unlink()
    dataset = open_dataset(root)
    assert dict(dataset.episodes[0].stats) == {}
    write_dataset(
        tmp_path / "new",
        dataset.episodes,
        version="v3.0",
        fps=FPS,
        robot_type=None,
        features=dataset.info.features,
    )
    expected = open_dataset(written / "v3.0")
    for found, wanted in zip(
        open_dataset(tmp_path / "new").episodes, expected.episodes, strict=True
    ):
        assert found.read().equals(wanted.read())
        for name in ("action", "count", DEPTH):
            np.testing.assert_allclose(found.stats[name]["std"], wanted.stats[name]["std"])
        np.testing.assert_allclose(found.stats[TOP]["std"], wanted.stats[TOP]["std"], atol=0.01)


def test_statistics_that_overflowed_are_left_out(written: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(written / "v3.0", tmp_path / "d"))
    (root / "meta" / "histograms.parquet").unlink()  # then it could be LeRobot 0.4's
    stats = open_dataset(root).episodes[0].stats
    assert TOP not in stats
    assert "action" in stats


def test_histograms_of_other_pictures_are_not_believed(written: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(written / "v2.1", tmp_path / "d"))
    file = root / "meta" / "histograms.parquet"
    edit_table(file, "episode_index", lambda episodes: [1 - e for e in episodes])
    stats = open_dataset(root).episodes[0].stats[TOP]
    assert "histogram" not in stats
    expected = open_dataset(written / "v2.1").episodes[0].stats[TOP]
    np.testing.assert_array_equal(stats["mean"], expected["mean"])


def test_a_column_of_endless_equal_values_is_refused(tmp_path: Path) -> None:
    """Such a file is small, and its values would fill the memory."""
    root = Path(shutil.copytree(GOLDEN / "v2.1", tmp_path / "d"))
    file = root / "data/chunk-000/episode_000000.parquet"
    rows = pq.read_table(file)
    places = pa.array(np.zeros(40_000, np.int32))
    with pq.ParquetWriter(file, rows.schema) as writer:
        writer.write_table(rows.take(places), row_group_size=1 << 30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vla_core.dataset.tables.MAX_TABLE_BYTES", 1_000_000)
        with pytest.raises(DatasetError, match="bytes unpacked"):
            open_dataset(root).episodes[0].read()
    assert file.stat().st_size < 1_000_000


def test_episodes_are_a_sequence(written: Path) -> None:
    episodes = open_dataset(written / "v2.1").episodes
    assert [e.length for e in episodes] == [6, 7]
    assert episodes[-1].length == 7
    assert [e.length for e in episodes[1:]] == [7]
    with pytest.raises(IndexError):
        episodes[2]


def test_channels_may_come_first() -> None:
    names = ["channels", "height", "width"]
    found = feature_of({"dtype": "video", "shape": [3, 48, 64], "names": names}, "here")
    assert found.shape == (48, 64, 3)
    assert found.names == ("height", "width", "channels")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"motors": ["a", "b"]}, ("a", "b")),
        ([["a", "b"]], ("a", "b")),
        ({"b": 1, "a": 0}, ("a", "b")),
        (["a", "b"], ("a", "b")),
        ({"x": ["a"], "y": ["b"]}, None),
        (None, None),
        (["a", 1], None),
    ],
)
def test_names_are_found_in_all_their_forms(names: object, expected: object) -> None:
    found = feature_of({"dtype": "float32", "shape": [2], "names": names}, "here")
    assert found.names == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("codebase_version", "v1.6"),
        ("codebase_version", 2.1),
        ("fps", 0),
        ("fps", -30),
        ("fps", 1e9),
        ("fps", float("nan")),
        ("fps", "30"),
        ("total_episodes", 3),
        ("total_episodes", -1),
        ("total_episodes", 1e300),
        ("total_episodes", True),
        ("total_frames", "many"),
        ("chunks_size", None),
        ("features", []),
        ("features", {}),
        ("features", {"../../x": {"dtype": "float32", "shape": [2]}}),
        ("features", {"a": {"dtype": "object", "shape": [2]}}),
        ("features", {"a": {"dtype": "float32", "shape": [10**9]}}),
        ("features", {"a": {"dtype": "float32", "shape": [-2]}}),
        ("features", {"a": {"dtype": "float32", "shape": "2"}}),
        ("features", {"a": {"dtype": "float32", "shape": []}}),
        ("features", {"a": {"dtype": "video", "shape": [3]}}),
        ("features", {"a": "float32"}),
        ("data_path", "/etc/{episode_index:06d}.parquet"),
        ("data_path", "../{episode_index:06d}.parquet"),
        ("data_path", "data/../../{episode_index:06d}.parquet"),
        ("data_path", "data/{episode_index.__class__}.parquet"),
        ("data_path", "data/{0}.parquet"),
        ("data_path", "data/{episode_index:999999999d}.parquet"),
        ("data_path", 7),
        ("video_path", "/etc/{video_key}.mp4"),
        ("video_path", "videos/{video_key}/../../../{video_key}.mp4"),
        ("video_path", ["a"]),
    ],
)
def test_a_head_that_cannot_be_true_is_refused(golden: Path, key: str, value: object) -> None:
    edit(golden, lambda info: info.update({key: value}))
    with pytest.raises(DatasetError):
        open_dataset(golden)


def test_own_patterns_inside_the_dataset_are_followed(tmp_path: Path) -> None:
    root = Path(shutil.copytree(GOLDEN / "v2.1", tmp_path / "d"))
    (root / "data" / "chunk-000").rename(root / "rows")
    edit(root, lambda info: info.update(data_path="rows/episode_{episode_index:06d}.parquet"))
    expected = open_dataset(GOLDEN / "v2.1").episodes[1].read()
    assert open_dataset(root).episodes[1].read().equals(expected)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("episodes.jsonl", '{"episode_index": 1, "tasks": ["a"], "length": 16}'),  # twice
        ("episodes.jsonl", '{"episode_index": -1, "tasks": ["a"], "length": 16}'),
        ("episodes.jsonl", '{"episode_index": "2", "tasks": ["a"], "length": 16}'),
        ("episodes.jsonl", "[1]"),
        ("episodes.jsonl", '{"a": 1'),
        ("tasks.jsonl", '{"task_index": 1, "task": "again"}'),
        ("tasks.jsonl", '{"task_index": 2, "task": 3}'),
        ("tasks.jsonl", '{"task_index": 1e9, "task": "x"}'),
        ("episodes_stats.jsonl", '{"episode_index": 1, "stats": {}}'),
        ("episodes_stats.jsonl", '{"episode_index": [], "stats": {}}'),
    ],
)
def test_lines_that_cannot_be_true_are_refused(name: str, line: str, tmp_path: Path) -> None:
    root = Path(shutil.copytree(GOLDEN / "v2.1", tmp_path / "d"))
    with (root / "meta" / name).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DatasetError):
        open_dataset(root)


@pytest.mark.parametrize(
    "stats",
    ["x", {"action": 3}, {"action": {"mean": [1.0]}}, {"action": {"mean": [[1.0], [1.0, 2.0]]}}],
)
def test_statistics_that_are_no_numbers_are_refused(stats: object, tmp_path: Path) -> None:
    root = Path(shutil.copytree(GOLDEN / "v2.1", tmp_path / "d"))
    lines = [json.dumps({"episode_index": n, "stats": stats}) for n in range(2)]
    (root / "meta" / "episodes_stats.jsonl").write_text("\n".join(lines))
    with pytest.raises(DatasetError):
        dict(open_dataset(root).episodes[0].stats)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("length", [0, 16]),
        ("length", [-1, 16]),
        ("length", [15, 16]),
        ("length", [10**15, 16]),
        ("episode_index", [0, 0]),
        ("episode_index", [1, 2]),
        ("data/chunk_index", [-1, 0]),
        ("data/file_index", [10**12, 0]),
        ("videos/observation.images.cam_high/from_timestamp", [-1.0, 0.5]),
        ("videos/observation.images.cam_high/from_timestamp", [float("nan"), 0.5]),
        ("videos/observation.images.cam_high/from_timestamp", [1e300, 0.5]),
        ("videos/observation.images.cam_high/file_index", [None, 0]),
    ],
)
def test_a_table_about_episodes_that_cannot_be_true_is_refused(
    column: str, values: list[Any], tmp_path: Path
) -> None:
    root = Path(shutil.copytree(GOLDEN / "v3.0", tmp_path / "d"))
    edit_table(root / "meta/episodes/chunk-000/file-000.parquet", column, lambda _: values)
    with pytest.raises(DatasetError):
        _ = [episode.read() for episode in open_dataset(root).episodes]


def test_a_task_without_text_is_refused(golden: Path) -> None:
    file = min(golden.glob("data/*/*.parquet"))
    edit_table(file, "task_index", lambda tasks: [7] * len(tasks))
    with pytest.raises(DatasetError, match="a task without text"):
        open_dataset(golden).episodes[0].read()


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()])
def test_floats_of_another_width_are_read(golden: Path, kind: pa.DataType) -> None:
    expected = open_dataset(golden).episodes[0].read()
    file = min(golden.glob("data/*/*.parquet"))
    table = pq.read_table(file)
    place = table.schema.get_field_index("action")
    pq.write_table(table.set_column(place, "action", table["action"].cast(pa.list_(kind))), file)
    assert open_dataset(golden).episodes[0].read().equals(expected)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_video_that_is_shorter_than_its_table_is_refused(
    version: str, written: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(written / version, tmp_path / "d"))
    file = max(root.glob(f"videos/**/{TOP}/**/*.mp4"))
    shutil.copy(written / "e0" / f"{TOP}.mp4", file)
    with pytest.raises(DatasetError, match="frames"):
        read_all(root)
    dataset = open_dataset(root)
    with pytest.raises(DatasetError, match="frames"):
        write_dataset(
            tmp_path / "new",
            dataset.episodes,
            version="v2.1",
            fps=FPS,
            robot_type=None,
            features=dataset.info.features,
        )


@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_that_is_cut_or_absent_is_refused_or_harmless(
    version: str, written: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(written / version, tmp_path / "d"))
    optional = ("episodes_stats.jsonl", "histograms.parquet", "episodes_extra.jsonl")
    for file in sorted(p for p in root.rglob("*") if p.suffix in (".parquet", ".json", ".jsonl")):
        if file.name == "stats.json":  # of the whole dataset: made anew, never read
            continue
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2 - 3])
        with pytest.raises(DatasetError):
            read_all(root)
        file.unlink()
        if file.name not in optional:
            with pytest.raises(DatasetError):
                read_all(root)
        file.write_bytes(content)
    read_all(root)


def test_converted_tables_of_one_row_group_are_unpacked_once(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(shutil.copytree(written / "v3.0", tmp_path / "d"))
    file = root / "data/chunk-000/file-000.parquet"
    pq.write_table(pq.read_table(file), file)
    read: list[int] = []
    whole = pq.ParquetFile.read_row_group

    def counting(self: Any, group: int, **options: Any) -> pa.Table:
        read.append(group)
        return whole(self, group, **options)

    dataset = open_dataset(root)
    episodes = list(dataset.episodes)
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counting)
    tables = [episode.read() for episode in episodes]
    assert read == [0]
    feature = FEATURES["count"]
    assert [numbers(t["count"], feature)[0].tolist() for t in tables] == [[0, 0], [0, 1]]
