"""``ros2 run vla_recorder recover``: a whole bag of all that is whole, and an honest report."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bag_files import (
    CAMERA,
    CUSTOM,
    JOINTS,
    definition,
    messages,
    read,
    write_mcap,
    write_rosbags,
)
from mcap.reader import make_reader
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability
from rosbags.interfaces import QosTime as Time
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from vla_recorder.bags import BagError, RawMessage, open_bag
from vla_recorder.bags.losses import read_recovered, write_recovered
from vla_recorder.bags.types import Loss, Topic
from vla_recorder.bags.writer import write_bag
from vla_recorder.cli.recover import main

TOPIC = Topic(name="/a", type="std_msgs/msg/Int8", definition="int8 data\n")
MESSAGE = RawMessage(topic="/a", received_ns=1, data=b"\0\1\0\0\7", number=0)


def _hurt(tmp_path: Path) -> tuple[Path, list[Any]]:
    written = messages()
    file = write_mcap(tmp_path / "bag.mcap", written)
    raw = bytearray(file.read_bytes())
    raw[raw.index(written[30][2])] ^= 1
    file.write_bytes(raw)
    return file, written


def test_a_whole_bag_is_copied_and_the_exit_code_is_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = messages()
    source = write_rosbags(tmp_path / "bag", written, storage=StoragePlugin.SQLITE3)
    assert main([str(source), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["kept"], report["lost"], report["losses"]) == (60, 0, [])
    assert report["topics"][CAMERA]["kept"] == 20
    assert report["topics"][JOINTS]["first_ns"] == written[1][1]
    with open_bag(tmp_path / "bag_recovered") as bag:
        assert [(m.topic, m.received_ns, m.data) for m in bag.messages()] == written
        assert (bag.losses, bag.unchecked) == ([], 0)
        assert bag.custom == CUSTOM
        assert bag.topics[CAMERA].definition == definition("sensor_msgs/msg/Image")


def test_a_hurt_bag_gives_all_that_is_whole_and_exit_code_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, written = _hurt(tmp_path)
    before = file.read_bytes()
    output = tmp_path / "out"
    assert main([str(file), "--output", str(output), "--json"]) == 3
    report = json.loads(capsys.readouterr().out)
    found, losses = read(output)
    assert losses == []
    assert found == read(file)[0]
    assert (report["kept"], report["lost"]) == (len(found), len(written) - len(found))
    lost = {topic: entry["lost"] for topic, entry in report["topics"].items()}
    assert lost == {
        topic: sum(one[0] == topic for one in written if one not in found) for topic in lost
    }
    assert file.read_bytes() == before


def test_what_was_recovered_tells_its_losses_however_often(tmp_path: Path) -> None:
    file, written = _hurt(tmp_path)
    once, twice = tmp_path / "once", tmp_path / "twice"
    assert main([str(file), "--output", str(once)]) == 3
    assert main([str(once), "--output", str(twice)]) == 0  # which has lost nothing more
    for folder in (once, twice):
        with open_bag(folder) as bag:
            (loss,) = read_recovered(bag.custom)
            kept = len(list(bag.messages()))
            assert (loss.file, loss.messages) == ("bag.mcap", len(written) - kept)


def test_losses_are_told_in_a_limited_space_and_read_with_suspicion() -> None:
    one = Loss(file="a", what="b", bytes=3, messages=1, topics={"/a": 1})
    assert write_recovered([Loss(file="a", what="footer", messages=0)]) == ""
    many = read_recovered({"recovered_losses": write_recovered([one] * 10_000)})
    assert many[0] == one
    assert len(many) < 1000
    assert sum(loss.messages or 0 for loss in many) == 10_000
    for text in ("{", "7", "[7]", '[{"file": 1}]', '{"a": 1}'):
        (loss,) = read_recovered({"recovered_losses": text})
        assert loss.messages is None


def test_other_readers_open_what_was_recovered(tmp_path: Path) -> None:
    file, _ = _hurt(tmp_path)
    output = tmp_path / "out"
    assert main([str(file), "--output", str(output)]) == 3
    found = read(output)[0]
    with Reader(output) as reader:
        assert [(c.topic, t, bytes(d)) for c, t, d in reader.messages()] == found
        assert reader.message_count == len(found)
    with (output / "out_0.mcap").open("rb") as stream:
        records = list(make_reader(stream, validate_crcs=True).iter_messages())
    assert [(c.topic, m.log_time, m.data) for _, c, m in records] == found


def test_quality_of_service_survives(tmp_path: Path) -> None:
    day = Time(1, 2)
    qos = Qos(QosHistory.KEEP_LAST, 100, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL,
              day, day, QosLiveliness.AUTOMATIC, day, False)  # fmt: skip
    store = get_typestore(Stores.ROS2_JAZZY)
    versions: tuple[Any, ...] = (8, 9)
    for version in versions:
        with Writer(tmp_path / f"{version}", version=version) as writer:
            connection = writer.add_connection(
                "/tf_static", "std_msgs/msg/Int8", typestore=store, offered_qos_profiles=[qos]
            )
            writer.write(connection, 1, b"\0\1\0\0\7")
        assert main([str(tmp_path / f"{version}")]) == 0
        with Reader(tmp_path / f"{version}_recovered") as reader:
            assert reader.connections[0].ext.offered_qos_profiles == [qos]  # type: ignore[union-attr]


def test_the_report_says_what_cannot_be_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = write_mcap(tmp_path / "bag.mcap", messages()).read_bytes()
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(raw[: len(raw) // 2])
    assert main([str(cut)]) == 3
    text = capsys.readouterr().out
    assert "lost unknown" in text
    assert CAMERA in text


def test_damage_that_costs_no_message_is_no_loss(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_mcap(tmp_path / "bag.mcap", messages())
    file.write_bytes(file.read_bytes()[:-10])  # the footer
    assert main([str(file)]) == 0
    assert "summary is damaged" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"\x89MCAP0\r\n", b"rubbish" * 1000])
def test_nothing_that_can_be_read_is_exit_code_1_and_no_output(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "bag.mcap"
    file.write_bytes(content)
    assert main([str(file)]) == 1
    assert list(tmp_path.iterdir()) == [file]


def test_an_output_that_exists_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, _ = _hurt(tmp_path)
    output = tmp_path / "out"
    output.mkdir()
    assert main([str(file), "--output", str(output)]) == 1
    assert "the output exists" in capsys.readouterr().err
    assert list(output.iterdir()) == []


def test_an_output_that_is_made_meanwhile_is_refused(tmp_path: Path) -> None:
    output = tmp_path / "out"

    def while_it_is_made() -> Iterator[RawMessage]:
        yield MESSAGE
        output.mkdir()

    with pytest.raises(BagError, match="the output exists"):
        write_bag(output, {"/a": TOPIC}, while_it_is_made(), {})
    assert list(tmp_path.rglob("*")) == [output]


def test_a_bag_is_on_the_disk_before_and_its_name_after_it_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    sync = os.fsync

    def watch(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").resolve())
        sync(handle)

    monkeypatch.setattr(os, "fsync", watch)
    assert write_bag(tmp_path / "out", {"/a": TOPIC}, [MESSAGE], {})
    folder = next(path for path in synced if path.name.startswith(".out."))
    files = {folder / "out_0.mcap", folder / "metadata.yaml", folder}
    assert files <= set(synced[:-1])
    assert synced[-1] == tmp_path.resolve()


def test_an_output_inside_the_bag_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_rosbags(tmp_path / "bag", messages())
    before = sorted(folder.iterdir())
    assert main([str(folder), "--output", str(folder / "out")]) == 1
    assert "inside the bag" in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before
