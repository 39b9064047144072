"""LIBERO's own demonstrations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from foreign_files import libero, rgb, vectors

from vla_recorder.importers.recording import ImportFileError, Loss, ReadOptions, Recording
from vla_recorder.importers.sources import recordings


def found(file: Path, **options: Any) -> list[Recording | Loss]:
    return list(recordings([file], ReadOptions(**options)))


def only(file: Path, **options: Any) -> Recording:
    (item,) = found(file, **options)
    assert isinstance(item, Recording), item
    return item


def test_every_row_is_read_and_pictures_are_turned(tmp_path: Path) -> None:
    file = libero(tmp_path / "libero_spatial" / "x_demo.hdf5", demos={0: 4}, language="put it")
    recording = only(file)
    frames = list(recording.frames())
    assert len(frames) == 4
    assert recording.extra == {"source": "x_demo.hdf5#demo_0", "suite": "libero_spatial"}
    for t, frame in enumerate(frames):
        state = [*vectors(4, 6, 0)[t], *vectors(4, 2, 1)[t]]
        assert np.array_equal(frame.row["observation.state"], state)
        assert np.array_equal(frame.row["observation.joint_position"], vectors(4, 7, 2)[t])
        assert np.array_equal(frame.row["action"], vectors(4, 7, 5)[t])
        for c, camera in enumerate(("image", "wrist_image")):
            shown = frame.pictures[f"observation.images.{camera}"]
            assert np.array_equal(shown, np.rot90(rgb(t, c), 2))
        assert frame.task == "put it"


def test_pictures_that_were_flipped_already_show_the_same(tmp_path: Path) -> None:
    upside_down = libero(tmp_path / "a_demo.hdf5", demos={0: 1}, language="x")
    flipped = libero(tmp_path / "b_demo.hdf5", demos={0: 1}, language="x", convention="opencv")
    with h5py.File(flipped, "r+") as root:
        for camera in ("agentview_rgb", "eye_in_hand_rgb"):
            dataset = root[f"data/demo_0/obs/{camera}"]
            dataset[:] = dataset[()][:, ::-1]  # rows
    pictures = [next(only(file).frames()).pictures for file in (upside_down, flipped)]
    for key, shown in pictures[0].items():
        assert np.array_equal(shown, pictures[1][key])


def test_an_unknown_orientation_is_not_guessed(tmp_path: Path) -> None:
    (lost,) = found(libero(tmp_path / "a.hdf5", demos={0: 1}, language="x", convention="vulkan"))
    assert isinstance(lost, Loss)
    assert "vulkan" in lost.what


def test_demonstrations_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    items = found(libero(tmp_path / "a.hdf5", demos={10: 1, 2: 1, 0: 1}, language="x"))
    names = [item.extra["source"] for item in items if isinstance(item, Recording)]
    assert names == ["a.hdf5#demo_0", "a.hdf5#demo_2", "a.hdf5#demo_10"]


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("KITCHEN_SCENE10_close_the_top_drawer_demo", "close the top drawer"),
        ("pick_up_the_bowl_demo", "pick up the bowl"),
    ],
)
def test_without_an_attribute_the_name_tells_the_task(
    tmp_path: Path, name: str, task: str
) -> None:
    recording = only(libero(tmp_path / f"{name}.hdf5", demos={0: 1}))
    assert next(recording.frames()).task == task


def test_words_and_quotes_of_the_instruction_become_one_text(tmp_path: Path) -> None:
    file = libero(tmp_path / "a.hdf5", demos={0: 1})
    with h5py.File(file, "r+") as root:
        info = '{"language_instruction": ["\\"put ", "it\\""]}'
        root["data"].attrs["problem_info"] = info
    assert next(only(file).frames()).task == "put it"


@pytest.mark.parametrize("info", ["{}", "[1]", "no json", '{"language_instruction": ""}'])
def test_a_task_that_cannot_be_read_is_asked_for(tmp_path: Path, info: str) -> None:
    file = libero(tmp_path / "a.hdf5", demos={0: 1})
    with h5py.File(file, "r+") as root:
        root["data"].attrs["problem_info"] = info
    (lost,) = found(file)
    assert isinstance(lost, Loss)
    assert "--task" in lost.what


def test_the_users_task_counts_more(tmp_path: Path) -> None:
    recording = only(libero(tmp_path / "a.hdf5", demos={0: 1}, language="x"), task="mine")
    assert next(recording.frames()).task == "mine"


def test_a_demonstration_without_joints_is_whole(tmp_path: Path) -> None:
    file = libero(tmp_path / "a.hdf5", demos={0: 1}, language="x")
    with h5py.File(file, "r+") as root:
        del root["data/demo_0/obs/joint_states"]
    assert "observation.joint_position" not in only(file).features


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("actions", vectors(2, 7, 0)),
        ("actions", vectors(3, 6, 0)),
        ("obs/agentview_rgb", np.zeros((3, 8, 8, 1), np.uint8)),
        ("obs/ee_states", np.array(["x"] * 3, object)),
    ],
)
def test_one_damaged_demonstration_is_lost(tmp_path: Path, name: str, data: Any) -> None:
    file = libero(tmp_path / "a.hdf5", demos={0: 3, 1: 3, 2: 3}, language="x")
    with h5py.File(file, "r+") as root:
        del root[f"data/demo_1/{name}"]
        root[f"data/demo_1/{name}"] = data
    items = found(file)
    assert [type(item) for item in items] == [Recording, Loss, Recording]


def test_damage_inside_is_found_when_it_is_read(tmp_path: Path) -> None:
    file = libero(tmp_path / "a.hdf5", demos={0: 3}, language="x")
    with h5py.File(file, "r+") as root:
        root["data/demo_0/actions"][2, 3] = np.inf
    with pytest.raises(ImportFileError, match="not finite"):
        list(only(file).frames())
