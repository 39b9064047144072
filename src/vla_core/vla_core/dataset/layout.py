"""What both layouts of a dataset are given, and what they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from vla_core.dataset.columns import IMAGE
from vla_core.dataset.episode import Clip, Statistics

CHUNK = 1000  # episodes (v2.1) or files (v3.0) per folder
ROWS, _PICTURE_ROWS = 1000, 100  # per row group, as the datasets library writes them


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Written:
    """One episode, checked, with all columns.

    Attributes:
        index: Its place among the episodes.
        start: Place of its first row among all rows.
        table: T rows, every column of the file.
        tasks: Its task texts.
        clips: By camera, T frames each.
        stats: Of every feature that is no text.
    """

    index: int
    start: int
    table: pa.Table
    tasks: tuple[str, ...]
    clips: Mapping[str, Clip]
    stats: Mapping[str, Statistics]


class Layout(Protocol):
    """Where the parts of a dataset go."""

    def add(self, episode: Written) -> None:
        """Stores the next episode."""

    def finish(
        self, tasks: Mapping[str, int]
    ) -> tuple[Mapping[str, int], Mapping[str, int | float]]:
        """Writes what is about all episodes.

        Returns:
            Totals and sizes for ``info_json``.
        """


def group_rows(table: pa.Table) -> int:
    """Rows per row group."""
    return _PICTURE_ROWS if any(kind == IMAGE for kind in table.schema.types) else ROWS
