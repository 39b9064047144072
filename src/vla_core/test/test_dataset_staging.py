"""A staged episode is whole or not there, and holds exactly what was given."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from dataset_rig import (
    DEPTH,
    FEATURES,
    FPS,
    TOP,
    WRIST,
    file_size_limit,
    grey,
    pictures,
    row,
    write_episode,
)

from vla_core.dataset.columns import columns, numbers
from vla_core.dataset.encoding import Encoding
from vla_core.dataset.info import NUMBERS, DatasetError
from vla_core.dataset.staging import EpisodeWriter, read_staged
from vla_core.dataset.video import decode


def writer(folder: Path) -> EpisodeWriter:
    return EpisodeWriter(folder, features=FEATURES, fps=FPS, encoding=Encoding())


def test_an_episode_is_what_was_added(tmp_path: Path) -> None:
    length = 300  # more than one piece of the table
    episode = write_episode(tmp_path / "a", length, tasks=("pick", "place"))
    table = episode.read()
    for name, feature in columns(FEATURES).items():
        if feature.dtype in NUMBERS:
            given = [np.reshape(row(n, length)[name], feature.shape) for n in range(length)]
            np.testing.assert_array_equal(numbers(table[name], feature), given)
    assert table["note"].to_pylist() == [f"row {n} of 0" for n in range(length)]
    assert table["task"].to_pylist() == ["pick"] * 150 + ["place"] * 150
    assert (episode.length, episode.tasks) == (length, ("pick", "place"))
    assert episode.extra == {"bag": "bag_0"}
    levels = [grey(n) for n in range(length)]
    np.testing.assert_allclose([p.mean() for p in decode(episode.clips[TOP])], levels, atol=3)
    wrist = [240 - level for level in levels]
    np.testing.assert_allclose([p.mean() for p in decode(episode.clips[WRIST])], wrist, atol=3)


def test_depth_is_kept_to_the_last_bit(tmp_path: Path) -> None:
    stored = write_episode(tmp_path / "a", 5).read()[DEPTH].to_pylist()
    for n, cell in enumerate(stored):
        found = cv2.imdecode(np.frombuffer(cell["bytes"], np.uint8), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(found, pictures(n)[DEPTH])
        assert cell["path"] == f"frame-{n:06d}.png"


def test_reading_again_gives_the_same(tmp_path: Path) -> None:
    first, again = write_episode(tmp_path / "a", 9), read_staged(tmp_path / "a")
    assert first.read().equals(again.read())
    assert first.clips == again.clips
    for name, stats in first.stats.items():
        for key, value in stats.items():
            np.testing.assert_array_equal(value, again.stats[name][key])


def test_a_picture_may_be_changed_after_it_was_added(tmp_path: Path) -> None:
    with writer(tmp_path / "a") as episode:
        shown = pictures(0)
        for n in range(30):
            for name, picture in pictures(n).items():
                shown[name][...] = picture
            episode.add(row(n, 30), shown, "pick")
        clips = episode.commit().clips
    means = [p.mean() for p in decode(clips[TOP])]
    np.testing.assert_allclose(means, [grey(n) for n in range(30)], atol=3)


def test_nothing_is_left_of_an_episode_that_was_not_committed(tmp_path: Path) -> None:
    with writer(tmp_path / "a") as episode:
        episode.add(row(0, 2), pictures(0), "pick")
    assert not list(tmp_path.iterdir())
    with pytest.raises(KeyError), writer(tmp_path / "a"):
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_what_a_killed_writer_left_is_replaced(tmp_path: Path) -> None:
    killed = writer(tmp_path / "a")
    killed.add(row(0, 2), pictures(0), "pick")  # and no more
    with pytest.raises(DatasetError, match="damaged"):
        read_staged(tmp_path / "a")
    assert write_episode(tmp_path / "a", 3).length == 3
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_an_episode_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="without rows"), writer(tmp_path / "a") as episode:
        episode.commit()
    assert not list(tmp_path.iterdir())


def test_an_episode_is_never_replaced(tmp_path: Path) -> None:
    write_episode(tmp_path / "a", 2)
    with pytest.raises(DatasetError, match="exists already"):
        writer(tmp_path / "a")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"action": np.array([0.0, np.nan, 0.0])}, "not finite"),
        ({"force": np.inf}, "not finite"),
        ({"action": np.zeros(4)}, "another shape"),
        ({"count": np.zeros(2)}, "another shape or type"),
        ({"next.done": 1}, "another shape or type"),
        ({"note": 3}, "no text"),
        ({"other": 3}, "other features"),
        ({TOP: np.zeros((24, 64, 3), np.uint8)}, "another shape"),
        ({TOP: np.zeros((48, 64, 3), np.float32)}, "another shape or type"),
        ({DEPTH: np.zeros((24, 32), np.uint8)}, "another shape or type"),
    ],
)
def test_a_row_that_does_not_fit_is_refused(
    changes: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    seen = {k: changes.get(k, v) for k, v in pictures(0).items()}
    values = row(0, 2) | {k: v for k, v in changes.items() if k not in seen}
    with pytest.raises(DatasetError, match=complaint), writer(tmp_path / "a") as episode:
        episode.add(values, seen, "pick")
    assert not list(tmp_path.iterdir())


def test_a_missing_camera_is_refused(tmp_path: Path) -> None:
    seen = pictures(0)
    del seen[WRIST]
    with pytest.raises(DatasetError, match="other features"), writer(tmp_path / "a") as episode:
        episode.add(row(0, 2), seen, "pick")


@pytest.mark.parametrize("name", ["../a", "a/b", "", "task", ".."])
def test_names_that_are_no_part_of_a_path_are_refused(name: str, tmp_path: Path) -> None:
    features = {name: FEATURES["action"]}
    with pytest.raises(DatasetError, match="without slashes"):
        EpisodeWriter(tmp_path / "a", features=features, fps=FPS, encoding=Encoding())


@pytest.mark.parametrize("name", ["episode.json", "frames.arrow"])
def test_a_damaged_episode_is_refused(name: str, tmp_path: Path) -> None:
    write_episode(tmp_path / "a", 5)
    content = (file := tmp_path / "a" / name).read_bytes()
    for length in range(0, len(content) - 1, max(1, len(content) // 20)):
        file.write_bytes(content[:length])
        with pytest.raises(DatasetError):
            read_staged(tmp_path / "a")


def test_a_cut_video_is_refused_while_a_frame_is_missing(tmp_path: Path) -> None:
    whole = list(decode(write_episode(tmp_path / "a", 5).clips[TOP]))
    content = (file := tmp_path / "a" / f"{TOP}.mp4").read_bytes()
    for length in range(0, len(content) - 1, max(1, len(content) // 20)):
        file.write_bytes(content[:length])
        with suppress(DatasetError):
            np.testing.assert_array_equal(
                list(decode(read_staged(tmp_path / "a").clips[TOP])), whole
            )
            assert length > len(content) - 200  # what was cut off tells nothing about frames


def test_a_full_disk_leaves_no_episode(tmp_path: Path) -> None:
    for limit in (0, 5_000, 20_000):
        with file_size_limit(limit), pytest.raises(DatasetError):
            write_episode(tmp_path / "a", 40)
        assert not list(tmp_path.iterdir())


def test_another_number_of_rows_than_frames_is_refused(tmp_path: Path) -> None:
    write_episode(tmp_path / "a", 5)
    head = json.loads((file := tmp_path / "a" / "episode.json").read_text())
    file.write_text(json.dumps(head | {"length": 4}))
    with pytest.raises(DatasetError, match="5 rows"):
        read_staged(tmp_path / "a")
