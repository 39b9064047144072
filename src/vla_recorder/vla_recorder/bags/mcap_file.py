"""One MCAP file of a bag, read past all damage, with its checksums checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from vla_recorder.bags.mcap_definitions import Definitions
from vla_recorder.bags.mcap_summary import data_is_whole, read_summary
from vla_recorder.bags.mcap_walk import Walk
from vla_recorder.bags.types import Loss, Stored, Topic


class McapFile:
    """One MCAP file, as ``BagFile``.

    A file without a whole summary, as a killed recorder leaves it, is read once when it is
    opened, since its topics may be described anywhere in it.

    Args:
        path: The file.
        name: What losses call it.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._stream = path.open("rb")
        self._size = path.stat().st_size
        self._name = name
        self._definitions = Definitions()
        self._summary = read_summary(self._stream, self._size, self._definitions)
        self._whole: bool | None = None
        self._walk = self._new_walk(frozenset())
        if not self._summary.complete:
            for _ in self._walk.run():
                pass

    @property
    def topics(self) -> Mapping[str, Topic]:
        """All topics by name."""
        return {topic.name: topic for topic in self._definitions.topics.values()}

    @property
    def metadata(self) -> str:
        """The YAML text that the recorder embedded, or ""; known when a reading has ended."""
        return self._definitions.metadata

    @property
    def losses(self) -> list[Loss]:
        """What the newest reading met."""
        return self._walk.losses

    @property
    def kept(self) -> Mapping[str, int]:
        """How many messages of each topic the newest reading found."""
        return self._walk.kept

    @property
    def unchecked(self) -> int:
        """How many messages of the newest reading no checksum protects."""
        return self._walk.unchecked

    def messages(self, topics: frozenset[str] | None) -> Iterator[Stored | None]:
        """All messages in file order; None stands for one of a topic not asked for."""
        self._walk = self._new_walk(topics)
        return self._walk.run()

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()

    def _new_walk(self, topics: frozenset[str] | None) -> Walk:
        return Walk(
            self._stream,
            self._size,
            name=self._name,
            definitions=self._definitions,
            summary=self._summary,
            topics=topics,
            data_is_whole=self._data_is_whole,
        )

    def _data_is_whole(self) -> bool:
        if self._whole is None:
            self._whole = data_is_whole(self._stream, self._summary)
        return self._whole
