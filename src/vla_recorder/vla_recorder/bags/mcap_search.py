"""Whether bytes of a file are a record of MCAP, and where behind damage the next one starts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from vla_recorder.bags.mcap_records import (
    FIRST_PRIVATE,
    HEADER,
    MAGIC,
    MAX_RECORD_BYTES,
    MAX_TEXT_BYTES,
    MESSAGE_BYTES,
    BadRecordError,
    Opcode,
    parse_chunk,
    parse_message_index,
)

_PEEK_BYTES = HEADER.size + 64
_WINDOW_BYTES = 1 << 20
_OVERLAP_BYTES = 64
_CHAIN = 3  # records that must follow each other where one alone proves little

# A record's length fits six bytes, which leaves zeros. Look-aheads find overlapping candidates.
_CHUNK = rb"\x06.{6}\0{2}.{28}(?:\0{4}|\x03\0{3}lz4|\x04\0{3}zstd)"
_INDEX = rb"\x07.{6}\0{2}.{4}.{2}"
_END = rb"\x0f\x04\0{7}"
_IN_CHUNKS = re.compile(b"(?=" + b"|".join((_CHUNK, _INDEX, _END)) + b")", re.DOTALL)
_WITHOUT_CHUNKS = re.compile(rb"(?=[\x03\x04\x05\x0c\x0f].{6}\0{2})", re.DOTALL)


def check_record(stream: BinaryIO, at: int, size: int) -> tuple[int, int]:
    """The opcode and the length of the record at an offset of a file's data section.

    Raises:
        BadRecordError: What stands there cannot be a record.
    """
    stream.seek(at)
    head = stream.read(_PEEK_BYTES)
    if len(head) < HEADER.size:
        raise BadRecordError("the file ends inside a record")
    opcode, length = HEADER.unpack_from(head)
    if at + HEADER.size + length > size:
        raise BadRecordError("a record reaches past the end of the file")
    content = head[HEADER.size :]
    if opcode == Opcode.CHUNK:
        parse_chunk(content, length)
    elif opcode == Opcode.MESSAGE_INDEX:
        parse_message_index(content, length)
    elif opcode == Opcode.MESSAGE:
        _between(length, MESSAGE_BYTES, MAX_RECORD_BYTES)
    elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.METADATA):
        _between(length, 8, MAX_TEXT_BYTES)
    elif opcode == Opcode.DATA_END:
        _between(length, 4, 4)
    elif opcode == Opcode.HEADER:
        _between(at, len(MAGIC), len(MAGIC))
    elif opcode != Opcode.ATTACHMENT and opcode < FIRST_PRIVATE:
        raise BadRecordError(f"a record of kind {opcode} does not belong there")
    return int(opcode), int(length)


def next_record(stream: BinaryIO, at: int, size: int, *, chunked: bool) -> int | None:
    """The first offset from ``at`` on at which a record starts beyond reasonable doubt.

    Args:
        chunked: The file keeps its messages in chunks: then only chunks, their indexes and the
            end count, since a damaged chunk may be full of messages that nothing checks.
    """
    pattern = _IN_CHUNKS if chunked else _WITHOUT_CHUNKS
    for candidate in _candidates(stream, at, size, pattern):
        if _believable(stream, candidate, size):
            return candidate
    return None


def has_chunk(stream: BinaryIO, at: int, size: int) -> bool:
    """Whether a chunk starts at ``at``, if only a part of one, or anywhere behind it."""
    pattern = re.compile(b"(?=" + _CHUNK + b")", re.DOTALL)
    stream.seek(at)
    return pattern.match(stream.read(_PEEK_BYTES)) is not None or any(
        _believable(stream, candidate, size)
        for candidate in _candidates(stream, at, size, pattern)
    )


def _candidates(stream: BinaryIO, at: int, size: int, pattern: re.Pattern[bytes]) -> Iterator[int]:
    while at < size:
        stream.seek(at)
        window = stream.read(_WINDOW_BYTES + _OVERLAP_BYTES)
        for match in pattern.finditer(window):
            start = match.start()
            length = int.from_bytes(window[start + 1 : start + 9], "little")
            if start < _WINDOW_BYTES and at + start + HEADER.size + length <= size:
                yield at + start
        at += _WINDOW_BYTES


def _believable(stream: BinaryIO, at: int, size: int) -> bool:
    """A chunk proves itself by its checksum; all others by what follows them."""
    try:
        opcode, length = check_record(stream, at, size)
        if opcode == Opcode.CHUNK:
            return True
        for _ in range(_CHAIN):
            at += HEADER.size + length
            if opcode == Opcode.DATA_END:
                return _is_end(stream, at, size)
            if at == size:
                return True
            opcode, length = check_record(stream, at, size)
    except BadRecordError:
        return False
    return True


def _is_end(stream: BinaryIO, at: int, size: int) -> bool:
    """Whether the summary or the footer can start here, or the file ends."""
    stream.seek(at)
    head = stream.read(HEADER.size)
    if len(head) < HEADER.size:
        return True
    opcode, length = HEADER.unpack(head)
    return bool(1 < opcode < 0x0F) and at + HEADER.size + length <= size


def _between(value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise BadRecordError("a record of an impossible length")
