"""SQLite files, whole and hurt. They have no checksums: all their messages count as unchecked."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from bag_files import CAMERA, JOINTS, check, flipped, messages, read, write_rosbags
from rosbags.rosbag2 import StoragePlugin

from vla_recorder.bags import open_bag

FLIPS = 150


def _file(folder: Path, written: Any, **options: Any) -> Path:
    write_rosbags(folder, written, storage=StoragePlugin.SQLITE3, **options)
    return next(folder.glob("*.db3"))


@pytest.mark.parametrize("version", [8, 9])
@pytest.mark.parametrize("image_bytes", [300, 30_000])  # in a page, over many pages
def test_a_whole_file_is_read_without_loss(tmp_path: Path, version: int, image_bytes: int) -> None:
    written = messages(image_bytes=image_bytes)
    file = _file(tmp_path / "bag", written, version=version)
    with open_bag(file) as bag:
        assert [(m.topic, m.received_ns, m.data) for m in bag.messages()] == written
        assert (bag.losses, bag.unchecked) == ([], len(written))
        assert bag.custom["task"] == "fold the towel"
        assert "string[] name" in bag.topics[JOINTS].definition


def test_a_number_is_the_same_whichever_topics_are_asked_for(tmp_path: Path) -> None:
    with open_bag(_file(tmp_path / "bag", messages())) as bag:
        everything = {m.number: m for m in bag.messages()}
        some = list(bag.messages({CAMERA}))
    assert len(some) == 20
    assert all(everything[m.number] == m for m in some)


@pytest.mark.parametrize("image_bytes", [300, 30_000])
def test_a_file_cut_anywhere_gives_what_is_whole(tmp_path: Path, image_bytes: int) -> None:
    written = messages(image_bytes=image_bytes)
    file = _file(tmp_path / "bag", written)
    raw = file.read_bytes()
    kept = []
    for part in range(50):
        file.write_bytes(raw[: len(raw) * part // 50])
        count, losses = check(file, written)
        assert losses
        kept.append(count)
    assert kept == sorted(kept)
    assert kept[-1] >= 40


def test_metadata_yaml_tells_how_many_messages_a_cut_file_lost(tmp_path: Path) -> None:
    written = messages()
    file = _file(tmp_path / "bag", written)
    raw = file.read_bytes()
    file.write_bytes(raw[: len(raw) * 3 // 5])
    found, losses = read(tmp_path / "bag")
    assert 0 < len(found) < len(written)
    assert sum(loss.messages or 0 for loss in losses) == len(written) - len(found)
    assert None not in [loss.messages for loss in losses]


@pytest.mark.parametrize("image_bytes", [300, 30_000])
def test_wrong_bits_lose_no_message_uncounted(tmp_path: Path, image_bytes: int) -> None:
    written = messages(image_bytes=image_bytes)
    file = _file(tmp_path / "bag", written)
    raw = file.read_bytes()
    for seed in range(FLIPS):
        file.write_bytes(flipped(raw, seed))
        with open_bag(tmp_path / "bag") as bag:
            first = list(bag.messages())
            assert list(bag.messages()) == first
            lost = sum(loss.messages or 0 for loss in bag.losses)
            assert len(first) + lost == len(written) or None in [x.messages for x in bag.losses]
            assert bag.unchecked == len(first)


def test_a_damaged_tree_costs_no_message_whose_page_is_whole(tmp_path: Path) -> None:
    written = messages(600, image_bytes=300)
    file = _file(tmp_path / "bag", written)
    with sqlite3.connect(file) as database:
        root = database.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'messages'"
        ).fetchone()[0]
        page = database.execute("PRAGMA page_size").fetchone()[0]
    raw = bytearray(file.read_bytes())
    assert raw[(root - 1) * page] == 0x05  # the tree's inner page
    raw[(root - 1) * page : root * page] = bytes(page)
    file.write_bytes(raw)
    count, losses = check(file, written)
    assert count == len(written)
    assert losses


def test_messages_that_are_only_in_the_write_ahead_log_are_read(tmp_path: Path) -> None:
    written = messages()
    file = _file(tmp_path / "bag", written)
    database = sqlite3.connect(file)
    database.execute("PRAGMA journal_mode = WAL")
    topic, time_ns, data = written[0]
    database.execute(
        "INSERT INTO messages (topic_id, timestamp, data) SELECT id, ?, ? FROM topics"
        " WHERE name = ?",
        (time_ns, data, topic),
    )
    database.commit()
    killed = tmp_path / "killed"
    shutil.copytree(tmp_path / "bag", killed)  # as it lies there when the recorder is killed
    database.close()
    (killed / "metadata.yaml").unlink()
    before = {path: path.read_bytes() for path in killed.iterdir()}
    found, _ = read(killed)
    assert found == [*written, written[0]]
    assert {path: path.read_bytes() for path in killed.iterdir()} == before


def test_deleted_rows_are_counted_as_missing(tmp_path: Path) -> None:
    written = messages()
    file = _file(tmp_path / "bag", written)
    with sqlite3.connect(file) as database:
        database.execute("DELETE FROM messages WHERE id BETWEEN 10 AND 12")
    database.close()
    found, losses = read(file)
    assert found == written[:9] + written[12:]
    assert [loss.messages for loss in losses] == [3]


def test_an_empty_file_is_a_loss_and_no_error(tmp_path: Path) -> None:
    file = tmp_path / "bag.db3"
    file.touch()
    found, losses = read(file)
    assert found == []
    assert [loss.messages for loss in losses] == [None]
