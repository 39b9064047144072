"""One reading of an MCAP file from its start to its end, past all damage, with every loss."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import BinaryIO

from vla_recorder.bags.compression import BadDataError, unpack_chunk
from vla_recorder.bags.losses import balance
from vla_recorder.bags.mcap_definitions import Definitions
from vla_recorder.bags.mcap_records import (
    FIRST_PRIVATE,
    HEADER,
    MAGIC,
    MESSAGE,
    BadRecordError,
    Opcode,
    parse_chunk,
    parse_message_index,
)
from vla_recorder.bags.mcap_search import check_record, has_chunk, next_record
from vla_recorder.bags.mcap_summary import Summary
from vla_recorder.bags.types import MAX_TIME_NS, BagError, Loss, Stored

_MAX_LOSSES = 1000
_DEFINITIONS = (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.METADATA)


class Walk:
    """Goes through a file once.

    Args:
        name: The file's, for the losses.
        definitions: What is known of its channels; grows on the way.
        topics: Those to deliver; None for all.
        data_is_whole: Whether the checksum of the whole data section is right. Costs a reading
            of the file: asked only when messages have no checksum of their own.
    """

    def __init__(
        self,
        stream: BinaryIO,
        size: int,
        *,
        name: str,
        definitions: Definitions,
        summary: Summary,
        topics: frozenset[str] | None,
        data_is_whole: Callable[[], bool],
    ) -> None:
        self.losses: list[Loss] = []
        self.unchecked = 0
        self._stream = stream
        self._size = size
        self._name = name
        self._definitions = definitions
        self._summary = summary
        self._topics = topics
        self._data_is_whole = data_is_whole
        self._kept: Counter[int] = Counter()  # by channel; so are all counters
        self._num_kept = 0
        self._strays: Counter[int] = Counter()  # of unknown channels, or with impossible times
        self._broken: Loss | None = None  # a chunk whose messages its indexes will count
        self._indexed: Counter[int] = Counter()
        self._chunked: bool | None = True if summary.chunked else None

    def run(self) -> Iterator[Stored | None]:
        """All messages in file order; None stands for one of a topic not asked for."""
        at = self._start()
        ended = False
        while at < self._size and not ended:
            try:
                opcode, length = check_record(self._stream, at, self._size)
                if opcode == Opcode.MESSAGE and self._chunked and not self._data_is_whole():
                    # One wrong bit makes a chunk's index look like a message.
                    raise BadRecordError("a message outside the file's chunks")
            except BadRecordError as error:
                at = self._pass_over(at, str(error))
                continue
            if opcode == Opcode.CHUNK:
                self._settle()
                yield from self._chunk(at, length)
            elif opcode == Opcode.MESSAGE:
                yield from self._message(at, length)
            else:
                ended = self._other(opcode, at, length)
            at += HEADER.size + length
        self._finish(ended)

    @property
    def kept(self) -> Counter[str]:
        """How many messages of each topic were found."""
        return Counter(self._by_topic(self._kept))

    def _read(self, at: int, length: int) -> bytes:
        self._stream.seek(at)
        content = self._stream.read(length)
        if len(content) != length:
            raise BagError("the file became shorter while it was read", where=self._name)
        return content

    def _lose(self, what: str, at: int | None, length: int, messages: int | None) -> None:
        self._note(Loss(file=self._name, what=what, offset=at, bytes=length, messages=messages))

    def _note(self, loss: Loss) -> None:
        """Keeps a loss; a file that is nothing but damage does not fill the memory with them."""
        if len(self.losses) < _MAX_LOSSES:
            self.losses.append(loss)
            return
        last = self.losses[-1]
        self.losses[-1] = replace(
            last,
            what="damage without end",
            bytes=last.bytes + loss.bytes,
            messages=None,
            topics={},
        )

    def _start(self) -> int:
        self._stream.seek(0)
        magic = self._stream.read(len(MAGIC))
        if magic == MAGIC:
            return len(MAGIC)
        if not magic:
            self._lose("the file is empty", 0, 0, None)
            return self._size
        self._lose("the file does not start as MCAP does", 0, len(magic), 0)
        return len(MAGIC)

    def _pass_over(self, at: int, what: str) -> int:
        """Notes damage and returns where reading goes on."""
        if self._chunked is None:
            self._chunked = has_chunk(self._stream, at, self._size)
        if self._broken:
            self._note(self._broken)
            self._broken = None
            self._indexed.clear()
        found = next_record(self._stream, at + 1, self._size, chunked=self._chunked)
        behind = self._size if found is None else found
        self._lose(what, at, behind - at, None)
        return behind

    def _chunk(self, at: int, length: int) -> Iterator[Stored | None]:
        self._chunked = True
        content = memoryview(self._read(at + HEADER.size, length))
        chunk = parse_chunk(content, length)
        try:
            records = unpack_chunk(content[chunk.start :], chunk.compression, chunk.size)
            if chunk.crc and zlib.crc32(records) != chunk.crc:
                raise BadDataError("its checksum is wrong")
        except BadDataError as error:
            self._broken = Loss(
                file=self._name, what=f"a chunk: {error}", offset=at, bytes=HEADER.size + length
            )
            return
        before = self._num_kept
        try:
            yield from self._records(records)
        except BadRecordError as error:
            self._lose(f"inside a chunk: {error}", at, HEADER.size + length, None)
        if not chunk.crc:
            self._count_unchecked(self._num_kept - before)

    def _message(self, at: int, length: int) -> Iterator[Stored | None]:
        """A message that stands in the file by itself, where no chunk's checksum protects it."""
        before = self._num_kept
        yield from self._records(self._read(at, HEADER.size + length))
        self._count_unchecked(self._num_kept - before)

    def _count_unchecked(self, messages: int) -> None:
        if messages and not self._data_is_whole():
            self.unchecked += messages

    def _records(self, records: bytes | memoryview) -> Iterator[Stored | None]:
        """The messages among records; what is defined on the way is noted."""
        known, wanted, kept = self._definitions.topics, self._topics, self._kept
        at, end = 0, len(records)
        while at < end:
            if end - at < HEADER.size:
                raise BadRecordError("a record reaches past its end")
            opcode, length = HEADER.unpack_from(records, at)
            behind = at + HEADER.size + length
            if behind > end:
                raise BadRecordError("a record reaches past its end")
            if opcode == Opcode.MESSAGE:
                if behind - at < MESSAGE.size:
                    raise BadRecordError("a record of an impossible length")
                _, _, channel, _, log_ns, _ = MESSAGE.unpack_from(records, at)
                topic = known.get(channel)
                if topic is None or log_ns > MAX_TIME_NS:
                    self._strays[channel] += 1
                else:
                    kept[channel] += 1
                    self._num_kept += 1
                    if wanted is None or topic.name in wanted:
                        # A copy, so that a small message does not keep its chunk in memory.
                        data = bytes(records[at + MESSAGE.size : behind])
                        yield Stored(topic.name, log_ns, data)
                    else:
                        yield None
            elif opcode in _DEFINITIONS:
                self._define(opcode, bytes(records[at + HEADER.size : behind]))
            else:
                raise BadRecordError(f"a record of kind {opcode} does not belong there")
            at = behind

    def _define(self, opcode: int, content: bytes) -> None:
        wrong = self._definitions.add(opcode, content)
        if wrong and not any(loss.what == wrong for loss in self.losses):
            self._lose(wrong, None, 0, None)

    def _other(self, opcode: int, at: int, length: int) -> bool:
        """Any record but chunks and messages; returns whether it ends the data section."""
        if opcode == Opcode.MESSAGE_INDEX:
            channel, count = parse_message_index(self._read(at + HEADER.size, 6), length)
            if self._broken:
                self._indexed[channel] += count
            return False
        self._settle()
        if opcode in _DEFINITIONS:
            try:
                self._define(opcode, self._read(at + HEADER.size, length))
            except BadRecordError as error:
                self._lose(str(error), at, HEADER.size + length, None)
        elif opcode == Opcode.ATTACHMENT:
            self._lose("an attachment, which bags of ROS 2 do not have", at, length, 0)
        elif opcode >= FIRST_PRIVATE:
            self._lose(f"a record of the private kind {opcode}", at, HEADER.size + length, None)
        return opcode == Opcode.DATA_END

    def _settle(self) -> None:
        """All indexes of a damaged chunk have been read: they say what was lost with it."""
        if self._broken is None:
            return
        lost = self._indexed.total()
        self._note(
            replace(self._broken, messages=lost or None, topics=self._by_topic(self._indexed))
        )
        self._indexed.clear()
        self._broken = None

    def _by_topic(self, counts: Counter[int]) -> dict[str, int]:
        found: Counter[str] = Counter()
        for channel, count in counts.items():
            if topic := self._definitions.topics.get(channel):
                found[topic.name] += count
        return dict(found)

    def _finish(self, ended: bool) -> None:
        """What only the whole reading shows."""
        if ended:
            self._settle()
        elif self._broken:
            self._note(self._broken)
        if self._strays:
            self._note(
                Loss(
                    file=self._name,
                    what="messages of channels that are not defined, or from impossible times",
                    messages=self._strays.total(),
                    topics=self._by_topic(self._strays),
                )
            )
        if not ended and not any(
            self._size == (loss.offset or 0) + loss.bytes for loss in self.losses
        ):
            self._lose("the file has no end: its recorder was stopped", self._size, 0, None)
        elif ended and not self._summary.whole:
            self._lose("the file's summary is damaged", None, 0, 0)
        if self.unchecked and self._summary.data_crc:
            what = "the checksum of the data section is wrong: messages outside chunks may be too"
            self._note(Loss(file=self._name, what=what, doubtful=True))
        if self._summary.counts is not None:
            self._balance(self._summary.counts)

    def _balance(self, counts: Mapping[int, int]) -> None:
        expected: Counter[str] = Counter()
        for channel, count in counts.items():
            topic = self._definitions.topics.get(channel)
            expected[topic.name if topic else f"channel {channel}"] += count
        balance(self.losses, expected=expected, kept=self.kept, file=self._name)
