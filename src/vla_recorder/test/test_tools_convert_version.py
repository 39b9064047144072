"""A dataset in another version, or under other names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vla_core.dataset.encoding import Encoding
from vla_core.dataset.episode import Episode, Feature
from vla_core.dataset.info import DatasetError
from vla_core.dataset.read import open_dataset
from vla_core.dataset.staging import EpisodeWriter
from vla_core.dataset.video import decode
from vla_core.dataset.write import write_dataset
from vla_recorder.cli.dataset import main
from vla_recorder.key_names import check_renaming, openpi_names
from vla_recorder.tools.convert_version import convert_version

CAMERAS = ("observation.images.image", "observation.images.wrist_image")
FEATURES = {
    "observation.state": Feature(dtype="float32", shape=(2,), names=("a", "b")),
    "action": Feature(dtype="float32", shape=(2,), names=("a", "b")),
    **{
        camera: Feature(dtype=kind, shape=(64, 64, 3), names=("height", "width", "channels"))
        for camera, kind in zip(CAMERAS, ("video", "image"), strict=True)
    },
}


def picture(episode: int, t: int) -> Any:
    return np.full((64, 64, 3), (40 * episode, 20 * t, 99), np.uint8)


def staged(folder: Path, episode: int, rows: int) -> Episode:
    with EpisodeWriter(folder, features=FEATURES, fps=10, encoding=Encoding()) as writer:
        for t in range(rows):
            row = {key: np.array([episode, t], np.float32) for key in list(FEATURES)[:2]}
            writer.add(row, {camera: picture(episode, t) for camera in CAMERAS}, f"task {episode}")
        return writer.commit({"source": f"bag {episode}"})


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Of version 2.1, with a contract."""
    episodes = [staged(tmp_path / str(n), n, rows) for n, rows in enumerate((3, 5, 4))]
    write_dataset(
        tmp_path / "dataset",
        episodes,
        version="v2.1",
        fps=10,
        robot_type="arm",
        features=FEATURES,
        extra={"vla_contract_sha256": "0" * 64},
        files={"meta/contract.yaml": "text"},
    )
    return tmp_path / "dataset"


def contents(root: Path, keys: Sequence[str]) -> list[Any]:
    """Numbers, tasks, and pictures of both cameras, of every episode."""
    state, action, video, image = keys
    found = []
    for episode in open_dataset(root).episodes:
        table = episode.read()
        found.append(
            (
                table[state].to_pylist(),
                table[action].to_pylist(),
                table["task"].to_pylist(),
                [shown.tolist() for shown in decode(episode.clips[video])],
                [row["bytes"] for row in table[image].to_pylist()],
            )
        )
    return found


def test_there_and_back_again_is_the_same(dataset: Path, tmp_path: Path) -> None:
    three, two = tmp_path / "three", tmp_path / "two"
    assert convert_version(dataset, three, version="v3.0") == 3
    assert convert_version(three, two, version="v2.1") == 3
    assert open_dataset(three).info.version == "v3.0"
    assert open_dataset(two).info == open_dataset(dataset).info
    assert contents(three, list(FEATURES)) == contents(dataset, list(FEATURES))
    assert contents(two, list(FEATURES)) == contents(dataset, list(FEATURES))
    assert (two / "meta" / "contract.yaml").read_text() == "text"


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_names_change_everywhere_and_nothing_else(
    dataset: Path, tmp_path: Path, version: str
) -> None:
    new = ["state", "actions", "image", "wrist_image"]
    names = openpi_names(FEATURES)
    convert_version(dataset, tmp_path / "new", version=version, names=names)
    found = open_dataset(tmp_path / "new")
    assert list(found.info.features) == new
    assert found.info.features["state"] == FEATURES["observation.state"]
    assert contents(tmp_path / "new", new) == contents(dataset, list(FEATURES))
    assert set(new) <= set(found.episodes[1].stats)
    assert np.allclose(found.episodes[1].stats["actions"]["max"], [1, 4])


def test_the_command_renames_first_and_takes_openpis_names_then(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--rename", f"{CAMERAS[1]}=observation.images.hand", "--keys", "openpi"]
    assert main(["convert", str(dataset), str(tmp_path / "new"), *arguments]) == 0
    assert "3 episodes" in capsys.readouterr().out
    found = open_dataset(tmp_path / "new").info
    assert list(found.features) == ["state", "actions", "image", "hand"]
    assert found.version == "v2.1"


@pytest.mark.parametrize(
    "rename", ["nothing=x", "action=observation.state", "action=index", "action", "action=a/b"]
)
def test_names_that_do_not_fit_make_nothing(
    dataset: Path, tmp_path: Path, rename: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(dataset), str(tmp_path / "new"), "--rename", rename]) == 1
    assert "DATASET" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_names_may_change_places(dataset: Path, tmp_path: Path) -> None:
    names = {"action": "observation.state", "observation.state": "action"}
    convert_version(dataset, tmp_path / "new", names=names)
    assert list(open_dataset(tmp_path / "new").info.features)[:2] == list(names)


def test_a_version_that_cannot_be_written_is_refused(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"v2\.0"):
        convert_version(dataset, tmp_path / "new", version="v2.0")


def test_standard_features_keep_their_names() -> None:
    with pytest.raises(DatasetError, match="timestamp"):
        check_renaming(["timestamp", "action"], {"timestamp": "time"})


def test_openpi_reads_aloha_under_the_names_it_has() -> None:
    assert openpi_names(["observation.images.cam_high", "observation.state", "action"]) == {}
