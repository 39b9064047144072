"""The summary at the end of an MCAP file: its channels, and how many messages there must be."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from vla_recorder.bags.mcap_definitions import Definitions
from vla_recorder.bags.mcap_records import (
    FOOTER,
    HEADER,
    MAGIC,
    MAX_TEXT_BYTES,
    BadRecordError,
    Opcode,
    parse_metadata_index,
    parse_statistics,
)
from vla_recorder.bags.mcap_search import check_record

_FOOTER_BYTES = HEADER.size + FOOTER.size
_DATA_END_BYTES = HEADER.size + 4
_BLOCK_BYTES = 1 << 20
_WANTED = (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.STATISTICS, Opcode.METADATA_INDEX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the end of a file says.

    Attributes:
        whole: The file's end is as it was written.
        complete: It describes the channels.
        counts: Messages by channel, if it counts them.
        chunked: Messages are known to be in chunks.
        data_end: Where the record that ends the data section starts.
        data_crc: The checksum of all bytes before it; 0 if there is none.
    """

    whole: bool = False
    complete: bool = False
    counts: Mapping[int, int] | None = None
    chunked: bool = False
    data_end: int = 0
    data_crc: int = 0


def read_summary(stream: BinaryIO, size: int, definitions: Definitions) -> Summary:
    """Reads what it can of a file's end, and adds what it describes to the definitions."""
    try:
        return _read(stream, size, definitions)
    except BadRecordError:
        return Summary()


def _read(stream: BinaryIO, size: int, definitions: Definitions) -> Summary:
    end = size - len(MAGIC) - _FOOTER_BYTES
    if end < len(MAGIC):
        raise BadRecordError("no room for an end")
    stream.seek(end)
    tail = stream.read(_FOOTER_BYTES + len(MAGIC))
    if tail[_FOOTER_BYTES:] != MAGIC or HEADER.unpack_from(tail) != (Opcode.FOOTER, FOOTER.size):
        raise BadRecordError("no footer")
    start, _, crc = FOOTER.unpack_from(tail, HEADER.size)
    start = start or end
    if not len(MAGIC) + _DATA_END_BYTES <= start <= end:
        raise BadRecordError("a summary outside the file")
    data_end = start - _DATA_END_BYTES
    stream.seek(data_end)
    record = stream.read(_DATA_END_BYTES)
    if HEADER.unpack_from(record) != (Opcode.DATA_END, 4):
        raise BadRecordError("no end of the data section")
    if crc and _crc(stream, start, end + _FOOTER_BYTES - 4) != crc:
        raise BadRecordError("the summary's checksum is wrong")
    counts, found, chunked = None, False, False
    for opcode, content in _records(stream, start, end):
        if opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
            definitions.add(opcode, content)
            found = True
        elif opcode == Opcode.STATISTICS:
            counts = parse_statistics(content)
        elif opcode == Opcode.METADATA_INDEX:
            _add_metadata(stream, parse_metadata_index(content), data_end, definitions)
        else:
            chunked = True
    definitions.settled = found and crc != 0
    described = found or (counts is not None and not any(counts.values()))
    return Summary(
        whole=True,
        complete=described,
        counts=counts,
        chunked=chunked,
        data_end=data_end,
        data_crc=int.from_bytes(record[HEADER.size :], "little"),
    )


def _records(stream: BinaryIO, at: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The records that matter: opcode and content."""
    while at < end:
        stream.seek(at)
        head = stream.read(HEADER.size)
        if len(head) < HEADER.size:
            raise BadRecordError("the file ends inside the summary")
        opcode, length = HEADER.unpack(head)
        at += HEADER.size + length
        if at > end:
            raise BadRecordError("a record reaches past the summary")
        if opcode == Opcode.CHUNK_INDEX:
            yield opcode, b""
        elif opcode in _WANTED:
            if length > MAX_TEXT_BYTES:
                raise BadRecordError("a record of an impossible length")
            yield opcode, stream.read(length)


def _add_metadata(stream: BinaryIO, at: int, end: int, definitions: Definitions) -> None:
    """The recorder's description of the bag; the last one counts."""
    with suppress(BadRecordError):
        opcode, length = check_record(stream, at, end)
        if opcode == Opcode.METADATA:
            stream.seek(at + HEADER.size)
            definitions.add(opcode, stream.read(length))


def _crc(stream: BinaryIO, start: int, end: int) -> int:
    stream.seek(start)
    crc = 0
    while start < end:
        block = stream.read(min(_BLOCK_BYTES, end - start))
        if not block:
            raise BadRecordError("the file became shorter")
        crc, start = zlib.crc32(block, crc), start + len(block)
    return crc


def data_is_whole(stream: BinaryIO, summary: Summary) -> bool:
    """Whether the data section has the checksum that its end states; False if it states none."""
    try:
        return summary.data_crc != 0 and _crc(stream, 0, summary.data_end) == summary.data_crc
    except BadRecordError:
        return False
