"""One SQLite file of a bag. It has no checksums: only its structure can be checked.

A file that SQLite itself finds whole is read through it; any other page by page.
"""

from __future__ import annotations

import re
import sqlite3
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from vla_recorder.bags.compression import copy_file
from vla_recorder.bags.sqlite_pages import BadRowError, Pages, Row
from vla_recorder.bags.types import MAX_MESSAGE_BYTES, MAX_TIME_NS, Loss, Stored, Topic

_COMPUTED = re.compile(r"\b(generated|virtual|as|view)\b", re.IGNORECASE)
_TABLES = ("topics", "messages", "message_definitions", "metadata")
_MAX_TEXT_BYTES = 16 << 20
_HEAP = f"hard_heap_limit = {3 * MAX_MESSAGE_BYTES}"  # of all of SQLite in this process
_MAX_ROWS = 100_000  # topics or definitions
_FORMATS = ("ros2msg", "ros2idl", "unknown", "")

_Message = tuple[int, int, int, bytes | None]  # row, topic, time, data


class _DamagedError(Exception):
    """SQLite cannot read the file, or it contradicts itself."""


_UNREADABLE = (sqlite3.Error, MemoryError, _DamagedError)


class SqliteFile:
    """One SQLite file, as ``BagFile``.

    Args:
        path: The file.
        name: What losses call it.
        temporary: A folder for a copy, made when the file's journal must be applied first: the
            recording itself is never written to.
    """

    def __init__(self, path: Path, name: str, temporary: Path) -> None:
        self.losses: list[Loss] = []
        self.kept: Counter[str] = Counter()
        self._name = name
        path = _with_journal(path, temporary)
        self._stream = path.open("rb")
        self._size = path.stat().st_size
        self._database = sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)
        self._damage = ""
        self._whole_until = MAX_TIME_NS  # the last row that SQLite can be asked for
        self._pages: Pages | None = None
        self._rows: list[Row] = []  # of the pages, but for messages
        self._numbers, self._places = array("q"), array("q")  # of the messages in the pages
        try:
            columns, definitions, self.metadata = _described(
                self._database, self._stream, self._size
            )
        except _UNREADABLE as error:
            self._damage, self._whole_until = str(error) or "out of memory", 0
            self._scan()
            columns, definitions, self.metadata = _recognised(self._rows)
        self._topics = {number: _topic(row, definitions) for number, row in columns.items()}
        self.topics: Mapping[str, Topic] = {topic.name: topic for topic in self._topics.values()}

    @property
    def unchecked(self) -> int:
        """All messages: SQLite has no checksums."""
        return self.kept.total()

    def close(self) -> None:
        """Closes the file."""
        self._database.close()
        self._stream.close()

    def messages(self, topics: frozenset[str] | None) -> Iterator[Stored | None]:
        """All messages in the order of their rows; None stands for one not asked for."""
        self.losses, self.kept = [], Counter()
        if self._size == 0:
            self._lose("the file is empty", None)
            return
        strays, missing, last = 0, 0, 0
        for number, topic_id, time_ns, data in self._all_rows(topics):
            missing += max(0, number - last - 1)
            last = number
            topic = self._topics.get(topic_id)
            if topic is None or not 0 <= time_ns <= MAX_TIME_NS:
                strays += 1
                continue
            self.kept[topic.name] += 1
            yield None if data is None else Stored(topic.name, time_ns, data)
        if missing:
            self._lose("messages are missing", missing if missing < self._size else None)
        if strays:
            self._lose("messages of topics that are not defined, or from impossible times", strays)
        if self._damage:
            self._lose(f"SQLite: {self._damage}", None)

    def _all_rows(self, topics: frozenset[str] | None) -> Iterator[_Message]:
        """Through SQLite as far as it goes, then from the pages."""
        last = 0
        try:
            for row in self._query(topics):
                if not last < row[0]:
                    raise _DamagedError("rows out of order")
                yield row
                last = row[0]
        except _UNREADABLE as error:
            self._damage, self._whole_until = str(error) or "out of memory", last
        if self._damage:
            yield from self._from_pages(topics)

    def _query(self, topics: frozenset[str] | None) -> Iterator[_Message]:
        if not self._whole_until:
            return
        ids = [
            number
            for number, topic in self._topics.items()
            if topics is None or topic.name in topics
        ]
        # Only what is wanted is loaded, and nothing that is larger than any message.
        wanted = f"topic_id IN ({','.join('?' * len(ids))}) AND length(data) <= ?"
        found = self._database.execute(
            "SELECT id, topic_id, timestamp, typeof(data) == 'blob' AND length(data) <= ?,"
            f" CASE WHEN {wanted} THEN data END FROM messages WHERE id <= ? ORDER BY id",
            (MAX_MESSAGE_BYTES, *ids, MAX_MESSAGE_BYTES, self._whole_until),
        )
        for number, topic_id, time_ns, sound, content in found:
            if not (sound and isinstance(topic_id, int) and isinstance(time_ns, int)):
                raise _DamagedError(f"row {number} is no message")
            yield number, topic_id, time_ns, content

    def _from_pages(self, topics: frozenset[str] | None) -> Iterator[_Message]:
        pages = self._scan()
        pages.forget()
        last = self._whole_until
        for number, place in zip(self._numbers, self._places, strict=True):
            if number <= last:
                continue
            try:
                topic_id, time_ns, data = pages.message(place)
            except BadRowError:
                continue  # counted by the gap in the row numbers
            last = number
            topic = self._topics.get(topic_id)
            wanted = topics is None or (topic is not None and topic.name in topics)
            yield number, topic_id, time_ns, data if wanted else None

    def _scan(self) -> Pages:
        if self._pages is None:
            self._pages = Pages(self._stream, self._size, max_bytes=MAX_MESSAGE_BYTES)
            self._rows, self._numbers, self._places = self._pages.scan()
        return self._pages

    def _lose(self, what: str, messages: int | None) -> None:
        self.losses.append(Loss(file=self._name, what=what, messages=messages))


def _with_journal(path: Path, temporary: Path) -> Path:
    """The file itself, or a copy to which what its journal holds has been applied."""
    journals = [
        journal
        for ending in ("-wal", "-journal")
        if (journal := path.with_name(path.name + ending)).is_file() and journal.stat().st_size
    ]
    if not journals:
        return path
    copy = temporary / path.name
    for source in (path, *journals):
        copy_file(source, temporary / source.name)
    with closing(sqlite3.connect(copy)) as database, suppress(sqlite3.Error):
        database.execute("PRAGMA trusted_schema = OFF")
        database.execute("PRAGMA journal_mode = DELETE").fetchall()
    return copy


def _check_size(stream: BinaryIO, size: int) -> None:
    """Refuses a file that ends inside a page: SQLite would put zeros there without a word."""
    stream.seek(0)
    header = stream.read(100)
    page = int.from_bytes(header[16:18], "big")
    page = 65536 if page == 1 else page
    if len(header) < 100 or not page or size % page:
        raise _DamagedError("the file ends inside a page")
    if header[24:28] == header[92:96] and size < page * int.from_bytes(header[28:32], "big"):
        raise _DamagedError("the file has fewer pages than it says")


def _described(
    database: sqlite3.Connection, stream: BinaryIO, size: int
) -> tuple[dict[int, tuple[str, ...]], dict[str, tuple[str, str]], str]:
    """The topics by number, the definitions by type, and the metadata that a file describes."""
    _check_size(stream, size)
    for setting in ("trusted_schema = OFF", "cell_size_check = ON", _HEAP):
        database.execute(f"PRAGMA {setting}")
    tables = dict(
        database.execute("SELECT name, type || ' ' || sql FROM sqlite_master").fetchall()
    )
    for name in ("topics", "messages"):
        if not tables.get(name, "").startswith("table "):
            raise _DamagedError(f"there is no table of {name}")
    for name in _TABLES:
        if _COMPUTED.search(tables.get(name, "")):
            raise _DamagedError(f"the table of {name} is computed")
    topics = {}
    for row in _texts(database, "SELECT * FROM topics"):
        if not isinstance(row[0], int) or len(row) < 4:
            raise _DamagedError("a topic without a number")
        topics[row[0]] = tuple(str(value) for value in row[1:])
    definitions = {}
    if "message_definitions" in tables:
        for row in _texts(
            database,
            "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions",
        ):
            definitions[str(row[0])] = (str(row[1]), str(row[2]))
    metadata = ""
    if "metadata" in tables:
        for row in _texts(database, "SELECT metadata FROM metadata ORDER BY id"):
            metadata = str(row[0])
    return topics, definitions, metadata


def _texts(database: sqlite3.Connection, query: str) -> Iterator[tuple[object, ...]]:
    for count, row in enumerate(database.execute(query)):
        if count > _MAX_ROWS or sum(len(str(value)) for value in row) > _MAX_TEXT_BYTES:
            raise _DamagedError("more text than a bag has")
        yield row


def _recognised(
    rows: list[Row],
) -> tuple[dict[int, tuple[str, ...]], dict[str, tuple[str, str]], str]:
    """The same from the rows of a file whose tables are not known: each by its columns."""
    topics: dict[int, tuple[str, ...]] = {}
    definitions: dict[str, tuple[str, str]] = {}
    metadata = ""
    for number, _, *values in rows:
        texts = tuple(value for value in values if isinstance(value, str))
        if len(texts) == len(values) == 4 and texts[1] in _FORMATS:
            definitions[texts[0]] = (texts[1], texts[2])
        elif len(texts) == len(values) and 3 <= len(texts) <= 5 and texts[0].startswith("/"):
            topics[int(str(number))] = texts
        elif len(values) == 2 and isinstance(values[0], int) and len(texts) == 1:
            metadata = texts[0]
    return topics, definitions, metadata


def _topic(columns: tuple[str, ...], definitions: Mapping[str, tuple[str, str]]) -> Topic:
    name, type_name, encoding, qos, type_hash = (*columns[:5], "", "")[:5]
    definition_format, definition = definitions.get(type_name, ("", ""))
    return Topic(
        name=name,
        type=type_name,
        definition=definition,
        definition_format=definition_format or "ros2msg",
        encoding=encoding,
        offered_qos=qos,
        type_hash=type_hash,
    )
