"""Folders of bags: order of files, packed files, metadata that is missing or wrong."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import zstandard
from bag_files import CUSTOM, Written, messages, read, write_mcap, write_rosbags
from mcap.writer import CompressionType
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from vla_recorder.bags import BagError, open_bag
from vla_recorder.bags.writer import write_bag

STORAGES = [StoragePlugin.MCAP, StoragePlugin.SQLITE3]


def _split(folder: Path, written: list[Written], parts: int) -> list[Path]:
    """A bag of several MCAP files with the metadata of rosbag2."""
    folder.mkdir()
    size = len(written) // parts
    files = []
    for part in range(parts):
        files.append(folder / f"bag_{part}.mcap")
        write_mcap(files[-1], written[part * size : (part + 1) * size])
    counts = {topic: sum(one[0] == topic for one in written) for topic, _, _ in written}
    lines = ["rosbag2_bagfile_information:", "  version: 9", "  relative_file_paths:"]
    lines += [f"  - {file.name}" for file in files]
    lines += ["  topics_with_message_count:"]
    for topic, count in counts.items():
        lines += [f"  - topic_metadata: {{name: {topic}}}", f"    message_count: {count}"]
    lines += ["  compression_mode: ''", "  custom_data: {episode: 1e5, word: ~, open: true}"]
    (folder / "metadata.yaml").write_text("\n".join(lines) + "\n")
    return files


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("version", [8, 9])
@pytest.mark.parametrize("mode", list(CompressionMode))
def test_bags_of_rosbags_come_back_equal(
    tmp_path: Path, storage: StoragePlugin, version: int, mode: CompressionMode
) -> None:
    if storage is StoragePlugin.SQLITE3 and mode is CompressionMode.STORAGE:
        return  # SQLite cannot
    written = messages()
    options: dict[str, Any] = {"storage": storage, "version": version, "mode": mode}
    folder = write_rosbags(tmp_path / "bag", written, **options)
    with open_bag(folder) as bag:
        assert [(m.topic, m.received_ns, m.data) for m in bag.messages()] == written
        assert bag.losses == []
        assert bag.custom == CUSTOM
    (folder / "metadata.yaml").unlink()
    found, losses = read(folder)
    assert found == written
    assert [(loss.file, loss.messages) for loss in losses] == [("metadata.yaml", None)]


def test_what_is_unpacked_is_removed_when_the_bag_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_rosbags(tmp_path / "bag", messages(), mode=CompressionMode.FILE)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with open_bag(folder) as bag:
        assert [file.name for file in temporary.rglob("*.mcap")]
        assert len(list(bag.messages())) == 60
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("compression", [CompressionType.NONE, CompressionType.ZSTD])
def test_a_packed_file_cut_anywhere_gives_what_is_whole(
    tmp_path: Path, compression: CompressionType
) -> None:
    written = messages(300, image_bytes=20_000)  # several blocks of zstd
    plain = write_mcap(tmp_path / "bag.mcap", written, compression=compression)
    packed = zstandard.ZstdCompressor().compress(plain.read_bytes())
    file = tmp_path / "bag.mcap.zstd"
    kept = []
    for part in range(10):
        file.write_bytes(packed[: len(packed) * part // 10])
        found, losses = read(file)
        rest = iter(written)
        assert all(one in rest for one in found)
        assert losses
        kept.append(len(found))
    assert kept == sorted(kept)
    assert kept[-1] > 200


def test_split_files_are_read_in_the_order_of_the_metadata(tmp_path: Path) -> None:
    written = messages()
    files = _split(tmp_path / "bag", written, 3)
    files[0].rename(tmp_path / "bag/z.mcap")
    text = (tmp_path / "bag/metadata.yaml").read_text()
    (tmp_path / "bag/metadata.yaml").write_text(text.replace("bag_0.mcap", "z.mcap"))
    with open_bag(tmp_path / "bag") as bag:
        found = list(bag.messages())
        assert [(m.topic, m.received_ns, m.data) for m in found] == written
        assert [m.number for m in found] == list(range(60))
        assert bag.losses == []
        assert [file.name for file in bag.files] == ["z.mcap", "bag_1.mcap", "bag_2.mcap"]
        assert list(bag.sha256()) == ["z.mcap", "bag_1.mcap", "bag_2.mcap"]


def test_without_metadata_numbers_in_names_are_numbers(tmp_path: Path) -> None:
    written = messages()
    _split(tmp_path / "bag", written, 12)
    (tmp_path / "bag/metadata.yaml").unlink()
    assert read(tmp_path / "bag")[0] == written


def test_metadata_of_old_formats_puts_the_folder_before_the_file(tmp_path: Path) -> None:
    written = messages()
    _split(tmp_path / "bag", written, 1)
    text = (tmp_path / "bag/metadata.yaml").read_text()
    (tmp_path / "bag/metadata.yaml").write_text(text.replace("- bag_0", "- bag/bag_0"))
    assert read(tmp_path / "bag") == (written, [])


def test_a_missing_file_is_a_loss_of_what_the_metadata_counts(tmp_path: Path) -> None:
    written = messages()
    files = _split(tmp_path / "bag", written, 3)
    files[1].unlink()
    found, losses = read(tmp_path / "bag")
    assert found == written[:20] + written[40:]
    assert sum(loss.messages or 0 for loss in losses) == 20
    assert {loss.file for loss in losses} == {"bag_1.mcap", "metadata.yaml"}


def test_files_under_other_names_than_the_metadata_has_are_read(tmp_path: Path) -> None:
    written = messages()
    for file in _split(tmp_path / "bag", written, 3):
        file.rename(file.with_name(f"renamed_{file.name}"))
    found, losses = read(tmp_path / "bag")
    assert found == written
    assert [loss.file for loss in losses] == ["metadata.yaml"]


def test_a_file_that_the_metadata_does_not_name_is_reported(tmp_path: Path) -> None:
    written = messages()
    files = _split(tmp_path / "bag", written, 2)
    shutil.copy(files[0], tmp_path / "bag/copy.mcap")
    found, losses = read(tmp_path / "bag")
    assert found == written
    assert [loss.file for loss in losses] == ["copy.mcap"]


def test_labels_are_the_text_that_was_recorded(tmp_path: Path) -> None:
    _split(tmp_path / "bag", messages(), 1)
    with open_bag(tmp_path / "bag") as bag:
        assert bag.custom == {"episode": "1e5", "word": "~", "open": "true"}


def test_labels_are_known_from_a_single_file(tmp_path: Path) -> None:
    folder = write_rosbags(tmp_path / "bag", messages())
    with open_bag(next(folder.glob("*.mcap"))) as bag:
        assert bag.custom == CUSTOM


def test_a_topic_whose_type_changes_between_files_keeps_the_first(tmp_path: Path) -> None:
    written = messages()
    files = _split(tmp_path / "bag", written, 2)
    raw = files[1].read_bytes()
    options: dict[str, Any] = {"enable_crcs": False}
    raw = write_mcap(files[1], written[30:], **options).read_bytes()
    files[1].write_bytes(raw.replace(b"sensor_msgs/msg/Image", b"sensor_msgs/msg/Imago"))
    found, losses = read(tmp_path / "bag")
    assert len(found) == 30 + 20
    assert sum(loss.messages or 0 for loss in losses) == 10


@pytest.mark.parametrize("name", ["nothing", "empty folder", "text.txt"])
def test_what_is_no_bag_is_one_clear_error(tmp_path: Path, name: str) -> None:
    if name == "empty folder":
        (tmp_path / name).mkdir()
    elif name == "text.txt":
        (tmp_path / name).write_text("hello")
    with pytest.raises(BagError) as error:
        open_bag(tmp_path / name)
    assert name in str(error.value)


def test_a_bag_without_messages_is_not_written(tmp_path: Path) -> None:
    assert not write_bag(tmp_path / "bag", {}, [], {})
    assert list(tmp_path.iterdir()) == []
