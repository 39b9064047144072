"""TFRecord files: records between lengths and checksums, read without TensorFlow.

A record is its length (8 bytes), the masked CRC-32C of those, the data and their masked CRC-32C;
numbers are little-endian.

Source: https://www.tensorflow.org/tutorials/load_data/tfrecord (format details); TensorFlow,
tensorflow/core/lib/hash/crc32c.h (the mask).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vla_core.crc32c import crc32c
from vla_recorder.importers.recording import ImportFileError

MAX_RECORD_BYTES = 1 << 30  # of one episode; it is held in memory while it is read
_MASK_DELTA = 0xA282EAD8
_HEAD, _TAIL = struct.Struct("<QI"), struct.Struct("<I")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record, not read yet; `number` counts from 0."""

    file: Path
    number: int
    offset: int
    size: int

    def read(self) -> memoryview:
        """The data, once their checksum is found right.

        Raises:
            ImportFileError: It is not, or the file has changed.
        """
        with self.file.open("rb") as stream:
            stream.seek(self.offset + _HEAD.size)
            data = stream.read(self.size)
            tail = stream.read(_TAIL.size)
        if len(tail) != _TAIL.size or _masked_crc32c(data) != _TAIL.unpack(tail)[0]:
            raise ImportFileError(
                "a record is damaged",
                where=f"{self.file}, record {self.number}",
                found="another CRC-32C than the file states",
                fix="download or copy the file again",
            )
        return memoryview(data)


def records(file: Path) -> Iterator[Record]:
    """The records of a file in order.

    Raises:
        ImportFileError: After the last whole record, where more follows: nothing behind a
            damaged length can be found.
    """
    end = file.stat().st_size
    with file.open("rb") as stream:
        offset, number = 0, 0
        while offset < end:
            size = _length(stream, offset, end, f"{file}, record {number}")
            yield Record(file=file, number=number, offset=offset, size=size)
            offset += _HEAD.size + size + _TAIL.size
            number += 1


def _length(stream: BinaryIO, offset: int, end: int, where: str) -> int:
    stream.seek(offset)
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise _torn(where, f"{len(head)} bytes at its end")
    size, crc = _HEAD.unpack(head)
    if _masked_crc32c(head[:8]) != crc:
        raise _torn(where, f"a damaged length at byte {offset}")
    if size > MAX_RECORD_BYTES:
        raise _torn(where, f"a record of {size} bytes")
    if offset + _HEAD.size + size + _TAIL.size > end:
        raise _torn(where, f"a record of {size} bytes, {end - offset} left")
    return int(size)


def _torn(where: str, found: str) -> ImportFileError:
    return ImportFileError(
        "a TFRecord file is truncated or damaged",
        where=where,
        found=found,
        allowed=f"whole records of at most {MAX_RECORD_BYTES} bytes",
        fix="download or copy the file again",
    )


def _masked_crc32c(data: bytes) -> int:
    """Rotated and shifted, so that the CRC of data that hold CRCs is a good one."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF
