"""An SQLite file while it is read, with the tables of any version of rosbag2's storage."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rclpy.duration import Duration
from rclpy.time import Time

from rosbag2_py._batch import Message, StorageError
from rosbag2_py._metadata_io import MetadataIo
from rosbag2_py._qos import to_rclcpp_qos_vector
from rosbag2_py._storage import BagMetadata, MessageDefinition, TopicInformation, TopicMetadata


class SqliteReadFile:
    """A finished file, opened so that nothing can change it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.stat()  # SQLite's own error does not say that it is missing
        try:
            self._database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
            rows = self._database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            self._tables = {str(name) for (name,) in rows}
        except sqlite3.Error as error:
            raise StorageError(f"{path}: damaged: {error}") from error
        if not {"topics", "messages"} <= self._tables:
            raise StorageError(f"{path}: no bag: it has no table of topics or of messages")

    def metadata(self) -> BagMetadata:
        """What the file itself tells: its own counts, the bag's custom data."""
        metadata = BagMetadata()
        if "metadata" in self._tables:
            rows = self._rows("SELECT metadata FROM metadata ORDER BY id DESC LIMIT 1")
            metadata = MetadataIo().deserialize_metadata(rows[0][0]) if rows else metadata
        ((count, start_ns, end_ns),) = self._rows(
            "SELECT COUNT(*), COALESCE(MIN(timestamp), 0), COALESCE(MAX(timestamp), 0) "
            "FROM messages"
        )
        counts = dict(self._rows("SELECT topic_id, COUNT(*) FROM messages GROUP BY topic_id"))
        metadata.storage_identifier = "sqlite3"
        metadata.bag_size = self._path.stat().st_size
        metadata.relative_file_paths = [self._path.name]
        metadata.message_count = count
        metadata.starting_time = Time(nanoseconds=start_ns)
        metadata.duration = Duration(nanoseconds=end_ns - start_ns)
        metadata.topics_with_message_count = [
            TopicInformation(topic, counts.get(topic.id, 0)) for topic in self._topics()
        ]
        return metadata

    def definitions(self) -> list[MessageDefinition]:
        """Definitions of the message types; none before schema version 4."""
        if "message_definitions" not in self._tables:
            return []
        columns = "topic_type, encoding, encoded_message_definition, type_description_hash"
        rows = self._rows(f"SELECT {columns} FROM message_definitions ORDER BY id")
        return [MessageDefinition(*row) for row in rows]

    def messages(
        self, selects: Callable[[str], bool], start_ns: int, by_time: bool, reverse: bool
    ) -> Iterator[Message]:
        """Messages of the selected topics, by receive time or as they lie in the file."""
        names = {topic.id: topic.name for topic in self._topics() if selects(topic.name)}
        direction, beyond = ("DESC", "<=") if reverse else ("ASC", ">=")
        order = f"timestamp {direction}, id {direction}" if by_time else "id ASC"
        try:
            cursor = self._database.execute(
                f"SELECT topic_id, timestamp, data FROM messages "
                f"WHERE timestamp {beyond} ? AND topic_id IN ({','.join('?' * len(names))}) "
                f"ORDER BY {order}",
                (start_ns, *names),
            )
            for topic_id, received_ns, data in cursor:
                yield Message(names[topic_id], data, received_ns, received_ns)
        except sqlite3.Error as error:
            raise StorageError(f"{self._path}: damaged: {error}") from error

    def close(self) -> None:
        """Give the file back."""
        self._database.close()

    def _topics(self) -> list[TopicMetadata]:
        cursor = self._database.execute("SELECT * FROM topics ORDER BY id")
        columns = [column[0] for column in cursor.description]
        rows = [dict(zip(columns, row, strict=True)) for row in cursor]
        return [
            TopicMetadata(
                id=row["id"],
                name=row["name"],
                type=row["type"],
                serialization_format=row["serialization_format"],
                offered_qos_profiles=to_rclcpp_qos_vector(row.get("offered_qos_profiles", ""), 9),
                type_description_hash=row.get("type_description_hash", ""),
            )
            for row in rows
        ]

    def _rows(self, query: str) -> list[Any]:
        return self._database.execute(query).fetchall()
