"""What the writer hands to a storage, and what every storage does with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from rosbag2_py._storage import BagMetadata, MessageDefinition, TopicMetadata


class Message(NamedTuple):
    """A serialised message; times in nanoseconds."""

    topic: str
    data: bytes
    received_ns: int
    sent_ns: int


class WritableFile(Protocol):
    """One file of a bag while it is written. Everything may raise OSError or `StorageError`."""

    path: Path
    batch_bytes: int  # how much a batch should hold

    @property
    def size(self) -> int:
        """Bytes written."""

    def create_topic(self, topic: TopicMetadata, definition: MessageDefinition) -> None:
        """Add a topic, or nothing when it is there."""

    def write(self, batch: Sequence[Message]) -> None:
        """Write messages so that a crash of the process does not lose them; all or none."""

    def update_metadata(self, serialized: str) -> None:
        """Add the bag's metadata to the file."""

    def close(self) -> None:
        """Finish the file; what was written whole stays readable when this fails."""


class ReadableFile(Protocol):
    """One file of a bag while it is read."""

    def metadata(self) -> BagMetadata:
        """What the file itself tells."""

    def definitions(self) -> list[MessageDefinition]:
        """Definitions of the message types."""

    def messages(
        self, selects: Callable[[str], bool], start_ns: int, by_time: bool, reverse: bool
    ) -> Iterator[Message]:
        """Messages of the selected topics, from a receive time on (backwards: down from it)."""

    def close(self) -> None:
        """Give the file back."""


class StorageError(RuntimeError):
    """A file could not be written, or it is damaged."""
