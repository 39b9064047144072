"""Opens a bag of ROS 2, whole or hurt, and reads its messages."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from vla_recorder.bags.mcap_file import McapFile
from vla_recorder.bags.types import BagError, BagFile, Loss, RawMessage, Topic


def open_bag(path: Path) -> Bag:
    return Bag(path)


class Bag:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: tuple[Path, ...] = (
            tuple(sorted(path.glob("*.mcap"))) if path.is_dir() else (path,)
        )
        if not self.files:
            raise BagError("no bag", where=str(path))
        self._opened: list[BagFile] = [McapFile(file, file.name) for file in self.files]
        self.topics: Mapping[str, Topic] = MappingProxyType(
            {n: t for f in self._opened for n, t in f.topics.items()}
        )
        self.custom: Mapping[str, str] = {}
        self.losses: list[Loss] = []

    def messages(self, topics: Collection[str] | None = None) -> Iterator[RawMessage]:
        wanted = None if topics is None else frozenset(topics)
        self.losses = []
        number = 0
        for file in self._opened:
            for stored in file.messages(wanted):
                if stored is not None:
                    yield RawMessage(*stored, number)
                number += 1
            self.losses += file.losses

    def sha256(self) -> Mapping[str, str]:
        found = {}
        for file in self.files:
            with file.open("rb") as stream:
                found[file.name] = hashlib.file_digest(stream, "sha256").hexdigest()
        return found
