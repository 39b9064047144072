"""Rows of a damaged SQLite file, taken from its pages one by one, without its trees.

SQLite gives up a table at the first page that is wrong; here each leaf page of a table counts by
itself, and each row proves itself by the lengths that it states.

Source: https://www.sqlite.org/fileformat2.html (sections 1.3, 1.6 and 2.1).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

Value = None | int | float | str | bytes
Row = tuple[Value, ...]

_LEAF = 0x0D
_DEFAULT_PAGE_BYTES = 4096
_BLOCK_BYTES = 1 << 20
_INT_BYTES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)  # by serial type; 7 is a float, 8 and 9 are 0 and 1
_MAX_SMALL_BYTES = 1 << 20  # of a row that is no message
_MAX_SMALL_ROWS = 1000
_MESSAGE_COLUMNS = 4


class BadRowError(ValueError):
    """Bytes that are not a row."""


class Pages:
    """The pages of a file.

    Args:
        max_bytes: Of a message; larger ones count as damage.
    """

    def __init__(self, stream: BinaryIO, size: int, *, max_bytes: int) -> None:
        self._stream = stream
        self._max_bytes = max_bytes
        stream.seek(0)
        header = stream.read(100)
        page = int.from_bytes(header[16:18], "big")
        page = 65536 if page == 1 else page
        if page < 512 or page & (page - 1):
            page = _DEFAULT_PAGE_BYTES
        reserved = header[20] if len(header) > 20 and header[20] < 33 else 0
        self._page_bytes, self._usable = page, page - reserved
        self._num_pages = size // page
        self._taken = bytearray(self._num_pages + 1)  # overflow pages that belong to a row

    def scan(self) -> tuple[list[Row], array[int], array[int]]:
        """Finds all rows.

        Returns:
            The rows that are not messages, whole; of the messages the row numbers and where
            they stand, in the order of the numbers.
        """
        small: list[Row] = []
        numbers, places = array("q"), array("q")
        for number, page in self._leaves():
            for offset in _cells(page, 100 if number == 1 else 0):
                place = (number - 1) * self._page_bytes + offset
                try:
                    row_number, types = self._head(page, offset)
                    if _is_message(types):
                        numbers.append(row_number)
                        places.append(place)
                    elif len(small) < _MAX_SMALL_ROWS:
                        small.append((row_number, *self.row(place, _MAX_SMALL_BYTES)))
                except BadRowError:
                    continue  # no one knows what it was; a message leaves a gap in the numbers
        order = np.argsort(np.array(numbers, np.int64), kind="stable")
        return (
            small,
            array("q", [numbers[at] for at in order]),
            array("q", [places[at] for at in order]),
        )

    def message(self, place: int) -> tuple[int, int, bytes]:
        """The topic's number, the time and the data of the message at a place.

        Raises:
            BadRowError: It is not whole.
        """
        _, topic, time_ns, data = self.row(place, self._max_bytes)
        if not (isinstance(topic, int) and isinstance(time_ns, int) and isinstance(data, bytes)):
            raise BadRowError("not a message")
        return topic, time_ns, data

    def row(self, place: int, max_bytes: int) -> Row:
        """The values of the row at a place.

        Raises:
            BadRowError: It is not whole, or larger than allowed.
        """
        number, offset = divmod(place, self._page_bytes)
        page = self._read(number + 1, 1)
        size, at = _varint(page, offset)
        _, at = _varint(page, at)
        if size > max_bytes:
            raise BadRowError("a row of an impossible size")
        local = self._local(size)
        payload = page[at : at + local]
        if local < size:
            first = int.from_bytes(page[at + local : at + local + 4], "big")
            payload += self._overflow(first, size - local)
        if len(payload) != size:
            raise BadRowError("a row reaches past its page")
        return _values(payload)

    def _head(self, page: bytes, offset: int) -> tuple[int, list[int]]:
        """A row's number and the types of its columns."""
        size, at = _varint(page, offset)
        number, at = _varint(page, at)
        return number, _types(page[at : at + self._local(size)], size)[0]

    def _local(self, size: int) -> int:
        """How many bytes of a row stand in its page."""
        most = self._usable - 35
        if size <= most:
            return size
        least = (self._usable - 12) * 32 // 255 - 23
        local = least + (size - least) % (self._usable - 4)
        return local if local <= most else least

    def _overflow(self, first: int, size: int) -> bytes:
        """The rest of a row, which stands in a chain of pages, mostly one after the other."""
        room = self._usable - 4
        pieces = []
        page = first
        while size > 0:
            count = -(-size // room)
            block = self._read(page, min(count, max(1, self._num_pages - page + 1)))
            table = np.frombuffer(block, np.uint8).reshape(-1, self._page_bytes)
            follow = table[:, :4].copy().view(">u4")[:, 0]
            straight = follow == np.arange(page + 1, page + 1 + len(table))
            run = len(table) if straight[:-1].all() else int(np.argmin(straight)) + 1
            self._take(page, run)
            pieces.append(table[:run, 4 : self._usable].tobytes()[:size])
            size -= len(pieces[-1])
            page = int(follow[run - 1])
        if page != 0:
            raise BadRowError("a row's chain of pages does not end with it")
        return b"".join(pieces)

    def _take(self, page: int, count: int) -> None:
        if any(self._taken[page : page + count]):
            raise BadRowError("a page belongs to two rows")
        self._taken[page : page + count] = b"\1" * count

    def forget(self) -> None:
        """Starts a new reading: no page belongs to a row yet."""
        self._taken = bytearray(self._num_pages + 1)

    def _read(self, page: int, count: int) -> bytes:
        if not 1 <= page <= page + count - 1 <= self._num_pages:
            raise BadRowError("a page outside the file")
        self._stream.seek((page - 1) * self._page_bytes)
        return self._stream.read(count * self._page_bytes)

    def _leaves(self) -> Iterator[tuple[int, bytes]]:
        """The number and the bytes of each leaf page of a table."""
        per_block = max(1, _BLOCK_BYTES // self._page_bytes)
        for first in range(1, self._num_pages + 1, per_block):
            count = min(per_block, self._num_pages + 1 - first)
            block = self._read(first, count)
            for index in range(count):
                number, at = first + index, index * self._page_bytes
                if block[at + (100 if number == 1 else 0)] == _LEAF:
                    yield number, block[at : at + self._page_bytes]


def _cells(page: bytes, start: int) -> Iterator[int]:
    """The offsets of a page's rows."""
    count = int.from_bytes(page[start + 3 : start + 5], "big")
    at = start + 8
    for index in range(min(count, (len(page) - at) // 2)):
        yield int.from_bytes(page[at + 2 * index : at + 2 * index + 2], "big")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, and where the next field starts."""
    value = 0
    for index in range(9):
        if at + index >= len(data):
            raise BadRowError("a number reaches past its page")
        byte = data[at + index]
        if index == 8:
            return (value << 8 | byte) & (2**63 - 1), at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            break
    return value, at + index + 1


def _types(payload: bytes, size: int) -> tuple[list[int], int]:
    """The types of a row's columns, and where the first value starts."""
    end, at = _varint(payload, 0)
    if end > len(payload):
        raise BadRowError("a row's header reaches past it")
    types = []
    while at < end:
        kind, at = _varint(payload, at)
        types.append(kind)
    if at != end or end + sum(map(_num_bytes, types)) != size:
        raise BadRowError("a row that is not as long as its columns")
    return types, end


def _num_bytes(kind: int) -> int:
    if kind >= 12:
        return (kind - 12) // 2
    if kind > 9:
        raise BadRowError("a column of an unknown type")
    return _INT_BYTES[kind]


def _is_message(types: list[int]) -> bool:
    """Whether these are the columns of a message: number, topic, time, data."""
    if len(types) != _MESSAGE_COLUMNS:
        return False
    number, topic, time_ns, data = types
    integers = {1, 2, 3, 4, 5, 6, 8, 9}
    return (
        (number == 0 or number in integers)
        and topic in integers
        and time_ns in integers
        and (data >= 12 and data % 2 == 0)
    )


def _values(payload: bytes) -> Row:
    types, at = _types(payload, len(payload))
    values: list[Value] = []
    for kind in types:
        raw = payload[at : at + _num_bytes(kind)]
        at += len(raw)
        if kind in (0, 7):
            values.append(None)  # no table of a bag has numbers with a fraction
        elif kind in (8, 9):
            values.append(kind - 8)
        elif kind < 7:
            values.append(int.from_bytes(raw, "big", signed=True))
        elif kind % 2:
            try:
                values.append(raw.decode())
            except UnicodeDecodeError as error:
                raise BadRowError("a text is not UTF-8") from error
        else:
            values.append(raw)
    return tuple(values)
