"""``ros2 bag`` as a user types it, with publishers in processes of their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import yaml
from mcap.exceptions import McapError
from mcap.stream_reader import StreamReader
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from std_msgs.msg import Header

SOURCE = Path(__file__).with_name("bag_source.py")
CODE = "import sys; from ros2cli.cli import main; sys.exit(main())"
START_NS = 1_700_000_000_000_000_000
Start = Callable[..., subprocess.Popen]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Return a function that starts a process; what still runs at the end is killed."""
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.setenv("ROS_DOMAIN_ID", str(100 + os.getpid() % 100))
    processes = []

    def run(*words: str | Path) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # a shell that runs the tests in the background lets its children ignore Ctrl-C
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def bag(start: Start, *words: str | Path) -> subprocess.Popen:
    return start("-c", CODE, "bag", *words)


def record(start: Start, output: Path, topics: list[str], *options: str) -> subprocess.Popen:
    """Start recording; return once all topics are subscribed to."""
    process = bag(start, "record", "-o", output, *options, "--topics", *topics)
    missing = {f"Subscribed to topic '{topic}'" for topic in topics}
    while missing:
        line = process.stderr.readline()
        assert line, "the recorder ended"
        missing = {text for text in missing if text not in line}
    return process


def finish(process: subprocess.Popen, number: int = signal.SIGINT) -> str:
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    return errors


def publish(start: Start, prefix: str) -> subprocess.Popen:
    source = start(SOURCE, prefix)
    assert source.stdout.readline() == "ready\n"
    return source


def content(path: Path) -> dict[str, list[tuple[int, bytes]]]:
    """Return receive times and messages by topic."""
    found: dict[str, list[tuple[int, bytes]]] = {}
    with Reader(path) as reader:
        for connection, time_ns, data in reader.messages():
            found.setdefault(connection.topic, []).append((time_ns, bytes(data)))
    return found


def numbers(messages: list[tuple[int, bytes]]) -> list[int]:
    return [int(deserialize_message(data, Header).frame_id) for _, data in messages]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_recording_while_publishing_has_every_message(start, tmp_path, storage, number):
    publish(start, "/early")
    topics = ["/early/reliable", "/early/best_effort", "/early/latched", "/late/reliable"]
    # /late is published after the recorder has begun.
    recorder = bag(
        start, "record", "-o", tmp_path / "bag", "-s", storage, *topics,
        "--custom-data", "task=a=b", "success=true",
    )  # fmt: skip
    while "Recording..." not in recorder.stderr.readline():
        pass
    publish(start, "/late")
    while "/late/reliable" not in recorder.stderr.readline():
        pass
    time.sleep(1.0)
    finish(recorder, number)
    found = content(tmp_path / "bag")
    for topic in ("/early/reliable", "/early/best_effort", "/late/reliable"):
        got = numbers(found[topic])
        assert got == list(range(got[0], got[-1] + 1))
        assert len(got) > 20
    assert numbers(found["/early/latched"]) == [0]
    for time_ns, data in found["/early/reliable"]:
        stamp = deserialize_message(data, Header).stamp
        assert 0 <= time_ns - (stamp.sec * 10**9 + stamp.nanosec) < 10**9
    metadata = yaml.safe_load((tmp_path / "bag/metadata.yaml").read_text())
    metadata = metadata["rosbag2_bagfile_information"]
    assert metadata["custom_data"] == {"task": "a=b", "success": "true"}
    offered = {
        t["topic_metadata"]["name"]: t["topic_metadata"]["offered_qos_profiles"][0]
        for t in metadata["topics_with_message_count"]
    }
    assert offered["/early/best_effort"]["reliability"] == "best_effort"
    assert offered["/early/latched"]["durability"] == "transient_local"


def test_killed_recording_lacks_at_most_the_last_second(start, tmp_path):
    publish(start, "/robot")
    recorder = record(start, tmp_path / "bag", ["/robot/reliable"])
    time.sleep(2.3)
    killed_ns = time.time_ns()
    recorder.kill()
    recorder.wait()
    found = []
    with (tmp_path / "bag/bag_0.mcap").open("rb") as stream, suppress(McapError):
        items = StreamReader(stream, validate_crcs=True).records  # it ends somewhere
        found.extend((i.log_time, i.data) for i in items if hasattr(i, "log_time"))
    got = numbers(found)
    assert got == list(range(got[0], got[-1] + 1))
    assert found[-1][0] > killed_ns - 1_000_000_000


def write_by_rosbags(path: Path) -> dict[str, list[tuple[int, bytes]]]:
    """Write a bag of 2 s with 20 messages on each of two topics; return its content."""
    store = get_typestore(Stores.ROS2_JAZZY)
    written: dict[str, list[tuple[int, bytes]]] = {"/a": [], "/b": []}
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {
            topic: writer.add_connection(topic, "std_msgs/msg/Header", typestore=store)
            for topic in written
        }
        for number in range(40):
            topic = "/a" if number % 2 == 0 else "/b"
            data = serialize_message(Header(frame_id=str(number)))
            data += bytes(-len(data) % 4)  # as the middleware sends it
            written[topic].append((START_NS + number * 50_000_000, data))
            writer.write(connections[topic], *written[topic][-1])
    return written


def play(start: Start, path: Path, *options: str) -> None:
    options = ("--delay", "1.0", "--wait-for-all-acked", "10000", *options)
    player = bag(start, "play", path, *options)
    _, errors = player.communicate(timeout=60)
    assert player.returncode == 0, errors
    assert "acknowledged" not in errors


def test_played_bag_of_others_is_recorded_again_equal(start, tmp_path):
    written = write_by_rosbags(tmp_path / "theirs")
    recorder = bag(start, "record", "-o", tmp_path / "ours", "/a", "/b")
    while "Recording..." not in recorder.stderr.readline():
        pass
    play(start, tmp_path / "theirs")
    finish(recorder)
    found = content(tmp_path / "ours")
    assert set(found) == set(written)
    for topic, messages in written.items():
        assert [data for _, data in found[topic]] == [data for _, data in messages]
        gaps_ns = [b - a for (a, _), (b, _) in zip(found[topic], found[topic][1:], strict=False)]
        assert sum(gaps_ns) == pytest.approx(1.9e9, abs=0.5e9)


def test_play_chooses_renames_skips_hastens_and_gives_the_clock(start, tmp_path):
    written = write_by_rosbags(tmp_path / "theirs")
    recorder = bag(start, "record", "-o", tmp_path / "ours", "/x", "/a", "/b", "/clock")
    while "Recording..." not in recorder.stderr.readline():
        pass
    play(
        start, tmp_path / "theirs",
        "--topics", "/a", "--remap", "/a:=/x", "--start-offset", "1.0", "-r", "4", "--clock", "10",
    )  # fmt: skip
    finish(recorder)
    found = content(tmp_path / "ours")
    assert set(found) == {"/x", "/clock"}
    assert [data for _, data in found["/x"]] == [data for _, data in written["/a"][10:]]
    assert found["/x"][-1][0] - found["/x"][0][0] == pytest.approx(0.9e9 / 4, abs=0.2e9)
    assert 2 <= len(found["/clock"]) <= 4  # of a quarter of a second at 10 Hz


def test_recording_is_split_compressed_and_described(start, tmp_path):
    publish(start, "/robot")
    recorder = record(
        start, tmp_path / "bag", ["/robot/reliable"], "-d", "1", "--compression-mode", "file"
    )
    time.sleep(2.5)
    finish(recorder)
    names = sorted(path.name for path in (tmp_path / "bag").iterdir())
    assert names[:2] == ["bag_0.mcap.zstd", "bag_1.mcap.zstd"]
    got = numbers(content(tmp_path / "bag")["/robot/reliable"])
    assert got == list(range(got[0], got[-1] + 1))
    info = bag(start, "info", tmp_path / "bag")
    text, _ = info.communicate(timeout=30)
    assert "Files:             bag_0.mcap.zstd\n                   bag_1.mcap.zstd\n" in text
    assert (
        f"Topic: /robot/reliable | Type: std_msgs/msg/Header | Count: {len(got)} | "
        "Serialization Format: cdr"
    ) in text


def test_overridden_qos_is_used(start, tmp_path):
    overrides = tmp_path / "qos.yaml"
    overrides.write_text("/robot/latched: {durability: volatile, depth: 10}\n")
    publish(start, "/robot")
    topics = ["/robot/latched", "/robot/reliable"]
    recorder = record(
        start, tmp_path / "bag", topics, "--qos-profile-overrides-path", str(overrides)
    )
    time.sleep(1.0)
    finish(recorder)
    assert set(content(tmp_path / "bag")) == {"/robot/reliable"}


def test_all_topics_are_recorded_but_the_excluded(start, tmp_path):
    publish(start, "/robot")
    recorder = bag(
        start, "record", "-a", "-o", tmp_path / "bag",
        "--exclude-regex", "effort", "--exclude-topics", "rosout",
    )  # fmt: skip
    while "Recording..." not in recorder.stderr.readline():
        pass
    time.sleep(1.0)
    finish(recorder)
    with Reader(tmp_path / "bag") as reader:
        topics = {connection.topic for connection in reader.connections}
    assert topics >= {"/robot/reliable", "/robot/latched"}
    assert not topics & {"/robot/best_effort", "/rosout"}


def test_full_disk_ends_the_recording_with_an_error(start, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk is not permitted here")
    try:
        publish(start, "/robot")
        recorder = record(start, disk / "bag", ["/robot/reliable", "/robot/best_effort"])
        _, errors = recorder.communicate(timeout=60)
        assert recorder.returncode == 1
        assert "No space left on device" in errors
        assert "messages are in it" in errors
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["record"], 1, "at least one option"),
        (["record", "-a", "-o", "."], 1, "already exists"),
        (["record", "-a", "--custom-data", "task"], 1, "KEY=VALUE"),
        (["record", "-a", "--compression-format", "zstd"], 1, "without a compression mode"),
        (["record", "-a", "-s", "hdf5"], 2, "hdf5"),
        (["record", "--all-services"], 2, "--all-services"),
        (["play", "nowhere"], 2, "'nowhere' does not exist"),
        (["play", ".", "--rate", "0"], 2, "positive"),
        (["play", "."], 1, "Could not find metadata"),
        (["info", "."], 1, "Could not find metadata"),
    ],
)
def test_wrong_call_is_refused_with_its_reason(start, tmp_path, monkeypatch, words, code, message):
    monkeypatch.chdir(tmp_path)
    process = bag(start, *words)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, message in errors) == (code, True), errors
    assert list(tmp_path.iterdir()) == []
