"""TFRecord files and the protobuf in them, against files built byte by byte."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from foreign_files import crc32c as slow_crc32c
from foreign_files import example, feature, part, tfrecord
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_recorder.importers.recording import ImportFileError
from vla_recorder.importers.tf_example import parse_example
from vla_recorder.importers.tfrecord import MAX_RECORD_BYTES, records


def test_records_are_read_in_order(tmp_path: Path) -> None:
    contents = [b"first", b"", b"x" * 70_000]
    (tmp_path / "a").write_bytes(tfrecord(contents))
    assert [bytes(record.read()) for record in records(tmp_path / "a")] == contents


@pytest.mark.parametrize("kept", [3, 15, 40])
def test_a_truncated_file_gives_its_whole_records_and_then_an_error(
    tmp_path: Path, kept: int
) -> None:
    (tmp_path / "a").write_bytes(tfrecord([b"first"]) + tfrecord([b"y" * 40])[:kept])
    found = records(tmp_path / "a")
    assert bytes(next(found).read()) == b"first"
    with pytest.raises(ImportFileError, match="record 1"):
        next(found)


def test_a_damaged_record_leaves_the_next_readable(tmp_path: Path) -> None:
    data = bytearray(tfrecord([b"first", b"next"]))
    data[13] ^= 1
    (tmp_path / "a").write_bytes(data)
    damaged, whole = records(tmp_path / "a")
    with pytest.raises(ImportFileError, match="CRC-32C"):
        damaged.read()
    assert bytes(whole.read()) == b"next"


def test_a_damaged_length_is_not_believed(tmp_path: Path) -> None:
    data = bytearray(tfrecord([b"first"]))
    data[6] ^= 1
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(ImportFileError, match="damaged length"):
        next(records(tmp_path / "a"))


def test_a_record_of_absurd_size_takes_no_memory(tmp_path: Path) -> None:
    head = struct.pack("<Q", MAX_RECORD_BYTES + 1)
    crc = slow_crc32c(head)
    mask = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    (tmp_path / "a").write_bytes(head + struct.pack("<I", mask))
    with pytest.raises(ImportFileError, match=str(MAX_RECORD_BYTES)):
        next(records(tmp_path / "a"))


def test_an_example_gives_floats_and_byte_strings() -> None:
    floats = np.array([1.5, -2.0, 3.25], np.float32)
    found = parse_example(
        memoryview(example({"a/x": floats, "ä": [b"one", b""], "n": [300, 1]})), "here"
    )
    assert np.array_equal(found["a/x"], floats)
    assert [bytes(value) for value in found["ä"]] == [b"one", b""]  # type: ignore[arg-type]
    assert len(found["n"]) == 0


def test_floats_that_are_not_packed_are_read() -> None:
    numbers = b"".join(b"\x0d" + struct.pack("<f", number) for number in (1.0, 2.0))
    entry = part(1, b"a") + part(2, part(2, numbers))
    found = parse_example(memoryview(part(1, part(1, entry))), "here")
    assert found["a"].tolist() == [1.0, 2.0]  # type: ignore[union-attr]


def test_steps_of_a_sequence_example_are_chained() -> None:
    steps = [np.array([1.0, 2.0], np.float32), np.array([3.0, 4.0], np.float32)]
    entry = part(1, b"a") + part(2, b"".join(part(1, feature(step)) for step in steps))
    context = example({"b": [b"text"]})
    found = parse_example(memoryview(context + part(2, part(1, entry))), "here")
    assert found["a"].tolist() == [1.0, 2.0, 3.0, 4.0]  # type: ignore[union-attr]
    assert bytes(found["b"][0]) == b"text"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x0a\x7f", "127 bytes"),
        (b"\x0a" + b"\xff" * 11, "without an end"),
        (b"\x0b", "wire type 3"),
        (example({"a": [b"x"]}) * 2, "twice"),
        (part(1, part(1, part(1, b"\xff") + part(2, b""))), "utf-8"),
        (part(1, part(1, part(1, b"a") + part(2, part(2, part(1, b"abc"))))), "3 bytes"),
    ],
)
def test_what_is_no_example_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ImportFileError, match=reason):
        parse_example(memoryview(data), "here")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_an_example_or_refused(data: bytes) -> None:
    with suppress(ImportFileError):
        parse_example(memoryview(data), "here")
