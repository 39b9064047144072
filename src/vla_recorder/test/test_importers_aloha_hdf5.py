"""ALOHA's own recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from foreign_files import SIZE, aloha, compressed, rgb, vectors

from vla_recorder.importers.aloha_hdf5 import ARMS, BASE
from vla_recorder.importers.recording import Frame, ImportFileError, Loss, ReadOptions, Recording
from vla_recorder.importers.sources import recordings


def read(file: Path, **options: Any) -> tuple[Recording, list[Frame]]:
    (recording,) = recordings([file], ReadOptions(**{"task": "pick", **options}))
    assert isinstance(recording, Recording), recording
    return recording, list(recording.frames())


def reason(file: Path, **options: Any) -> str:
    """Why an episode is lost, on the first or the second look."""
    (item,) = recordings([file], ReadOptions(**{"task": "pick", **options}))
    if isinstance(item, Loss):
        return item.what
    with pytest.raises(ImportFileError) as error:
        list(item.frames())
    return str(error.value)


def replace(file: Path, path: str, **dataset: Any) -> None:
    with h5py.File(file, "r+") as root:
        del root[path]
        root.create_dataset(path, **dataset)


def test_every_row_is_read_as_it_was_written(tmp_path: Path) -> None:
    recording, frames = read(aloha(tmp_path / "episode_0.hdf5", rows=4))
    assert len(frames) == 4
    assert (recording.fps, recording.robot_type) == (50, "aloha")
    assert recording.extra == {"source": "episode_0.hdf5", "sim": True}
    assert recording.features["action"].names == ARMS
    for t, frame in enumerate(frames):
        assert np.array_equal(frame.row["observation.state"], vectors(4, 14, 0)[t])
        assert np.array_equal(frame.row["observation.velocity"], vectors(4, 14, 1)[t])
        assert np.array_equal(frame.row["observation.effort"], vectors(4, 14, 2)[t])
        assert np.array_equal(frame.row["action"], vectors(4, 14, 9)[t])
        assert np.array_equal(frame.pictures["observation.images.cam_left_wrist"], rgb(t, 1))
        assert frame.task == "pick"


def test_velocities_and_efforts_may_be_absent(tmp_path: Path) -> None:
    recording, _ = read(aloha(tmp_path / "a.hdf5", measured=()))
    assert "observation.velocity" not in recording.features
    assert "observation.effort" not in recording.features


def test_compressed_rows_are_decompressed_without_their_padding(tmp_path: Path) -> None:
    recording, frames = read(aloha(tmp_path / "a.hdf5", jpeg=True))
    assert recording.features["observation.images.cam_high"].shape == (SIZE, SIZE, 3)
    for t, frame in enumerate(frames):
        for c, camera in enumerate(("cam_high", "cam_left_wrist")):
            shown = frame.pictures[f"observation.images.{camera}"].astype(int)
            assert np.abs(shown - rgb(t, c)).max() <= 6


def test_the_order_of_cameras_in_compress_len_does_not_matter(tmp_path: Path) -> None:
    """The recorder has its own; HDF5 gives `cam_left_wrist` before `cam_low`."""
    cameras = ("cam_high", "cam_low", "cam_left_wrist")
    _, frames = read(aloha(tmp_path / "a.hdf5", jpeg=True, cameras=cameras))
    shown = frames[0].pictures["observation.images.cam_low"].astype(int)
    assert np.abs(shown - rgb(0, 1)).max() <= 6


def test_rows_of_byte_strings_are_pictures_too(tmp_path: Path) -> None:
    file = aloha(tmp_path / "a.hdf5", rows=3)
    data = np.array([compressed(rgb(t)) for t in range(3)])
    replace(file, "observations/images/cam_high", data=data)
    _, frames = read(file)
    shown = frames[2].pictures["observation.images.cam_high"].astype(int)
    assert np.abs(shown - rgb(2)).max() <= 6


def test_red_and_blue_are_exchanged_when_told(tmp_path: Path) -> None:
    _, frames = read(aloha(tmp_path / "a.hdf5"), swap_red_blue=True)
    assert np.array_equal(frames[1].pictures["observation.images.cam_high"], rgb(1)[..., ::-1])


def test_a_mobile_base_belongs_to_the_action(tmp_path: Path) -> None:
    recording, frames = read(aloha(tmp_path / "a.hdf5", rows=4, base=True))
    assert recording.robot_type == "mobile_aloha"
    assert recording.features["action"].names == (*ARMS, *BASE)
    assert np.array_equal(frames[3].row["action"], [*vectors(4, 14, 9)[3], *vectors(4, 2, 10)[3]])
    assert recording.features["observation.state"].names == ARMS


def test_a_mobile_base_can_be_left_out(tmp_path: Path) -> None:
    recording, frames = read(aloha(tmp_path / "a.hdf5", base=True), base=False)
    assert recording.features["action"].names == ARMS
    assert recording.robot_type == "aloha"
    assert frames[0].row["action"].shape == (14,)


def test_depth_is_kept_in_millimetres(tmp_path: Path) -> None:
    file = aloha(tmp_path / "a.hdf5", rows=3)
    depth = np.arange(3 * 6 * 8, dtype=np.uint16).reshape(3, 6, 8) * 300
    with h5py.File(file, "r+") as root:
        root["observations/images_depth/cam_high"] = depth
    recording, frames = read(file)
    assert recording.features["observation.depth.cam_high"].shape == (6, 8, 1)
    assert np.array_equal(frames[2].pictures["observation.depth.cam_high"], depth[2])


def test_an_episode_without_a_task_is_lost(tmp_path: Path) -> None:
    assert "--task" in reason(aloha(tmp_path / "a.hdf5"), task=None)


def test_a_picture_that_is_cut_off_is_found(tmp_path: Path) -> None:
    file = aloha(tmp_path / "a.hdf5", jpeg=True)
    with h5py.File(file, "r+") as root:
        rows = root["observations/images/cam_high"]
        rows[3, 200:] = 0
    assert "cut off" in reason(file)


def test_lengths_that_contradict_the_pictures_are_found(tmp_path: Path) -> None:
    file = aloha(tmp_path / "a.hdf5", jpeg=True)
    with h5py.File(file, "r+") as root:
        root["compress_len"][0, 2] += 1
    assert "other lengths" in reason(file)


def test_a_picture_of_another_size_is_found(tmp_path: Path) -> None:
    file = aloha(tmp_path / "a.hdf5", rows=2)
    data = np.array([compressed(rgb(0)), compressed(rgb(0)[:16])])
    replace(file, "observations/images/cam_high", data=data)
    assert "wrong size" in reason(file)


@pytest.mark.parametrize(
    ("path", "dataset", "expected"),
    [
        ("action", {"data": vectors(4, 14, 0)}, "different lengths"),
        ("action", {"data": vectors(5, 7, 0)}, "another robot"),
        ("action", {"data": np.full((5, 14), np.nan)}, "not finite"),
        ("action", {"data": np.full((5, 14), 1e300)}, "not finite"),
        ("action", {"data": np.zeros((5, 14), np.int64)}, "another kind"),
        ("action", {"data": np.array(["x"] * 5, object)}, "another kind"),
        ("action", {"shape": (5, 14), "dtype": "f8"}, "never written"),
        ("action", {"shape": (5, 14), "dtype": "f8", "chunks": (2, 14)}, "never written"),
        ("action", {"shape": (10**9, 14), "dtype": "f8", "chunks": (1, 14)}, "no episode has"),
        ("observations/images/cam_high", {"data": np.zeros((5, 8, 8, 4), "u1")}, "another kind"),
        ("observations/images/cam_high", {"data": np.zeros((5, 8, 8, 3), "f4")}, "another kind"),
        (
            "observations/images/cam_high",
            {"shape": (5, 99_999), "dtype": h5py.vlen_dtype(np.uint8)},
            "another kind",
        ),
        (
            "observations/images/cam_high",
            {"shape": (5, 50_000, 50_000, 3), "dtype": "u1", "chunks": (1, 50_000, 8, 3)},
            "no episode has",
        ),
        (
            "observations/images/cam_high",
            {"shape": (5, 8, 8, 3), "maxshape": (None, 8, 8, 3), "dtype": "u1"}
            | {"chunks": (10**7, 8, 8, 3)},
            "no episode has",
        ),
    ],
)
def test_data_that_are_not_an_episode_are_refused(
    tmp_path: Path, path: str, dataset: dict[str, Any], expected: str
) -> None:
    file = aloha(tmp_path / "a.hdf5")
    replace(file, path, **dataset)
    assert expected in reason(file)


def test_rows_that_a_killed_recorder_left_out_are_no_zeros(tmp_path: Path) -> None:
    file = aloha(tmp_path / "a.hdf5")
    replace(
        file, "observations/images/cam_high", shape=(5, 8, 8, 3), dtype="u1", chunks=(1, 8, 8, 3)
    )
    with h5py.File(file, "r+") as root:
        root["observations/images/cam_high"][:4] = 1
    assert "never written" in reason(file)


@pytest.mark.parametrize(
    "link",
    [
        h5py.SoftLink("/observations/qpos"),
        h5py.SoftLink("/nowhere"),
        h5py.ExternalLink("other.hdf5", "/action"),
    ],
)
def test_links_are_not_followed(tmp_path: Path, link: Any) -> None:
    aloha(tmp_path / "other.hdf5")
    file = aloha(tmp_path / "a.hdf5")
    with h5py.File(file, "r+") as root:
        del root["action"]
        root["action"] = link
    assert type(link).__name__ in reason(file)


def test_a_linked_group_is_not_followed(tmp_path: Path) -> None:
    aloha(tmp_path / "other.hdf5")
    with h5py.File(file := tmp_path / "a.hdf5", "w") as root:
        root["action"] = vectors(5, 14, 0)
        root["observations"] = h5py.ExternalLink("other.hdf5", "/observations")
    assert "ExternalLink" in reason(file)


def test_data_in_another_file_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"s" * 5 * 14 * 8)
    file = aloha(tmp_path / "a.hdf5")
    where = [(str(tmp_path / "secret"), 0, 5 * 14 * 8)]
    replace(file, "action", shape=(5, 14), dtype="f8", external=where)
    assert "another file" in reason(file)


def test_a_virtual_dataset_is_not_read(tmp_path: Path) -> None:
    other = aloha(tmp_path / "other.hdf5")
    file = aloha(tmp_path / "a.hdf5")
    layout = h5py.VirtualLayout(shape=(5, 14), dtype="f4")
    layout[:] = h5py.VirtualSource(other, "action", shape=(5, 14))
    with h5py.File(file, "r+") as root:
        del root["action"]
        root.create_virtual_dataset("action", layout)
    assert "another file" in reason(file)


@pytest.mark.parametrize("kept", [0, 100, 3000])
def test_a_truncated_file_is_lost_and_the_next_is_not(tmp_path: Path, kept: int) -> None:
    file = aloha(tmp_path / "episode_0.hdf5")
    file.write_bytes(file.read_bytes()[:kept])
    aloha(tmp_path / "episode_1.hdf5")
    lost, whole = recordings([tmp_path], ReadOptions(task="pick"))
    assert isinstance(lost, Loss)
    assert "damaged" in lost.what
    assert isinstance(whole, Recording)


def test_episodes_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 0):
        aloha(tmp_path / f"episode_{number}.hdf5", rows=1)
    found = recordings([tmp_path], ReadOptions(task="pick"))
    names = [Path(item.name).stem for item in found if isinstance(item, Recording)]
    assert names == ["episode_0", "episode_2", "episode_10"]


def test_the_attribute_sim_must_be_a_truth_value(tmp_path: Path) -> None:
    file = aloha(tmp_path / "a.hdf5")
    with h5py.File(file, "r+") as root:
        root.attrs["sim"] = "yes"
    assert "sim" in reason(file)


def test_an_hdf5_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.hdf5", "w") as root:
        root["x"] = 1
    with pytest.raises(ImportFileError, match="nothing that can be imported"):
        list(recordings([tmp_path], ReadOptions()))


@pytest.mark.parametrize("source", ["nothing", "text.txt", "empty"])
def test_a_source_without_recordings_is_refused(tmp_path: Path, source: str) -> None:
    (tmp_path / "text.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImportFileError, match="nothing that can be imported"):
        list(recordings([tmp_path / source], ReadOptions()))
