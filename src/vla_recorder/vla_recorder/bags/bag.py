"""Opens a bag of ROS 2, whole or hurt, and reads its messages."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType

from vla_recorder.bags.compression import (
    ZSTD_MAGIC,
    BadDataError,
    unpack_file,
    unpack_zstd_up_to,
)
from vla_recorder.bags.folder import METADATA_NAME, PACKED, find_files, storage_of
from vla_recorder.bags.losses import balance
from vla_recorder.bags.mcap_file import McapFile
from vla_recorder.bags.metadata import parse_metadata
from vla_recorder.bags.sqlite_file import SqliteFile
from vla_recorder.bags.types import MAX_MESSAGE_BYTES, BagError, BagFile, Loss, RawMessage, Topic

_BLOCK_BYTES = 1 << 20


def open_bag(path: Path) -> Bag:
    """Opens a bag: a folder as rosbag2 writes it, or one of its files, packed or not.

    Nothing is ever written beside the bag. Packed files, and SQLite files with a journal, are
    unpacked into a temporary folder (``TMPDIR``) until the bag is closed.

    Raises:
        BagError: There is no bag, or it is made to harm. Damage is no error: see ``losses``.
    """
    return Bag(path)


class Bag:
    """An opened bag; also a context manager.

    Attributes:
        topics: All topics by name.
        custom: What the recording was labelled with (``ros2 bag record --custom-data``).
        expected: How many messages each topic has by ``metadata.yaml``; None where that is
            missing or wrong.
        files: In their order.
        losses: What the newest reading met; complete when it is exhausted.
        unchecked: How many messages of that reading no checksum protects: SQLite has none, and
            some recorders write MCAP without.
    """

    def __init__(self, path: Path) -> None:
        folder = find_files(path)
        self.path = path
        self.files: tuple[Path, ...] = folder.files
        self.losses: list[Loss] = []
        self.unchecked = 0
        self._metadata = folder.metadata
        self._found_missing = folder.losses
        self._unpacking: list[Loss] = []
        self._temporary = tempfile.TemporaryDirectory(prefix="vla_bag_")
        try:
            self._opened = [self._open(index, file) for index, file in enumerate(self.files)]
        except BaseException:
            self._temporary.cleanup()
            raise
        topics: dict[str, Topic] = {}
        for file in self._opened:
            for topic in file.topics.values():
                topics.setdefault(topic.name, topic)
        self.topics: Mapping[str, Topic] = MappingProxyType(topics)
        self._usable = [
            frozenset(n for n, topic in file.topics.items() if topic.type == topics[n].type)
            for file in self._opened
        ]
        self.expected = self._metadata.messages if self._metadata else None
        self.custom: Mapping[str, str] = MappingProxyType(dict(self._custom()))

    def messages(self, topics: Collection[str] | None = None) -> Iterator[RawMessage]:
        """All messages that are whole, in file order; damaged pieces are passed over and counted.

        Memory: one chunk of a file at a time.

        Args:
            topics: Only those; None for all.
        """
        # Files of one recording agree on their topics; where one does not, its messages are lost.
        wanted = None if topics is None else frozenset(topics)
        self.losses, self.unchecked = [*self._found_missing, *self._unpacking], 0
        kept: Counter[str] = Counter()
        number = 0
        for path, file, usable in zip(self.files, self._opened, self._usable, strict=True):
            unusable: Counter[str] = Counter()
            for stored in file.messages(wanted):
                if stored is not None:
                    data = self._plain(stored.data) if stored.topic in usable else None
                    if data is None:
                        unusable[stored.topic] += 1
                    else:
                        yield RawMessage(stored.topic, stored.received_ns, data, number)
                number += 1
            self.losses += file.losses
            self.unchecked += file.unchecked
            kept.update(file.kept)
            kept.subtract(unusable)
            if unusable:
                what = "messages that cannot be unpacked, or whose topic has another type before"
                self.losses.append(
                    Loss(
                        file=path.name,
                        what=what,
                        messages=unusable.total(),
                        topics=dict(unusable),
                    )
                )
        if self.expected is not None:
            balance(self.losses, expected=self.expected, kept=kept, file=METADATA_NAME)

    def sha256(self) -> Mapping[str, str]:
        """The hash of each file by its name."""
        found = {}
        for file in self.files:
            digest = hashlib.sha256()
            with file.open("rb") as stream:
                while block := stream.read(_BLOCK_BYTES):
                    digest.update(block)
            found[file.name] = digest.hexdigest()
        return found

    def close(self) -> None:
        """Closes all files and removes what was unpacked."""
        for file in self._opened:
            file.close()
        self._temporary.cleanup()

    def __enter__(self) -> Bag:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self, index: int, path: Path) -> BagFile:
        own = Path(self._temporary.name, str(index))
        own.mkdir()
        name = path.name
        if path.suffix in PACKED:
            plain = own / path.stem
            if wrong := unpack_file(path, plain):
                self._unpacking.append(Loss(file=name, what=wrong, messages=None))
            path = plain
        if storage_of(path) == ".mcap":
            return McapFile(path, name)
        return SqliteFile(path, name, own)

    def _plain(self, data: bytes) -> bytes | None:
        """A message as it was received; None if that cannot be told."""
        packed = self._metadata is not None and self._metadata.compression_mode == "message"
        if not packed and data[:4] != ZSTD_MAGIC:  # which is no way in which ROS 2 serialises
            return data
        try:
            return unpack_zstd_up_to(data, MAX_MESSAGE_BYTES)
        except BadDataError:
            return None

    def _custom(self) -> Mapping[str, str]:
        """The labels: of ``metadata.yaml``, else of the newest description in the files."""
        if self._metadata is not None:
            return self._metadata.custom
        for path, file in zip(reversed(self.files), reversed(self._opened), strict=True):
            if file.metadata:
                try:
                    return parse_metadata(file.metadata, path.name).custom
                except BagError as error:
                    self._unpacking.append(
                        Loss(file=path.name, what=f"its metadata: {error}", messages=0)
                    )
        return {}
