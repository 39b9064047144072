"""Datasets are written whole or not at all, as LeRobot lays them out, and come back unchanged."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_rig import (
    DEPTH,
    FEATURES,
    FPS,
    TOP,
    WRIST,
    file_size_limit,
    files_of,
    grey,
    write_episode,
)

from vla_core.dataset import layout_v3
from vla_core.dataset.encoding import Encoding
from vla_core.dataset.episode import Clip, Episode
from vla_core.dataset.files import check_output
from vla_core.dataset.info import NUMBERS, STANDARD, DatasetError
from vla_core.dataset.read import open_dataset
from vla_core.dataset.staging import read_staged
from vla_core.dataset.statistics import HISTOGRAM, PLAIN, QUANTILES
from vla_core.dataset.video import decode
from vla_core.dataset.write import write_dataset

GOLDEN = Path(__file__).resolve().parents[3] / "test" / "golden" / "lerobot"
VERSIONS = ("v2.1", "v3.0")
LENGTHS = (5, 12, 120)
TASKS = (("pick",), ("pick", "place it"), ("place it", "pick"))


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Episode]:
    folder = tmp_path_factory.mktemp("staged")
    return [
        write_episode(folder / str(n), length, seed=n, tasks=TASKS[n])
        for n, length in enumerate(LENGTHS)
    ]


def write(output: Path, episodes: Sequence[Episode], version: str, **options: Any) -> Path:
    write_dataset(
        output,
        episodes,
        version=version,
        **{"fps": FPS, "robot_type": "aloha", "features": FEATURES, **options},
    )
    return output


def same(found: Episode, expected: Episode) -> None:
    assert found.read().equals(expected.read())
    assert (found.length, found.tasks, found.extra) == (
        expected.length,
        expected.tasks,
        expected.extra,
    )
    for name, clip in expected.clips.items():
        np.testing.assert_array_equal(list(decode(found.clips[name])), list(decode(clip)))
    for name in (TOP, WRIST, DEPTH):
        for key, value in expected.stats[name].items():
            np.testing.assert_array_equal(found.stats[name][key], value)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_written_is_read(version: str, staged: Sequence[Episode], tmp_path: Path) -> None:
    root = write(tmp_path / "d", staged, version, extra={"mine": {"a": 1}})
    dataset = open_dataset(root)
    assert (dataset.info.version, dataset.info.fps) == (version, FPS)
    assert dataset.info.robot_type == "aloha"
    assert dataset.info.extra == {"mine": {"a": 1}}
    assert dataset.tasks == {0: "pick", 1: "place it"}
    assert list(dataset.info.features) == list(FEATURES)
    for name, feature in FEATURES.items():
        assert replace(dataset.info.features[name], video={}) == feature
    for found, expected in zip(dataset.episodes, staged, strict=True):
        same(found, expected)


def test_versions_are_turned_into_each_other_without_encoding_again(
    staged: Sequence[Episode], tmp_path: Path
) -> None:
    first = write(tmp_path / "2", staged, "v2.1")
    joined = write(tmp_path / "3", open_dataset(first).episodes, "v3.0")
    assert files_of(joined) == files_of(write(tmp_path / "3b", staged, "v3.0"))
    again = write(tmp_path / "2b", open_dataset(joined).episodes, "v2.1")
    for found, expected in zip(open_dataset(again).episodes, staged, strict=True):
        same(found, expected)
    before, after = files_of(first), files_of(again)
    videos = {name for name in before if name.endswith(".mp4")}
    assert before.keys() == after.keys()
    assert all(before[name] == after[name] for name in before.keys() - videos)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_same_episodes_give_the_same_bytes(
    version: str, staged: Sequence[Episode], tmp_path: Path
) -> None:
    again = [
        write_episode(tmp_path / str(n), length, seed=n, tasks=TASKS[n])
        for n, length in enumerate(LENGTHS)
    ]
    first, second = (
        write(tmp_path / name, episodes, version)
        for name, episodes in (("a", staged), ("b", again))
    )
    assert files_of(first) == files_of(second)


@pytest.mark.parametrize("source", VERSIONS)
def test_lerobots_own_dataset_is_written_byte_for_byte(source: str, tmp_path: Path) -> None:
    dataset = open_dataset(GOLDEN / source)
    features = {k: f for k, f in dataset.info.features.items() if f.dtype != "video"}
    episodes = [replace(episode, clips={}) for episode in dataset.episodes]
    found = files_of(write(tmp_path / "d", episodes, "v2.1", features=features))
    expected = files_of(GOLDEN / "v2.1")
    names = expected.keys() - {"meta/info.json", "meta/episodes_stats.jsonl"}
    assert {name: found[name] for name in names} == {name: expected[name] for name in names}
    head, wanted = (json.loads(files["meta/info.json"]) for files in (found, expected))
    assert list(head) == list(wanted)
    different = {"features", "total_videos", "video_path"}
    assert {k: v for k, v in head.items() if k not in different} == {
        k: v for k, v in wanted.items() if k not in different
    }
    assert list(head["features"].items()) == [
        (k, f) for k, f in wanted["features"].items() if f["dtype"] != "video"
    ]


def test_a_v3_dataset_is_laid_out_as_lerobot_does(
    staged: Sequence[Episode], tmp_path: Path
) -> None:
    root = write(tmp_path / "d", staged, "v3.0")
    data = pq.ParquetFile(root / "data/chunk-000/file-000.parquet")
    kinds = json.loads(data.schema_arrow.metadata[b"huggingface"])["info"]["features"]
    assert kinds["action"]["_type"] == "List"
    assert kinds[DEPTH] == {"_type": "Image"}
    tasks = pq.read_table(root / "meta/tasks.parquet")
    described = json.loads(tasks.schema.metadata[b"pandas"])
    assert described["index_columns"] == ["__index_level_0__"]
    assert tasks["__index_level_0__"].to_pylist() == ["pick", "place it"]
    rows = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    expected = pq.read_schema(GOLDEN / "v3.0/meta/episodes/chunk-000/file-000.parquet").names
    mine = [n for n in expected if not n.startswith("stats/") and "cam_" not in n]
    assert set(mine) <= rows[0].keys()
    starts = np.cumsum([0, *LENGTHS])
    for n, row in enumerate(rows):
        assert (row["dataset_from_index"], row["dataset_to_index"]) == (starts[n], starts[n + 1])
        assert row[f"videos/{TOP}/from_timestamp"] == starts[n] / FPS
        assert row[f"videos/{TOP}/to_timestamp"] == starts[n + 1] / FPS
    info = json.loads((root / "meta/info.json").read_text())
    assert (info["data_files_size_in_mb"], info["video_files_size_in_mb"]) == (100, 200)


def test_quantiles_of_a_v3_dataset_are_exact(staged: Sequence[Episode], tmp_path: Path) -> None:
    root = write(tmp_path / "d", staged, "v3.0")
    stats = json.loads((root / "meta/stats.json").read_text())
    table = pq.read_table(root / "data/chunk-000/file-000.parquet")
    for name, feature in {**FEATURES, **STANDARD}.items():
        if feature.dtype in NUMBERS:
            values = np.array(table[name].to_pylist(), np.float64).reshape(-1, *feature.shape)
            for key, q in QUANTILES.items():
                np.testing.assert_allclose(stats[name][key], np.quantile(values, q, axis=0))
            np.testing.assert_allclose(stats[name]["std"], values.std(axis=0))
    counted = sum(episode.stats[TOP][HISTOGRAM] for episode in staged)
    levels = np.repeat(np.arange(256), counted[0]) / 255
    np.testing.assert_allclose(stats[TOP]["q90"][0][0][0], np.quantile(levels, 0.9))
    assert HISTOGRAM not in stats[TOP]


@pytest.mark.parametrize("rows", [1, 1000])
def test_quantiles_of_pictures_are_kept_where_other_episodes_have_none(
    rows: int, staged: Sequence[Episode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout_v3, "_EPISODES", rows)  # after which the table is written
    bare = {name: {key: staged[0].stats[name][key] for key in PLAIN} for name in (TOP, WRIST)}
    episodes = [replace(staged[0], stats=bare), staged[1], replace(staged[2], stats=bare)]
    root = write(tmp_path / "d", episodes, "v3.0")
    found = open_dataset(root).episodes
    for key in QUANTILES:
        np.testing.assert_array_equal(found[1].stats[TOP][key], staged[1].stats[TOP][key])
    assert [key in found[0].stats[TOP] for key in ("mean", "q50")] == [True, False]
    about = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet")
    assert about.num_rows == 3
    assert about[f"stats/{TOP}/q50"].null_count == 2
    whole = about.slice(1, 1)
    assert whole.schema == pa.Table.from_pylist(whole.to_pylist()).schema


def test_a_table_about_episodes_has_no_column_of_nothing(
    staged: Sequence[Episode], tmp_path: Path
) -> None:
    bare = {name: {key: staged[0].stats[name][key] for key in PLAIN} for name in (TOP, WRIST)}
    root = write(tmp_path / "d", [replace(staged[0], stats=bare)], "v3.0")
    about = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet")
    assert not [name for name in about.column_names if about[name].null_count]


def test_files_roll_over_where_they_would_be_too_large(
    staged: Sequence[Episode], tmp_path: Path
) -> None:
    root = write(tmp_path / "d", staged, "v3.0", data_file_mb=0.05, video_file_mb=0.008)
    assert len(list(root.glob("data/*/*.parquet"))) == 2
    assert len(list(root.glob(f"videos/{TOP}/*/*.mp4"))) == 2
    for found, expected in zip(open_dataset(root).episodes, staged, strict=True):
        same(found, expected)


def test_cameras_of_different_encodings_lie_in_different_files(
    staged: Sequence[Episode], tmp_path: Path
) -> None:
    other = write_episode(tmp_path / "hevc", 4, seed=9, encoding=Encoding(codec="hevc"))
    episodes = [staged[0], other, staged[1]]
    root = write(tmp_path / "d", episodes, "v3.0")
    assert len(list(root.glob(f"videos/{TOP}/*/*.mp4"))) == 3
    for found, expected in zip(open_dataset(root).episodes, episodes, strict=True):
        same(found, expected)


@pytest.mark.parametrize("version", VERSIONS)
def test_episodes_are_chosen_and_ordered_freely(
    version: str, staged: Sequence[Episode], tmp_path: Path
) -> None:
    root = write(tmp_path / "d", staged, version)
    source = open_dataset(root).episodes
    write(root, [source[2], source[0]], version, overwrite=True)
    for found, n in zip(open_dataset(root).episodes, (2, 0), strict=True):
        same(found, staged[n])
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_output_that_exists_is_kept(
    version: str, staged: Sequence[Episode], tmp_path: Path
) -> None:
    root = write(tmp_path / "d", staged, version)
    before = files_of(root)
    with pytest.raises(DatasetError, match="exists"):
        write(root, staged[:1], version)
    assert files_of(root) == before


@pytest.mark.parametrize("place", ["d", "d.partial"])
def test_what_is_no_dataset_is_never_replaced(
    place: str, staged: Sequence[Episode], tmp_path: Path
) -> None:
    (tmp_path / place).mkdir()
    (tmp_path / place / "diary.txt").write_text("precious")
    with pytest.raises(DatasetError, match=r"no dataset|something else.*diary"):
        write(tmp_path / "d", staged[:1], "v2.1", overwrite=True)
    assert (tmp_path / place / "diary.txt").read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == [place]


def test_a_dataset_does_not_replace_what_it_is_made_of(tmp_path: Path) -> None:
    (tmp_path / "d/meta").mkdir(parents=True)
    (tmp_path / "d/meta/info.json").write_text("{}")
    (tmp_path / "d/bags/one").mkdir(parents=True)
    for source in (tmp_path / "d", tmp_path / "d/bags/one"):
        with pytest.raises(DatasetError, match="what it is made of"):
            check_output(tmp_path / "d", overwrite=True, sources=[source])
    check_output(tmp_path / "d", overwrite=True, sources=[tmp_path / "other"])


def damaged(episode: Episode, kind: str) -> Episode:
    clip, table = episode.clips[TOP], episode.read()
    return {
        "a frame too many": replace(
            episode, clips={**episode.clips, TOP: replace(clip, first=clip.first + 1)}
        ),
        "another length": replace(
            episode, clips={**episode.clips, TOP: replace(clip, frames=clip.frames - 1)}
        ),
        "no camera": replace(episode, clips={WRIST: episode.clips[WRIST]}),
        "another size": replace(episode, clips={**episode.clips, TOP: episode.clips[WRIST]}),
        "a row too few": replace(episode, read=lambda: table.slice(1)),
        "no column": replace(episode, read=lambda: table.drop_columns(["action"])),
        "another type": replace(
            episode,
            read=lambda: table.set_column(
                table.schema.get_field_index("action"), "action", table["note"]
            ),
        ),
    }[kind]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "kind",
    [
        *("a frame too many", "another length", "no camera", "another size", "a row too few"),
        *("no column", "another type"),
    ],
)
def test_a_bad_episode_leaves_the_output_as_it_was(
    version: str, kind: str, staged: Sequence[Episode], tmp_path: Path
) -> None:
    episodes = [staged[0], damaged(staged[1], kind)]
    with pytest.raises(DatasetError):
        write(tmp_path / "d", episodes, version)
    assert not list(tmp_path.iterdir())
    before = files_of(write(tmp_path / "d", staged[:1], version))
    with pytest.raises(DatasetError):
        write(tmp_path / "d", episodes, version, overwrite=True)
    assert files_of(tmp_path / "d") == before
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_full_disk_leaves_nothing(
    version: str, staged: Sequence[Episode], tmp_path: Path
) -> None:
    with file_size_limit(3_000), pytest.raises(DatasetError, match="written"):
        write(tmp_path / "d", staged, version)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_killed_writer_never_leaves_half_a_dataset(
    version: str, staged: Sequence[Episode], tmp_path: Path
) -> None:
    folders = [str(episode.clips[TOP].file.parent) for episode in staged]
    program = (
        "import sys; from pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_dataset_write import read_staged, write\n"
        f"episodes = [read_staged(Path(p)) for p in {folders!r}]\n"
        "print('ready', flush=True)\n"
        f"output = Path({str(tmp_path / 'd')!r})\n"
        f"while True: write(output, episodes, {version!r}, overwrite=True)\n"
    )
    expected = files_of(write(tmp_path / "whole", staged, version))
    rng = np.random.default_rng(5)
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(timeout=rng.uniform(0.05, 0.4))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()
        left = tmp_path / "d" if (tmp_path / "d").exists() else tmp_path / ".d.replaced"
        if left.exists():
            assert files_of(left) == expected
    assert files_of(write(tmp_path / "d", staged, version, overwrite=True)) == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d", "whole"]


def test_two_writers_of_one_dataset_do_not_mix(staged: Sequence[Episode], tmp_path: Path) -> None:
    def read() -> Any:
        with pytest.raises(DatasetError, match="another process"):
            write(tmp_path / "d", staged[1:], "v2.1")
        return staged[0].read()

    write(tmp_path / "d", [replace(staged[0], read=read)], "v2.1")
    same(open_dataset(tmp_path / "d").episodes[0], staged[0])


def test_what_another_writer_is_about_to_replace_is_left_alone(
    staged: Sequence[Episode], tmp_path: Path
) -> None:
    for name in (".d.replaced", "d.partial"):
        (tmp_path / name).mkdir()
    meta = tmp_path / ".d.replaced" / "meta"
    meta.mkdir()
    (meta / "info.json").write_text("data")
    other = os.open(tmp_path / "d.partial", os.O_RDONLY)
    try:  # between its two renames
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DatasetError, match="another process"):
            write(tmp_path / "d", staged[:1], "v2.1", overwrite=True)
    finally:
        os.close(other)
    assert not (tmp_path / "d").exists()
    assert (meta / "info.json").read_text() == "data"
    write(tmp_path / "d", staged[:1], "v2.1", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_more_files_are_there_with_the_dataset(staged: Sequence[Episode], tmp_path: Path) -> None:
    root = write(tmp_path / "d", staged[:1], "v2.1", files={"meta/contract.yaml": "a: 1\n"})
    assert (root / "meta/contract.yaml").read_text() == "a: 1\n"
    for name in ("../x", "/tmp/x", "meta/info.json"):
        with pytest.raises(DatasetError, match="no file of a dataset"):
            write(tmp_path / "e", staged[:1], "v2.1", files={name: ""})
        assert not (tmp_path / "e").exists()


@pytest.mark.parametrize(
    "options",
    [{"fps": 0}, {"fps": 1e6}, {"features": {}}, {"features": {"a/b": FEATURES["action"]}}],
)
def test_what_is_no_dataset_is_not_written(
    options: dict[str, Any], staged: Sequence[Episode], tmp_path: Path
) -> None:
    for episodes, version in ((staged, "v2.1"), ([], "v2.1"), (staged, "v1.0")):
        if options or episodes is not staged:
            with pytest.raises(DatasetError):
                write(tmp_path / "d", episodes, version, **options)
    assert not list(tmp_path.iterdir())


def test_pictures_that_nobody_counted_are_counted_from_the_video(
    staged: Sequence[Episode], tmp_path: Path
) -> None:
    bare = [replace(episode, stats={}) for episode in staged]
    for found in open_dataset(write(tmp_path / "d", bare, "v2.1")).episodes:
        assert found.stats[TOP]["mean"].shape == (3, 1, 1)
        expected = staged[LENGTHS.index(found.length)].stats
        np.testing.assert_allclose(found.stats[TOP]["mean"], expected[TOP]["mean"], atol=0.01)
        np.testing.assert_allclose(found.stats[DEPTH]["mean"], expected[DEPTH]["mean"])


def test_a_piece_of_a_longer_video_is_an_episode(
    staged: Sequence[Episode], tmp_path: Path
) -> None:
    long = staged[2]
    first = 40  # uniform pictures are all keyframes
    cut = replace(
        long,
        length=10,
        clips={k: Clip(file=c.file, first=first, frames=10) for k, c in long.clips.items()},
        read=lambda: long.read().slice(first, 10),
        stats={},
    )
    root = write(tmp_path / "d", [cut], "v2.1")
    shown = [picture.mean() for picture in decode(open_dataset(root).episodes[0].clips[TOP])]
    np.testing.assert_allclose(shown, [grey(first + n, 2) for n in range(10)], atol=3)


def test_staged_folders_may_go_once_the_dataset_is_there(tmp_path: Path) -> None:
    episode = write_episode(tmp_path / "staged", 6)
    root = write(tmp_path / "d", [read_staged(tmp_path / "staged")], "v2.1")
    expected = list(decode(episode.clips[TOP]))
    for path in (tmp_path / "staged").iterdir():
        path.unlink()
    found = open_dataset(root).episodes[0].clips[TOP]
    np.testing.assert_array_equal(list(decode(found)), expected)
