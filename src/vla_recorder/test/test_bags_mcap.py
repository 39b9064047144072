"""MCAP files, whole and hurt: a message comes back as it was written, or it is counted as lost."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from bag_files import (
    CAMERA,
    JOINTS,
    NO_SUMMARY,
    check,
    flipped,
    messages,
    read,
    write_mcap,
)
from mcap.reader import make_reader
from mcap.writer import CompressionType

from vla_recorder.bags import open_bag

CHECKED: dict[str, dict[str, Any]] = {
    "plain": {},
    "lz4": {"compression": CompressionType.LZ4},
    "zstd": {"compression": CompressionType.ZSTD},
    "without summary": NO_SUMMARY,
    "without indexes": {**NO_SUMMARY, "compression": CompressionType.ZSTD},
    "one chunk": {"chunk_bytes": 1 << 20},
}
WITHOUT_CHUNKS = {"use_chunking": False}
FLIPS = 100


@pytest.mark.parametrize("options", CHECKED.values(), ids=CHECKED)
def test_a_whole_file_is_read_without_loss(tmp_path: Path, options: dict[str, Any]) -> None:
    written = messages()
    file = write_mcap(tmp_path / "bag.mcap", written, **options)
    with open_bag(file) as bag:
        found = list(bag.messages())
        assert [(m.topic, m.received_ns, m.data) for m in found] == written
        assert [m.number for m in found] == list(range(len(written)))
        assert (bag.losses, bag.unchecked) == ([], 0)


def test_all_bytes_are_those_that_the_mcap_library_reads(tmp_path: Path) -> None:
    file = write_mcap(tmp_path / "bag.mcap", messages())
    with file.open("rb") as stream:
        theirs = [
            (channel.topic, message.log_time, message.data)
            for _, channel, message in make_reader(stream, validate_crcs=True).iter_messages()
        ]
    assert read(file)[0] == theirs


def test_a_number_is_the_same_whichever_topics_are_asked_for(tmp_path: Path) -> None:
    file = write_mcap(tmp_path / "bag.mcap", messages())
    with open_bag(file) as bag:
        everything = {m.number: m for m in bag.messages()}
        some = list(bag.messages({CAMERA}))
    assert {m.topic for m in some} == {CAMERA}
    assert all(everything[m.number] == m for m in some)


@pytest.mark.parametrize("options", CHECKED.values(), ids=CHECKED)
def test_a_file_cut_anywhere_gives_what_is_whole_and_says_that_it_is_cut(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    written = messages()
    raw = write_mcap(tmp_path / "bag.mcap", written, **options).read_bytes()
    cut = tmp_path / "cut.mcap"
    kept = []
    for part in range(50):
        cut.write_bytes(raw[: len(raw) * part // 50])
        count, losses = check(cut, written)
        assert losses
        kept.append(count)
    assert kept == sorted(kept)
    assert kept[-1] > 40 or "chunk_bytes" in options


@pytest.mark.parametrize("options", CHECKED.values(), ids=CHECKED)
def test_wrong_bits_never_give_a_wrong_message(tmp_path: Path, options: dict[str, Any]) -> None:
    written = messages()
    raw = write_mcap(tmp_path / "bag.mcap", written, **options).read_bytes()
    hurt = tmp_path / "hurt.mcap"
    for seed in range(FLIPS):
        hurt.write_bytes(flipped(raw, seed))
        check(hurt, written)


def test_one_wrong_bit_costs_one_chunk_which_is_counted_by_topic(tmp_path: Path) -> None:
    written = messages()
    file = write_mcap(tmp_path / "bag.mcap", written)
    raw = bytearray(file.read_bytes())
    raw[raw.index(written[30][2])] ^= 4
    file.write_bytes(raw)
    found, losses = read(file)
    assert [loss.what for loss in losses] == ["a chunk: its checksum is wrong"]
    lost = [one for one in written if one not in found]
    assert len(found) + len(lost) == len(written)
    assert losses[0].messages == len(lost) < 15
    assert losses[0].topics == {
        topic: sum(one[0] == topic for one in lost) for topic in (CAMERA, JOINTS)
    }


def test_an_index_that_turns_into_a_message_is_not_delivered(tmp_path: Path) -> None:
    written = messages()
    raw = bytearray(write_mcap(tmp_path / "bag.mcap", written).read_bytes())
    index = raw.index(b"\x07", raw.index(written[20][2]))
    while int.from_bytes(raw[index + 1 : index + 9], "little") > 1000:
        index = raw.index(b"\x07", index + 1)
    raw[index] = 0x05
    hurt = tmp_path / "hurt.mcap"
    hurt.write_bytes(raw)
    count, losses = check(hurt, written)
    assert (count, [loss.messages for loss in losses]) == (len(written), [0])


def test_channels_of_a_damaged_first_chunk_are_known_from_the_summary(tmp_path: Path) -> None:
    written = messages()
    file = write_mcap(tmp_path / "bag.mcap", written)
    raw = bytearray(file.read_bytes())
    raw[raw.index(written[0][2])] ^= 1
    file.write_bytes(raw)
    count, losses = check(file, written)
    assert count > 40
    assert losses[0].messages == len(written) - count


def test_without_a_summary_messages_of_lost_channels_are_counted(tmp_path: Path) -> None:
    written = messages()
    file = write_mcap(tmp_path / "bag.mcap", written, **NO_SUMMARY)
    raw = bytearray(file.read_bytes())
    raw[raw.index(written[0][2])] ^= 1
    file.write_bytes(raw)
    found, losses = read(file)
    assert found == []
    assert any("not defined" in loss.what and loss.messages for loss in losses)


def test_messages_outside_chunks_are_checked_by_the_whole_data_if_that_can_be(
    tmp_path: Path,
) -> None:
    written = messages()
    file = write_mcap(tmp_path / "crc.mcap", written, **WITHOUT_CHUNKS, enable_data_crcs=True)
    with open_bag(file) as bag:
        assert len(list(bag.messages())) == len(written)
        assert (bag.losses, bag.unchecked) == ([], 0)
    raw = bytearray(file.read_bytes())
    raw[raw.index(written[9][2]) + 60] ^= 1
    file.write_bytes(raw)
    with open_bag(file) as bag:
        assert len(list(bag.messages())) == len(written)
        assert [(loss.messages, loss.doubtful) for loss in bag.losses] == [(None, True)]
        assert bag.unchecked == len(written)


def test_a_file_without_any_checksum_says_so(tmp_path: Path) -> None:
    written = messages()
    for name, options in (("chunks", {}), ("no chunks", WITHOUT_CHUNKS)):
        file = write_mcap(tmp_path / f"{name}.mcap", written, enable_crcs=False, **options)
        with open_bag(file) as bag:
            assert len(list(bag.messages())) == bag.unchecked == len(written)
            assert bag.losses == []


def test_reading_goes_on_behind_damage_in_a_file_without_chunks(tmp_path: Path) -> None:
    written = messages()
    file = write_mcap(tmp_path / "bag.mcap", written, **WITHOUT_CHUNKS)
    raw = bytearray(file.read_bytes())
    record = raw.index(written[30][2]) - 31
    assert raw[record] == 0x05
    raw[record + 3] ^= 0xFF  # its length
    file.write_bytes(raw)
    found, losses = read(file)
    assert found == written[:30] + written[31:]
    assert sum(loss.messages or 0 for loss in losses) == 1


def test_a_channel_that_changes_its_topic_gives_no_messages(tmp_path: Path) -> None:
    written = messages()
    file = write_mcap(tmp_path / "bag.mcap", written, enable_crcs=False)
    raw = file.read_bytes()
    file.write_bytes(raw.replace(JOINTS.encode(), b"/jolnts", 1))  # in the data, not at the end
    found, losses = read(file)
    assert {topic for topic, _, _ in found} == {CAMERA}
    assert any("defined twice" in loss.what for loss in losses)
    assert sum(loss.messages or 0 for loss in losses) == 40


@pytest.mark.parametrize("time_ns", [2**63, 2**64 - 1])
def test_a_time_that_no_clock_shows_is_a_lost_message(tmp_path: Path, time_ns: int) -> None:
    written = messages(3)
    file = write_mcap(tmp_path / "bag.mcap", written, enable_crcs=False)
    raw = file.read_bytes()
    old = struct.pack("<Q", written[1][1])
    at = raw.index(written[1][2]) - 16
    assert raw[at : at + 8] == old
    file.write_bytes(raw[:at] + struct.pack("<Q", time_ns) + raw[at + 8 :])
    found, losses = read(file)
    assert found == [written[0], written[2]]
    assert [loss.messages for loss in losses] == [1]


def test_damage_without_end_is_told_in_bounded_words(tmp_path: Path) -> None:
    written = messages()
    file = write_mcap(tmp_path / "bag.mcap", written)
    raw = file.read_bytes()
    private = struct.pack("<BQ", 0x99, 1) + b"x"
    file.write_bytes(raw[:8] + private * 5000 + raw[8:])
    found, losses = read(file)
    assert found == written
    assert len(losses) <= 1001
    assert sum(loss.bytes for loss in losses) >= 5000 * len(private)


def test_indexes_of_one_damaged_chunk_do_not_count_for_the_next(tmp_path: Path) -> None:
    written = messages()
    file = write_mcap(tmp_path / "bag.mcap", written, use_statistics=False)
    raw = bytearray(file.read_bytes())
    raw[raw.index(written[0][2])] ^= 1
    index = raw.index(b"\x07", raw.index(b"\x06", 9) + 10_000)
    while int.from_bytes(raw[index + 1 : index + 9], "little") > 1000:
        index = raw.index(b"\x07", index + 1)
    second = index + 9 + int.from_bytes(raw[index + 1 : index + 9], "little")
    assert raw[second] == 0x07
    raw[second] = 0x55  # of the first chunk's two indexes, only one can be read
    raw[raw.index(written[40][2])] ^= 1
    file.write_bytes(raw)
    found, losses = read(file)
    lost = [one for one in written if one not in found]
    assert [loss.messages for loss in losses][:2] == [None, None]
    assert losses[2].messages == len([one for one in lost if one[1] > written[20][1]])


def test_an_empty_file_is_a_loss_and_no_error(tmp_path: Path) -> None:
    file = tmp_path / "bag.mcap"
    file.touch()
    found, losses = read(file)
    assert found == []
    assert [(loss.what, loss.messages) for loss in losses] == [("the file is empty", None)]
