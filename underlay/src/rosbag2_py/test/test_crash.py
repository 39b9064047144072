"""Kills and full disks: what is lost, and that it is told."""

import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from bags import START_NS, WORDS, open_writer, picture, read, records
from mcap.exceptions import McapError
from mcap.stream_reader import StreamReader

from rosbag2_py._mcap_options import _PRESETS, McapOptions

STORAGES = ("mcap", "sqlite3")
MOST_LOST_NS = 1_000_000_000
# Prints the number and the time of each message once `write` has taken it.
WRITE = """
import sys, time
sys.path.insert(0, sys.argv[1])
from bags import CAMERA, WORDS, open_writer, picture
writer = open_writer(sys.argv[2], storage_id=sys.argv[3], custom_data={"task": "fold"})
data = picture(1)
for number in range(10**6):
    now_ns = time.time_ns()
    writer.write(WORDS, number.to_bytes(8, "little"), now_ns)
    writer.write(CAMERA, data, now_ns)
    print(number, now_ns, flush=True)
    time.sleep(0.005)
"""


def salvaged(folder: Path) -> list[bytes]:
    """Return the words in a file that nobody finished."""
    path = next(p for p in folder.iterdir() if p.suffix in (".mcap", ".db3"))
    if path.suffix == ".db3":
        rows = sqlite3.connect(path).execute(
            "SELECT data FROM messages JOIN topics ON topics.id = topic_id WHERE name = ?",
            (WORDS,),
        )
        return [data for (data,) in rows]
    topics, words = {}, []
    with path.open("rb") as stream:
        try:
            for record in StreamReader(stream, validate_crcs=True).records:
                if hasattr(record, "topic"):
                    topics[record.id] = record.topic
                elif hasattr(record, "log_time") and topics[record.channel_id] == WORDS:
                    words.append(record.data)
        except McapError:
            pass  # the end, wherever it is
    return words


@pytest.mark.parametrize("storage", STORAGES)
def test_kill_loses_at_most_a_second(tmp_path, storage):
    folder = str(Path(__file__).parent)
    command = [sys.executable, "-c", WRITE, folder]
    children = [
        subprocess.Popen(
            [*command, str(tmp_path / f"bag{n}"), storage], stdout=subprocess.PIPE, text=True
        )
        for n in range(4)
    ]
    for child in children:
        child.stdout.readline()
        time.sleep(0.33)  # so that each is killed at another age of its batch
    time.sleep(1.0)
    killed_ns = time.time_ns()
    for child in children:
        child.kill()
    for number, child in enumerate(children):
        written = [tuple(map(int, line.split())) for line in child.communicate()[0].splitlines()]
        words = salvaged(tmp_path / f"bag{number}")
        found = [int.from_bytes(word, "little") for word in words]
        assert found == list(range(len(found)))
        assert not (tmp_path / f"bag{number}/metadata.yaml").exists()
        assert all(n in found for n, time_ns in written if time_ns < killed_ns - MOST_LOST_NS)


def test_custom_data_is_in_a_file_that_was_never_finished(tmp_path):
    writer = open_writer(tmp_path / "bag", custom_data={"task": "fold"})
    with (tmp_path / "bag/bag_0.mcap").open("rb") as stream:
        reader = StreamReader(stream).records
        texts = [next(reader) for _ in range(3)]
    assert "task: fold" in texts[1].metadata["serialized_metadata"]
    assert texts[2].name == "sensor_msgs/msg/Image"
    writer.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk is not permitted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path, storage: str, limit: int) -> tuple[int, str]:
    """Write pictures until an error; return how many `write` took, and the error."""
    (disk / "other").write_bytes(b"untouched")
    writer = open_writer(disk / "bag", storage_id=storage)
    data = picture(7)
    number = 0
    try:
        for number in range(limit):
            writer.write("/camera", data, START_NS + number)
            time.sleep(0.001)
        writer.close()
    except RuntimeError as error:
        with pytest.raises(RuntimeError, match=r"No space|full"):
            writer.close()
        return number, str(error)
    return number, ""


@pytest.mark.parametrize("storage", STORAGES)
def test_full_disk_is_told_and_what_was_written_is_kept(small_disk, storage, monkeypatch):
    monkeypatch.setattr("rosbag2_py._sqlite3_writer.SqliteFile.batch_bytes", 100_000)
    monkeypatch.setitem(_PRESETS, "", McapOptions(chunk_bytes=100_000))
    taken, error = fill(small_disk, storage, limit=2000)
    assert "No space left on device" in error or "full" in error
    assert taken < 1999
    assert (small_disk / "other").read_bytes() == b"untouched"
    if storage == "sqlite3":
        path = small_disk / "bag/bag_0.db3"
        copy = small_disk.parent / "copy.db3"
        for suffix in ("", "-wal"):
            if (source := path.with_name(path.name + suffix)).exists():
                shutil.copy(source, f"{copy}{suffix}")
        ((kept,),) = sqlite3.connect(copy).execute("SELECT COUNT(*) FROM messages")
    else:
        kept = len(read(small_disk / "bag/bag_0.mcap"))  # finished, with its summary
    assert 20 <= kept <= taken


def test_disk_that_is_full_only_at_the_end_is_told_by_close(small_disk):
    writer = open_writer(small_disk / "bag")
    for record in records(2):
        writer.write(*record)
    path = small_disk / "bag/bag_0.mcap"
    deadline_s = time.monotonic() + 20.0
    while b"word 1" not in path.read_bytes():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    with (small_disk / "others").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    with pytest.raises(RuntimeError, match=r"No space left on device.*4 messages are in it"):
        writer.close()
    assert salvaged(small_disk / "bag") == [
        data for topic, data, _ in records(2) if topic == WORDS
    ]
