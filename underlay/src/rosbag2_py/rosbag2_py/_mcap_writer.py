"""An MCAP file while it is recorded: chunks go to the kernel at once, and without a copy.

mcap's own Writer joins a message into three buffers before it reaches the file; at 110 MB/s that
alone takes half a core. Here a chunk is a list of pieces that `os.writev` takes as they are.
Source: MCAP specification 0, https://mcap.dev/spec (records are encoded by the `mcap` package).
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import lz4.frame
import zstandard
from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    McapRecord,
    MessageIndex,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
    SummaryOffset,
)

from rosbag2_py._batch import Message, StorageError
from rosbag2_py._mcap_options import McapOptions
from rosbag2_py._qos import qos_to_yaml
from rosbag2_py._storage import MessageDefinition, TopicMetadata

MAGIC = b"\x89MCAP0\r\n"
_MESSAGE_HEAD = struct.Struct("<BQHIQQ")  # opcode, length, channel, sequence, log, publish time
_CHUNK_HEAD = struct.Struct("<BQQQQI")  # opcode, length, start, end, uncompressed size, CRC
_FOOTER_HEAD = struct.Struct("<BQQQ")
_JOIN_BELOW_BYTES = 4096  # smaller messages are cheaper to copy than to hand over one by one
_MOST_PIECES = os.sysconf("SC_IOV_MAX")


class McapFile:
    """A new file. A batch becomes one chunk; what a failed write left half is cut off."""

    def __init__(self, path: Path, options: McapOptions) -> None:
        self.path = path
        self.batch_bytes = options.chunk_bytes
        self._options = options
        self._schemas: dict[str, Schema] = {}
        self._channels: dict[str, Channel] = {}
        self._chunks: list[ChunkIndex] = []
        self._metadata: list[MetadataIndex] = []
        self._statistics = Statistics(
            attachment_count=0,
            channel_count=0,
            channel_message_counts=defaultdict(int),
            chunk_count=0,
            message_count=0,
            metadata_count=0,
            message_start_time=0,
            message_end_time=0,
            schema_count=0,
        )
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._size = 0
        self._append([MAGIC, _encoded(Header(profile="ros2", library="rosbag2_py underlay"))])

    @property
    def size(self) -> int:
        """Bytes written."""
        return self._size

    def create_topic(self, topic: TopicMetadata, definition: MessageDefinition) -> None:
        """Write schema and channel outside the chunks: a damaged one does not take them."""
        if topic.name in self._channels:
            return
        records: list[McapRecord] = []
        schema = self._schemas.get(topic.type)
        if schema is None:
            schema = Schema(
                id=len(self._schemas) + 1,
                name=topic.type,
                encoding=definition.encoding,
                data=definition.encoded_message_definition.encode(),
            )
            records.append(schema)
        channel = Channel(
            id=len(self._channels) + 1,
            topic=topic.name,
            message_encoding=topic.serialization_format,
            metadata={
                "offered_qos_profiles": qos_to_yaml(topic.offered_qos_profiles),
                "topic_type_hash": topic.type_description_hash,
            },
            schema_id=schema.id,
        )
        self._append([_encoded(*records, channel)])
        self._schemas[topic.type] = schema
        self._channels[topic.name] = channel

    def write(self, batch: Sequence[Message]) -> None:
        """Write one chunk and its message indexes."""
        pieces, indexes = self._records(batch)
        crc, bytes_inside = 0, 0
        for piece in pieces:
            bytes_inside += len(piece)
            if not self._options.no_chunk_crc:
                crc = zlib.crc32(piece, crc)
        stored = self._compressed(pieces)
        stored_bytes = sum(map(len, stored))
        start, end = min(m.received_ns for m in batch), max(m.received_ns for m in batch)
        name = self._options.compression.encode()
        length = _CHUNK_HEAD.size - 9 + 4 + len(name) + 8 + stored_bytes
        head = _CHUNK_HEAD.pack(Opcode.CHUNK, length, start, end, bytes_inside, crc)
        head += struct.pack("<I", len(name)) + name + struct.pack("<Q", stored_bytes)
        index_at = self._size + 9 + length
        tail, offsets = RecordBuilder(), {}
        for channel_id, records in indexes.items():
            offsets[channel_id] = index_at + tail.count
            MessageIndex(channel_id=channel_id, records=records).write(tail)
        index_bytes = tail.count
        index = ChunkIndex(
            chunk_length=9 + length,
            chunk_start_offset=self._size,
            compression=self._options.compression,
            compressed_size=stored_bytes,
            message_end_time=end,
            message_index_length=index_bytes,
            message_index_offsets=offsets,
            message_start_time=start,
            uncompressed_size=bytes_inside,
        )
        self._append([head, *stored, tail.end()])
        self._chunks.append(index)
        self._count(indexes, start, end)

    def update_metadata(self, serialized: str) -> None:
        """Write the metadata record that rosbag2 looks for."""
        record = _encoded(Metadata(name="rosbag2", metadata={"serialized_metadata": serialized}))
        index = MetadataIndex(offset=self._size, length=len(record), name="rosbag2")
        self._append([record])
        self._metadata.append(index)

    def close(self) -> None:
        """Write the summary and give the file back; both may tell that the disk is full."""
        if self._fd < 0:
            return
        try:
            self._append([self._summary()])
        finally:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _records(
        self, batch: Sequence[Message]
    ) -> tuple[list[bytes | bytearray], dict[int, list[tuple[int, int]]]]:
        """Return a chunk's content, and per channel the times and offsets of its messages."""
        pieces: list[bytes | bytearray] = [bytearray()]
        indexes: dict[int, list[tuple[int, int]]] = {}
        offset = 0
        for message in batch:
            channel_id = self._channels[message.topic].id
            length = len(message.data) + _MESSAGE_HEAD.size - 9
            pieces[-1] += _MESSAGE_HEAD.pack(
                Opcode.MESSAGE, length, channel_id, 0, message.received_ns, message.sent_ns
            )
            if len(message.data) < _JOIN_BELOW_BYTES:
                pieces[-1] += message.data
            else:
                pieces += [message.data, bytearray()]
            indexes.setdefault(channel_id, []).append((message.received_ns, offset))
            offset += 9 + length
        return pieces, indexes

    def _compressed(self, pieces: list[bytes | bytearray]) -> list[bytes | bytearray]:
        if self._options.compression == "zstd":
            return [zstandard.compress(b"".join(pieces), self._options.level)]
        if self._options.compression == "lz4":
            return [lz4.frame.compress(b"".join(pieces))]
        return pieces

    def _count(self, indexes: dict[int, list[tuple[int, int]]], start: int, end: int) -> None:
        counted = self._statistics
        first = counted.message_count == 0
        counted.message_start_time = start if first else min(start, counted.message_start_time)
        counted.message_end_time = max(end, counted.message_end_time)
        for channel_id, records in indexes.items():
            counted.channel_message_counts[channel_id] += len(records)
            counted.message_count += len(records)

    def _summary(self) -> bytes:
        """Return all that follows the data section."""
        counted = self._statistics
        counted.schema_count, counted.channel_count = len(self._schemas), len(self._channels)
        counted.chunk_count, counted.metadata_count = len(self._chunks), len(self._metadata)
        groups: dict[Opcode, Sequence[McapRecord]] = {
            Opcode.SCHEMA: list(self._schemas.values()),
            Opcode.CHANNEL: list(self._channels.values()),
            Opcode.STATISTICS: [counted],
            Opcode.CHUNK_INDEX: self._chunks,
            Opcode.METADATA_INDEX: self._metadata,
        }
        data_end = _encoded(DataEnd(data_section_crc=0))
        start = self._size + len(data_end)
        summary, offsets = b"", []
        for opcode, records in groups.items():
            if encoded := _encoded(*records):
                offsets.append(SummaryOffset(int(opcode), start + len(summary), len(encoded)))
                summary += encoded
        offset_start = start + len(summary)
        summary += _encoded(*offsets)
        crc = zlib.crc32(summary)
        crc = zlib.crc32(_FOOTER_HEAD.pack(Opcode.FOOTER, 20, start, offset_start), crc)
        footer = Footer(summary_start=start, summary_offset_start=offset_start, summary_crc=crc)
        return data_end + summary + _encoded(footer) + MAGIC

    def _append(self, pieces: Sequence[bytes | bytearray]) -> None:
        """Hand pieces to the kernel; on an error cut off what the last call left half."""
        if self._fd < 0:
            raise StorageError(f"{self.path} is closed")
        views = [memoryview(piece) for piece in pieces if piece]
        at = 0
        try:
            while at < len(views):
                written = os.writev(self._fd, views[at : at + _MOST_PIECES])
                while at < len(views) and written >= len(views[at]):
                    written -= len(views[at])
                    at += 1
                if written:
                    views[at] = views[at][written:]
        except OSError:
            os.ftruncate(self._fd, self._size)
            os.lseek(self._fd, self._size, os.SEEK_SET)
            raise
        self._size += sum(map(len, pieces))


def _encoded(*records: McapRecord) -> bytes:
    builder = RecordBuilder()
    for record in records:
        record.write(builder)
    return bytes(builder.end())
