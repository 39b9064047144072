"""An SQLite file while it is recorded, with the tables of rosbag2's storage (schema version 4)."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rosbag2_py._batch import Message, StorageError
from rosbag2_py._qos import qos_to_yaml
from rosbag2_py._storage import VERSION, MessageDefinition, TopicMetadata

SCHEMA_VERSION = 4
PRESET_NAMES = ("none", "resilient")
# Columns and types: rosbag2_storage_sqlite3 of ROS 2 Jazzy, SqliteStorage::initialize.
_TABLES = {
    "schema": "schema_version INTEGER PRIMARY KEY, ros_distro TEXT NOT NULL",
    "metadata": "id INTEGER PRIMARY KEY, metadata_version INTEGER NOT NULL, "
    "metadata TEXT NOT NULL",
    "topics": "id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL, "
    "serialization_format TEXT NOT NULL, offered_qos_profiles TEXT NOT NULL, "
    "type_description_hash TEXT NOT NULL",
    "message_definitions": "id INTEGER PRIMARY KEY, topic_type TEXT NOT NULL, "
    "encoding TEXT NOT NULL, encoded_message_definition TEXT NOT NULL, "
    "type_description_hash TEXT NOT NULL",
    "messages": "id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, timestamp INTEGER NOT NULL, "
    "data BLOB NOT NULL",
}


class SqliteFile:
    """A new database. A batch becomes one transaction, so a crash leaves it whole.

    The journal is a write-ahead log while it is recorded, and gone when it is closed: with the
    journal in memory, which is upstream's default, a kill in a transaction tears the database.
    """

    batch_bytes = 4 * 1024 * 1024

    def __init__(self, path: Path, preset: str, config: str, ros_distro: str) -> None:
        if preset not in ("", *PRESET_NAMES):
            raise RuntimeError(
                f"Invalid storage preset profile {preset!r}; allowed: {', '.join(PRESET_NAMES)}"
            )
        if config:
            raise NotImplementedError("the underlay's sqlite3 storage takes no storage_config_uri")
        if path.exists():
            raise RuntimeError(f"Failed to create bag: File '{path}' already exists!")
        self.path = path
        self._topics: dict[str, int] = {}
        self._types: set[str] = set()
        with self._errors():
            # The writer guards the file with its own lock, from whatever thread.
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute(
                f"PRAGMA synchronous={'NORMAL' if preset == 'resilient' else 'OFF'}"
            )
            with self._transaction() as database:
                for name, columns in _TABLES.items():
                    database.execute(f"CREATE TABLE {name}({columns})")
                database.execute("CREATE INDEX timestamp_idx ON messages (timestamp ASC)")
                database.execute(
                    "INSERT INTO schema (schema_version, ros_distro) VALUES (?, ?)",
                    (SCHEMA_VERSION, ros_distro),
                )

    @property
    def size(self) -> int:
        """Bytes of database and log."""
        log = self.path.with_name(self.path.name + "-wal")
        return self.path.stat().st_size + (log.stat().st_size if log.exists() else 0)

    def create_topic(self, topic: TopicMetadata, definition: MessageDefinition) -> None:
        """Add the topic and the definition of its type."""
        if topic.name in self._topics:
            return
        with self._errors(), self._transaction() as database:
            cursor = database.execute(
                "INSERT INTO topics (name, type, serialization_format, offered_qos_profiles, "
                "type_description_hash) VALUES (?, ?, ?, ?, ?)",
                (
                    topic.name,
                    topic.type,
                    topic.serialization_format,
                    qos_to_yaml(topic.offered_qos_profiles),
                    topic.type_description_hash,
                ),
            )
            if topic.type not in self._types:
                database.execute(
                    "INSERT INTO message_definitions (topic_type, encoding, "
                    "encoded_message_definition, type_description_hash) VALUES (?, ?, ?, ?)",
                    (
                        topic.type,
                        definition.encoding,
                        definition.encoded_message_definition,
                        topic.type_description_hash,
                    ),
                )
        self._topics[topic.name] = int(cursor.lastrowid or 0)
        self._types.add(topic.type)

    def write(self, batch: Sequence[Message]) -> None:
        """Insert messages in one transaction."""
        rows = ((m.received_ns, self._topics[m.topic], m.data) for m in batch)
        with self._errors(), self._transaction() as database:
            database.executemany(
                "INSERT INTO messages (timestamp, topic_id, data) VALUES (?, ?, ?)", rows
            )

    def update_metadata(self, serialized: str) -> None:
        """Add one row; readers take the last."""
        with self._errors(), self._transaction() as database:
            database.execute(
                "INSERT INTO metadata (metadata_version, metadata) VALUES (?, ?)",
                (VERSION, serialized),
            )

    def close(self) -> None:
        """Take the log into the database and close it."""
        with self._errors():
            try:
                self._database.execute("PRAGMA journal_mode=DELETE")
            finally:
                self._database.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._database.execute("BEGIN")
        try:
            yield self._database
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            full = os.statvfs(self.path.parent).f_bavail == 0
            hint = " (no space left on device)" if full else ""
            raise StorageError(f"{self.path}: {error}{hint}") from error
