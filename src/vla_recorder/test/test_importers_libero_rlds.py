"""LIBERO as RLDS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_files import (
    SIZE,
    compressed,
    example,
    libero_steps,
    rgb,
    rlds,
    tfrecord,
    vectors,
)

from vla_recorder.importers.libero_rlds import recordings
from vla_recorder.importers.recording import ImportFileError, Loss, ReadOptions, Recording

FIRST = "liber_o10-train.tfrecord-00000-of-00002"


def found(folder: Path, **options: Any) -> list[Recording | Loss]:
    return list(recordings(folder, ReadOptions(**options)))


@pytest.mark.parametrize("kind", [".png", ".jpg"])
def test_every_step_is_read_as_it_was_written(tmp_path: Path, kind: str) -> None:
    items = found(rlds(tmp_path / "libero_10_no_noops" / "1.0.0", [[3, 4], [5]], kind=kind))
    lengths = []
    for seed, recording in zip((0, 1, 10), items, strict=True):
        assert isinstance(recording, Recording)
        frames = list(recording.frames())
        lengths.append(len(frames))
        for t, frame in enumerate(frames):
            assert frame.task == f"take the böwl {seed}"
            assert np.array_equal(frame.row["observation.state"], vectors(len(frames), 8, seed)[t])
            assert np.array_equal(frame.row["action"], vectors(len(frames), 7, seed + 1)[t])
            for c, name in enumerate(("image", "wrist_image")):
                shown = frame.pictures[f"observation.images.{name}"].astype(int)
                assert np.abs(shown - rgb(t, c)).max() <= (0 if kind == ".png" else 6)
    assert lengths == [3, 4, 5]


def test_features_are_those_of_the_description(tmp_path: Path) -> None:
    recording = found(rlds(tmp_path / "libero_goal_no_noops" / "1.0.0", [[2]]))[0]
    assert isinstance(recording, Recording)
    assert recording.features["observation.images.image"].shape == (SIZE, SIZE, 3)
    assert recording.features["observation.state"].shape == (8,)
    assert recording.fps == 10
    assert recording.extra["suite"] == "libero_goal"


def test_the_suite_is_known_by_the_name_that_tfds_makes_of_it(tmp_path: Path) -> None:
    recording = found(rlds(tmp_path / "anything" / "1.0.0", [[2]]))[0]
    assert isinstance(recording, Recording)
    assert recording.extra["suite"] == "libero_10"


def test_a_flipped_bit_costs_one_episode(tmp_path: Path) -> None:
    folder = rlds(tmp_path / "d" / "1.0.0", [[3, 3], [3]])
    data = bytearray((folder / FIRST).read_bytes())
    data[500] ^= 4
    (folder / FIRST).write_bytes(data)
    items = found(folder)
    assert len(items) == 3
    with pytest.raises(ImportFileError, match="CRC-32C"):
        list(items[0].frames())  # type: ignore[union-attr]
    assert [len(list(item.frames())) for item in items[1:]] == [3, 3]  # type: ignore[union-attr]


def test_what_a_truncated_file_lacks_is_counted(tmp_path: Path) -> None:
    folder = rlds(tmp_path / "d" / "1.0.0", [[3, 3, 3], [3]])
    data = (folder / FIRST).read_bytes()
    (folder / FIRST).write_bytes(data[: len(data) // 2])
    losses = [item for item in found(folder) if isinstance(item, Loss)]
    assert [loss.episodes for loss in losses] == [2]


def test_a_missing_file_and_missing_records_are_counted(tmp_path: Path) -> None:
    folder = rlds(tmp_path / "d" / "1.0.0", [[3, 3], [3, 3]])
    (folder / FIRST).unlink()
    (folder / FIRST.replace("00000-of", "00001-of")).write_bytes(
        tfrecord([example(libero_steps(3, 0))])
    )
    losses = [item for item in found(folder) if isinstance(item, Loss)]
    assert [loss.episodes for loss in losses] == [2, 1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"steps/action": vectors(3, 7, 0).reshape(-1)[:-1]}, "20 values"),
        ({"steps/action": vectors(2, 7, 0).reshape(-1)}, "different lengths"),
        ({"steps/action": np.full(21, np.nan, np.float32)}, "not finite"),
        ({"steps/action": [b"x"] * 3}, "lacks data"),
        ({"steps/observation/image": [compressed(rgb(0))[:200]] * 3}, "decompressed"),
        ({"steps/observation/image": [compressed(rgb(0)[:16])] * 3}, "wrong size"),
        ({"steps/observation/image": [b"BM" + bytes(60)] * 3}, "unknown kind"),
        ({"steps/language_instruction": [b"\xff"] * 3}, "UTF-8"),
        ({"steps/language_instruction": [b""] * 3}, "--task"),
    ],
)
def test_an_episode_that_contradicts_itself_is_refused(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    folder = rlds(tmp_path / "d" / "1.0.0", [[3], [3]])
    (folder / FIRST).write_bytes(tfrecord([example(libero_steps(3, 0) | change)]))
    item = found(folder)[0]
    with pytest.raises(ImportFileError, match=reason):
        list(item.frames())  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("file", "change", "reason"),
    [
        ("dataset_info.json", {"name": "../../x"}, "does not read"),
        ("dataset_info.json", {"fileFormat": "array_record"}, "array_record"),
        ("dataset_info.json", {"splits": []}, "train"),
        ("features.json", {"featuresDict": {"features": {}}}, "not LIBERO"),
    ],
)
def test_a_folder_that_is_something_else_is_refused(
    tmp_path: Path, file: str, change: dict[str, Any], reason: str
) -> None:
    folder = rlds(tmp_path / "d" / "1.0.0", [[3]])
    document = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(document | change))
    with pytest.raises(ImportFileError, match=reason):
        found(folder)


def test_red_and_blue_are_exchanged_when_told(tmp_path: Path) -> None:
    folder = rlds(tmp_path / "d" / "1.0.0", [[1]])
    item = found(folder, swap_red_blue=True)[0]
    frame = next(item.frames())  # type: ignore[union-attr]
    assert np.array_equal(frame.pictures["observation.images.image"], rgb(0)[..., ::-1])
