"""Upstream's readers of bags."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import zstandard

from rosbag2_py._batch import Message, ReadableFile
from rosbag2_py._compression_options import CompressionMode, compression_mode_from_string
from rosbag2_py._file_compression import EXTENSION, decompress_file
from rosbag2_py._mcap_reader import McapReadFile
from rosbag2_py._metadata_io import MetadataIo
from rosbag2_py._sqlite3_reader import SqliteReadFile
from rosbag2_py._storage import (
    BagMetadata,
    ConverterOptions,
    MessageDefinition,
    ReadOrder,
    ReadOrderSortBy,
    StorageFilter,
    StorageOptions,
    TopicMetadata,
)
from rosbag2_py._storages import EXTENSIONS, STORAGES

_EVER_NS = 2**63 - 1


class SequentialReader:
    """Reads a bag file after file; within a file by receive time.

    Compressed bags are read as others are: a file is unpacked into a temporary folder while it is
    read.
    """

    def __init__(self) -> None:
        self._metadata: BagMetadata | None = None
        self._files: list[Path] = []
        self._filter = StorageFilter()
        self._order = ReadOrder()
        self._seek_ns: int | None = None
        self._messages: Iterator[Message] = iter(())
        self._next: Message | None = None

    def open_uri(self, uri: str) -> None:
        """Open a bag's folder, or one of its files."""
        self.open(StorageOptions(uri), ConverterOptions())

    def open(self, storage_options: StorageOptions, converter_options: ConverterOptions) -> None:
        """Open a bag's folder, or one of its files, whose extension tells the storage."""
        path = Path(storage_options.uri)
        if path.is_dir():
            if not MetadataIo().metadata_file_exists(str(path)):
                raise RuntimeError(f"Could not find metadata for bag in {path}")
            self._metadata = MetadataIo().read_metadata(str(path))
            # Early bags name their files with the folder; all of them lie in it.
            names = self._metadata.relative_file_paths
            self._files = [path / Path(name).name for name in names]
        else:
            self._files = [path]
            with _opened(path) as file:
                self._metadata = file.metadata()
        self._restart()

    def set_read_order(self, read_order: ReadOrder) -> bool:
        """Set the order; False for one that is not there, which changes nothing."""
        by_file = read_order.sort_by is ReadOrderSortBy.File
        if read_order.sort_by is ReadOrderSortBy.PublishedTimestamp or (
            by_file and read_order.reverse
        ):
            return False
        self._order = read_order
        self._restart()
        return True

    def set_filter(self, storage_filter: StorageFilter) -> None:
        """Read only some topics from here on."""
        self._filter = storage_filter
        self._restart()

    def reset_filter(self) -> None:
        """Read all topics from here on."""
        self.set_filter(StorageFilter())

    def seek(self, timestamp: int) -> None:
        """Go to a receive time (ns)."""
        self._seek_ns = timestamp
        self._restart()

    def has_next(self) -> bool:
        """Return whether there is another message."""
        if self._next is None:
            self._next = next(self._messages, None)
        return self._next is not None

    def read_next(self) -> tuple[str, bytes, int]:
        """Return topic, serialised message and receive time (ns)."""
        if not self.has_next() or self._next is None:
            raise RuntimeError("No next message is available.")
        message, self._next = self._next, None
        self._seek_ns = message.received_ns  # where a new filter goes on
        return message.topic, message.data, message.received_ns

    def get_metadata(self) -> BagMetadata:
        """Return what metadata.yaml tells, or the file that was opened by itself."""
        if self._metadata is None:
            raise RuntimeError("Bag is not open. Call open() before reading.")
        return self._metadata

    def get_all_topics_and_types(self) -> list[TopicMetadata]:
        """Return the topics."""
        return [t.topic_metadata for t in self.get_metadata().topics_with_message_count]

    def get_all_message_definitions(self) -> list[MessageDefinition]:
        """Return the message definitions of the first file."""
        with _opened(self._files[0]) as file:
            return file.definitions()

    def close(self) -> None:
        """Close the bag."""
        self._messages, self._next, self._files = iter(()), None, []
        self._metadata = None

    def _restart(self) -> None:
        self._next = None
        self._messages = self._iterate(self._seek_ns)

    def _iterate(self, seek_ns: int | None) -> Iterator[Message]:
        reverse = self._order.reverse
        start_ns = (_EVER_NS - 1 if reverse else 0) if seek_ns is None else seek_ns
        by_time = self._order.sort_by is ReadOrderSortBy.ReceivedTimestamp
        mode = compression_mode_from_string(self.get_metadata().compression_mode)
        unpack = zstandard.ZstdDecompressor().decompress
        for path in reversed(self._files) if reverse else self._files:
            with _opened(path) as file:
                selects = self._filter.predicate()
                for message in file.messages(selects, start_ns, by_time, reverse):
                    if mode is CompressionMode.MESSAGE:
                        yield message._replace(data=unpack(message.data))
                    else:
                        yield message


class SequentialCompressionReader(SequentialReader):
    """The same: every reader here reads compressed bags."""


@contextmanager
def _opened(path: Path) -> Iterator[ReadableFile]:
    """Yield a file of a bag, unpacked where it is compressed."""
    with ExitStack() as stack:
        plain = path
        if path.suffix == EXTENSION:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rosbag2_"))
            plain = Path(folder) / path.stem
            decompress_file(path, plain)
        storage = EXTENSIONS.get(plain.suffix)
        if storage is None:
            raise RuntimeError(
                f"{path}: no storage reads this; allowed: {', '.join(EXTENSIONS)}, "
                f"each also with {EXTENSION}"
            )
        file: ReadableFile = McapReadFile(plain) if storage == "mcap" else SqliteReadFile(plain)
        stack.callback(file.close)
        yield file


def get_registered_readers() -> set[str]:
    """Return the storages that can be read."""
    return set(STORAGES)
