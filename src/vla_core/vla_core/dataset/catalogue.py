"""Which episodes a dataset has and where their rows and pictures lie, for both layouts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vla_core.dataset.episode import Clip, Statistics
from vla_core.dataset.info import MAX_COUNT, damaged
from vla_core.json_file import parse_object

EXTRA = "meta/episodes_extra.jsonl"
"""``Episode.extra`` of each; readers of LeRobot do not know this file."""

_MAX_LINE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One episode.

    Attributes:
        length: Rows.
        tasks: Task texts.
        files: Where the rows may be, the stated place first.
        clips: By camera.
    """

    length: int
    tasks: tuple[str, ...]
    files: tuple[Path, ...]
    clips: Mapping[str, Clip]


class Catalogue(Protocol):
    """The episodes of a dataset, from 0."""

    @property
    def tasks(self) -> Mapping[int, str]:
        """Task texts by task index."""

    def __len__(self) -> int: ...

    def entry(self, episode: int) -> Entry:
        """Where an episode lies."""

    def stats(self, episode: int) -> Mapping[str, Statistics]:
        """What the dataset says of it, by feature; nothing in v2.0."""

    def extra(self, episode: int) -> Mapping[str, Any]:
        """``Episode.extra``."""


def json_lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file that has one per line, and where each begins.

    Raises:
        DatasetError: It is absent or damaged.
    """
    try:
        with file.open("rb") as source:
            offset = 0
            while line := source.readline(_MAX_LINE_BYTES):
                if line.strip():
                    yield offset, _parse(line, file)
                offset += len(line)
    except OSError as error:
        raise damaged(file, error.strerror, "a file of JSON objects") from error


class EpisodeLines:
    """Such a file with one line per episode, which is kept on disk until it is asked for.

    A file that is absent has none.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offsets: dict[int, int] = {}
        for offset, entry in json_lines(file) if file.exists() else ():
            episode = entry.get("episode_index")
            if type(episode) is not int or episode in self._offsets:
                raise damaged(file, f"episode_index {episode!r}", "each episode once")
            self._offsets[episode] = offset

    def get(self, episode: int) -> dict[str, Any]:
        """The object of an episode, empty if it has none."""
        if episode not in self._offsets:
            return {}
        with self._file.open("rb") as source:
            source.seek(self._offsets[episode])
            return _parse(source.readline(_MAX_LINE_BYTES), self._file)


def _parse(line: bytes, file: Path) -> dict[str, Any]:
    try:
        return parse_object(line)
    except ValueError as error:
        raise damaged(file, error, "a JSON object on each line") from error


def statistics(found: Mapping[str, Any], where: object) -> dict[str, Statistics]:
    """Statistics by feature, from lists.

    Raises:
        DatasetError: They are no numbers.
    """
    return {name: one_statistics(stats, f"{where}, {name}") for name, stats in found.items()}


def one_statistics(found: object, where: object) -> Statistics:
    """The same of one feature."""
    try:
        if not isinstance(found, dict):
            raise ValueError(type(found).__name__)
        stats = {key: np.array(value) for key, value in found.items()}
    except ValueError as error:
        raise damaged(where, error, "numbers") from error
    for key, value in stats.items():
        if value.dtype.kind not in "biuf" or not 1 <= value.ndim <= 5:
            raise damaged(f"{where}, {key}", value.dtype, "lists of numbers")
    if stats and not {"min", "max", "mean", "std", "count"} <= stats.keys():
        raise damaged(where, sorted(stats), "min, max, mean, std and count")
    return stats


def count(value: object, where: object, *, least: int = 0) -> int:
    """A whole number that can be true.

    Raises:
        DatasetError: It is none.
    """
    if type(value) is not int or not least <= value <= MAX_COUNT:
        raise damaged(where, value, f"a whole number from {least} to {MAX_COUNT}")
    return value


def texts(value: object, where: object) -> tuple[str, ...]:
    """Task texts.

    Raises:
        DatasetError: Something else.
    """
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise damaged(where, value, "a list of texts")
    return tuple(value)


def extra_of(line: Mapping[str, Any]) -> Mapping[str, Any]:
    """``Episode.extra`` from its line."""
    found = line.get("extra", {})
    return found if isinstance(found, dict) else {}
