"""From recordings of other formats to a dataset that is read back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from foreign_files import aloha, libero, rgb, rlds, vectors

from vla_core.dataset.read import Dataset, open_dataset
from vla_core.dataset.video import decode
from vla_recorder.cli.import_dataset import main
from vla_recorder.importers.aloha_hdf5 import ARMS

CONTRACT = """
schema: 1
robot: two_arms
description: two arms
policy_rate_hz: 30
control_rate_hz: 60
joints:
{joints}
streams:
  arms: {{topic: /joint_states, type: sensor_msgs/msg/JointState, joints: {{{same}}}, rate_hz: 50}}
state: [{names}]
cameras:
  cam_high: {{topic: /cam, type: sensor_msgs/msg/Image, encoding: rgb8, width: {width}, height: 32,
    rate_hz: 30}}
action:
  arms: {{topic: /commands, type: sensor_msgs/msg/JointState, joints: {{{same}}}}}
safety:
  start_offset: {{rad: 0.5}}
  gross_offset: {{rad: 1.5}}
"""


def contract(file: Path, *, names: tuple[str, ...], width: int = 32) -> Path:
    joint = "  {}: {{unit: rad, range: [-3, 3], velocity: 3, acceleration: 25}}"
    text = CONTRACT.format(
        joints="\n".join(joint.format(name) for name in names),
        same=", ".join(f"{name}: {name}" for name in names),
        names=", ".join(names),
        width=width,
    )
    file.write_text(text)
    return file


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def vectors_of(dataset: Dataset, episode: int, key: str) -> Any:
    return np.array(dataset.episodes[episode].read()[key].to_pylist())


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_aloha_becomes_a_dataset(tmp_path: Path, version: str) -> None:
    for number, rows in enumerate((5, 3)):
        aloha(tmp_path / "raw" / f"episode_{number}.hdf5", rows=rows, jpeg=number == 1)
    output = tmp_path / "out"
    made = run(tmp_path / "raw", "--output", output, "--format", version, "--task", "pick it")
    assert made == 0
    dataset = open_dataset(output)
    assert (dataset.info.version, dataset.info.fps) == (version, 50)
    assert dataset.info.features["observation.state"].names == ARMS
    assert [episode.length for episode in dataset.episodes] == [5, 3]
    assert [episode.tasks for episode in dataset.episodes] == [("pick it",)] * 2
    for episode, rows in enumerate((5, 3)):
        assert np.array_equal(vectors_of(dataset, episode, "action"), vectors(rows, 14, 9))
        clip = dataset.episodes[episode].clips["observation.images.cam_left_wrist"]
        for t, shown in enumerate(decode(clip)):
            assert np.abs(shown.astype(int) - rgb(t, 1)).mean() < 8


def test_libero_of_hdf5_and_of_rlds_agree(tmp_path: Path) -> None:
    libero(tmp_path / "hdf5" / "take_it_demo.hdf5", demos={0: 4})
    rlds(tmp_path / "rlds" / "1.0.0", [[4]])
    for kind in ("hdf5", "rlds"):
        assert run(tmp_path / kind, "--output", tmp_path / f"out_{kind}", "--lossless") == 0
    one, two = (open_dataset(tmp_path / f"out_{kind}").info for kind in ("hdf5", "rlds"))
    assert (one.fps, one.robot_type) == (two.fps, two.robot_type) == (10, "panda")
    shared = {k: f for k, f in one.features.items() if k != "observation.joint_position"}
    assert shared == dict(two.features)


def test_openpi_reads_its_own_names(tmp_path: Path) -> None:
    rlds(tmp_path / "libero_goal" / "1.0.0", [[2, 3]])
    output = tmp_path / "out"
    assert run(tmp_path / "libero_goal", "--output", output, "--keys", "openpi") == 0
    dataset = open_dataset(output)
    assert list(dataset.info.features) == ["state", "actions", "image", "wrist_image"]
    assert np.array_equal(vectors_of(dataset, 1, "actions"), vectors(3, 7, 2))


def test_openpi_reads_aloha_under_the_names_it_has(tmp_path: Path) -> None:
    aloha(tmp_path / "a.hdf5", measured=())
    output = tmp_path / "out"
    assert run(tmp_path / "a.hdf5", "--output", output, "--task", "x", "--keys", "openpi") == 0
    assert set(open_dataset(output).info.features) == {
        *("observation.state", "action"),
        *("observation.images.cam_high", "observation.images.cam_left_wrist"),
    }


def test_lossless_pictures_lie_in_the_table(tmp_path: Path) -> None:
    rlds(tmp_path / "d" / "1.0.0", [[2]])
    assert run(tmp_path / "d", "--output", tmp_path / "out", "--lossless") == 0
    dataset = open_dataset(tmp_path / "out")
    assert dataset.info.features["observation.images.image"].dtype == "image"
    assert not dataset.episodes[0].clips


def test_damaged_episodes_are_counted_and_the_command_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [aloha(tmp_path / "raw" / f"episode_{n}.hdf5", jpeg=True) for n in range(4)]
    files[1].write_bytes(files[1].read_bytes()[:2000])
    with h5py.File(files[2], "r+") as root:
        root["observations/images/cam_high"][3, 200:] = 0
    assert run(tmp_path / "raw", "--output", tmp_path / "out", "--task", "x") == 3
    manifest = json.loads((tmp_path / "out" / "meta" / "import.json").read_text())
    assert [Path(loss["where"]).name for loss in manifest["losses"]] == [
        "episode_1.hdf5",
        "episode_2.hdf5",
    ]
    assert [made["source"] for made in manifest["episodes"]] == [
        "episode_0.hdf5",
        "episode_3.hdf5",
    ]
    shown = capsys.readouterr().err
    assert "episode_1" in shown
    assert "episode_2" in shown
    assert len(open_dataset(tmp_path / "out").episodes) == 2


def test_an_episode_that_breaks_off_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    folder = rlds(tmp_path / "d" / "1.0.0", [[3, 3]])
    file = folder / "liber_o10-train.tfrecord-00000-of-00001"
    data = bytearray(file.read_bytes())
    data[500] ^= 4
    file.write_bytes(data)
    assert run(tmp_path / "d", "--output", tmp_path / "out") == 3
    assert [episode.length for episode in open_dataset(tmp_path / "out").episodes] == [3]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("out")] == ["out"]


def test_without_any_whole_episode_there_is_no_dataset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.hdf5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    assert run(tmp_path / "a.hdf5", "--output", tmp_path / "out") == 1
    assert "no episode can be imported" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_output_that_exists_is_kept_unless_told(tmp_path: Path) -> None:
    aloha(tmp_path / "a.hdf5", rows=2)
    aloha(tmp_path / "b.hdf5", rows=3)
    output = tmp_path / "out"
    assert run(tmp_path / "a.hdf5", "--output", output, "--task", "x") == 0
    assert run(tmp_path / "b.hdf5", "--output", output, "--task", "x") == 1
    assert open_dataset(output).info.total_frames == 2
    assert run(tmp_path / "b.hdf5", "--output", output, "--task", "x", "--overwrite") == 0
    assert open_dataset(output).info.total_frames == 3


def test_episodes_of_different_robots_are_not_mixed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aloha(tmp_path / "a.hdf5")
    aloha(tmp_path / "b.hdf5", cameras=("cam_high",))
    assert run(tmp_path, "--output", tmp_path / "out", "--task", "x") == 1
    assert "different kinds" in capsys.readouterr().err


def test_a_contract_gives_names_rate_and_cameras(tmp_path: Path) -> None:
    aloha(tmp_path / "a.hdf5")
    names = tuple(f"j{number}" for number in range(14))
    file = contract(tmp_path / "robot.yaml", names=names)
    output = tmp_path / "out"
    made = run(tmp_path / "a.hdf5", "--output", output, "--task", "x", "--contract", file)
    assert made == 0
    info = open_dataset(output).info
    assert (info.robot_type, info.fps) == ("two_arms", 30)
    assert info.features["action"].names == info.features["observation.effort"].names == names
    assert [key for key in info.features if "images" in key] == ["observation.images.cam_high"]
    assert len(info.extra["vla_contract_sha256"]) == 64
    assert (output / "meta" / "contract.yaml").read_text() == file.read_text()


@pytest.mark.parametrize(
    ("names", "width", "expected"),
    [(ARMS[:13], 32, "action"), (ARMS, 64, "observation.images.cam_high")],
)
def test_recordings_that_do_not_fit_the_contract_are_refused(
    tmp_path: Path,
    names: tuple[str, ...],
    width: int,
    expected: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    aloha(tmp_path / "a.hdf5")
    file = contract(tmp_path / "robot.yaml", names=names, width=width)
    output = tmp_path / "out"
    made = run(tmp_path / "a.hdf5", "--output", output, "--task", "x", "--contract", file)
    assert made == 1
    assert f"does not fit: {expected}" in capsys.readouterr().err.replace(
        "observation.state, ", ""
    )


def test_importing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    rlds(tmp_path / "d" / "1.0.0", [[4, 3]])
    trees = []
    for name in ("one", "two"):
        assert run(tmp_path / "d", "--output", tmp_path / name) == 0
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        trees.append({path.relative_to(tmp_path / name): path.read_bytes() for path in files})
    assert trees[0] == trees[1]


def test_importers_load_neither_ros_nor_torch_nor_tensorflow() -> None:
    code = (
        "import sys, vla_recorder.cli.import_dataset;"
        "print({'rclpy', 'torch', 'tensorflow', 'google.protobuf'} & set(sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "set()"


def test_what_is_imported_is_never_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "recordings"
    source.mkdir()
    aloha(source / "a.hdf5")
    before = (source / "a.hdf5").read_bytes()
    for output in (source, tmp_path):
        assert run(source, "--output", output, "--task", "x", "--overwrite") == 1
        assert "replace what it is made of" in capsys.readouterr().err
    assert (source / "a.hdf5").read_bytes() == before
