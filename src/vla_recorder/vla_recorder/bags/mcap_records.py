"""Records of MCAP, each checked against its own lengths before anything of it is believed.

Source: https://mcap.dev/spec (version 0); http://docs.ros.org/en/jazzy/p/rosbag2_storage_mcap.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from vla_recorder.bags.types import MAX_MESSAGE_BYTES

MAGIC = b"\x89MCAP0\r\n"
MAX_RECORD_BYTES = MAX_MESSAGE_BYTES + (1 << 20)  # of a message, or of a chunk of them
MAX_TEXT_BYTES = 16 << 20  # of a schema, a channel or a metadata record

HEADER = struct.Struct("<BQ")
MESSAGE = struct.Struct("<BQHIQQ")  # the header, then channel, sequence, log and publish time
CHUNK = struct.Struct("<QQQII")  # start, end, size, CRC, length of the compression's name
FOOTER = struct.Struct("<QQI")
MESSAGE_BYTES = MESSAGE.size - HEADER.size


class Opcode(IntEnum):
    HEADER = 0x01
    FOOTER = 0x02
    SCHEMA = 0x03
    CHANNEL = 0x04
    MESSAGE = 0x05
    CHUNK = 0x06
    MESSAGE_INDEX = 0x07
    CHUNK_INDEX = 0x08
    ATTACHMENT = 0x09
    STATISTICS = 0x0B
    METADATA = 0x0C
    METADATA_INDEX = 0x0D
    DATA_END = 0x0F


FIRST_PRIVATE = 0x80  # opcodes from here on are anyone's


class BadRecordError(ValueError):
    """Bytes that are not the record that they claim to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    name: str
    encoding: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    schema_id: int
    topic: str
    encoding: str
    metadata: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """What stands before a chunk's records, which start at ``start`` of the record's content."""

    size: int
    crc: int
    compression: str
    start: int


class _Cursor:
    """Reads fields one after the other and never past the end."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def number(self, num_bytes: int) -> int:
        return int.from_bytes(self.raw(num_bytes), "little")

    def raw(self, num_bytes: int) -> bytes:
        end = self._at + num_bytes
        if end > len(self._content):
            raise BadRecordError("a field reaches past its record")
        piece, self._at = self._content[self._at : end], end
        return piece

    def text(self) -> str:
        try:
            return self.raw(self.number(4)).decode()
        except UnicodeDecodeError as error:
            raise BadRecordError("a text is not UTF-8") from error

    def pairs(self) -> tuple[tuple[str, str], ...]:
        inner = _Cursor(self.raw(self.number(4)))
        found = []
        while not inner.at_end():
            found.append((inner.text(), inner.text()))
        return tuple(found)

    def at_end(self) -> bool:
        return self._at == len(self._content)

    def end(self) -> None:
        if not self.at_end():
            raise BadRecordError("bytes are left over in a record")


def parse_schema(content: bytes) -> tuple[int, Schema]:
    """The number and the content of a schema.

    Raises:
        BadRecordError: The bytes are not a schema; so for all below.
    """
    cursor = _Cursor(content)
    number = cursor.number(2)
    schema = Schema(name=cursor.text(), encoding=cursor.text(), text=cursor.text())
    cursor.end()
    return number, schema


def parse_channel(content: bytes) -> tuple[int, Channel]:
    """The number and the content of a channel."""
    cursor = _Cursor(content)
    number = cursor.number(2)
    channel = Channel(
        schema_id=cursor.number(2),
        topic=cursor.text(),
        encoding=cursor.text(),
        metadata=cursor.pairs(),
    )
    cursor.end()
    return number, channel


def parse_metadata(content: bytes) -> tuple[str, dict[str, str]]:
    """The name and the entries of a metadata record."""
    cursor = _Cursor(content)
    name, pairs = cursor.text(), cursor.pairs()
    cursor.end()
    return name, dict(pairs)


def parse_metadata_index(content: bytes) -> int:
    """Where the metadata record is that an index names."""
    cursor = _Cursor(content)
    offset = cursor.number(8)
    cursor.number(8)
    cursor.text()
    cursor.end()
    return offset


def parse_statistics(content: bytes) -> dict[int, int]:
    """How many messages each channel has."""
    cursor = _Cursor(content)
    total = cursor.number(8)
    cursor.raw(2 + 4 + 4 + 4 + 4 + 8 + 8)
    inner = _Cursor(cursor.raw(cursor.number(4)))
    cursor.end()
    counts = {}
    while not inner.at_end():
        channel = inner.number(2)
        counts[channel] = inner.number(8)
    if sum(counts.values()) != total:
        raise BadRecordError("statistics that contradict themselves")
    return counts


def parse_chunk(content: bytes | memoryview, length: int) -> Chunk:
    """What stands before a chunk's records.

    Args:
        content: The record's content, or at least its first 64 bytes.
        length: How long the content is by the record's header.
    """
    if length < CHUNK.size + 8 or len(content) < min(length, 64):
        raise BadRecordError("too short for a chunk")
    _, _, size, crc, name_bytes = CHUNK.unpack_from(content)
    start = CHUNK.size + name_bytes + 8
    if name_bytes > 16 or start > length or size > MAX_RECORD_BYTES:
        raise BadRecordError("not a chunk")
    name = bytes(content[CHUNK.size : start - 8])
    compressed = int.from_bytes(content[start - 8 : start], "little")
    if start + compressed != length or name not in (b"", b"lz4", b"zstd"):
        raise BadRecordError("not a chunk")
    return Chunk(size=size, crc=crc, compression=name.decode(), start=start)


def parse_message_index(start: bytes, length: int) -> tuple[int, int]:
    """The channel of a message index, and how many messages it lists.

    Args:
        start: The first 6 bytes of the record's content.
        length: How long the content is by the record's header.
    """
    if len(start) < 6 or length < 6:
        raise BadRecordError("not a message index")
    num_bytes = int.from_bytes(start[2:6], "little")
    if num_bytes + 6 != length or num_bytes % 16:
        raise BadRecordError("not a message index")
    return int.from_bytes(start[:2], "little"), num_bytes // 16
