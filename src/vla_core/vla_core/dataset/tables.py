"""Parquet files of a dataset: the rows of one episode, after sizes and types were compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vla_core.dataset.info import damaged

MAX_TABLE_BYTES = 4 << 30  # of the columns of a row group that are read, unpacked
_VALUE_BYTES = 8  # a million equal values need no space in the file


class EpisodeTables:
    """Reads the rows of an episode from files that hold one or many.

    The row group that was read last is kept: a file of many episodes is unpacked once when they
    are read in order.
    """

    def __init__(self) -> None:
        self._kept: tuple[object, pa.Table] | None = None

    def rows(
        self,
        file: Path,
        episode: int,
        wanted: Callable[[str], bool],
        needed: Sequence[str] = (),
    ) -> pa.Table:
        """The rows whose ``episode_index`` is this one, in the order of the file.

        Args:
            file: A parquet file.
            episode: The index.
            wanted: Tells which columns to read.
            needed: Columns that must be there; ``episode_index`` always.

        Raises:
            DatasetError: No such file, damaged, a column is missing, or too large.
        """
        try:
            with pq.ParquetFile(file) as parquet:
                names = parquet.schema_arrow.names
                missing = [n for n in ("episode_index", *needed) if n not in names]
                if missing or len(set(names)) != len(names):
                    raise damaged(file, f"missing {missing}", f"columns {', '.join(needed)}")
                columns = [n for n in names if n == "episode_index" or wanted(n)]
                groups = [
                    self._group(file, parquet, g, columns)
                    for g in range(parquet.metadata.num_row_groups)
                    if _may_hold(parquet.metadata.row_group(g), episode)
                ]
                parts = [g.filter(pc.equal(g["episode_index"], episode)) for g in groups]
                empty = pa.schema([parquet.schema_arrow.field(n) for n in columns]).empty_table()
            return pa.concat_tables(parts) if parts else empty
        except (pa.ArrowException, OSError) as error:
            raise damaged(file, error, "a whole parquet file") from error

    def _group(self, file: Path, parquet: Any, group: int, columns: Sequence[str]) -> pa.Table:
        key = (file, file.stat().st_mtime_ns, group, tuple(columns))
        if self._kept is None or self._kept[0] != key:
            self._kept = None  # before the next is unpacked
            check_size(file, parquet, columns, group)
            table = parquet.read_row_group(group, columns=list(columns))
            if not pa.types.is_integer(table["episode_index"].type):
                raise damaged(f"{file}, episode_index", table["episode_index"].type, "integers")
            self._kept = (key, table)
        return self._kept[1]


def read_table(file: Path, columns: Sequence[str]) -> pa.Table:
    """All rows of some columns of one file, after the same comparison."""
    try:
        with pq.ParquetFile(file) as parquet:
            names = parquet.schema_arrow.names
            if missing := [name for name in columns if name not in names]:
                raise damaged(file, f"missing {missing}", f"columns {', '.join(columns)}")
            for group in range(parquet.metadata.num_row_groups):
                check_size(file, parquet, columns, group)
            return parquet.read(columns=list(columns))
    except (pa.ArrowException, OSError) as error:
        raise damaged(file, error, "a whole parquet file") from error


def column_names(file: Path) -> list[str]:
    """The columns of a file."""
    try:
        with pq.ParquetFile(file) as parquet:
            return list(parquet.schema_arrow.names)
    except (pa.ArrowException, OSError) as error:
        raise damaged(file, error, "a whole parquet file") from error


def check_size(file: Path, parquet: Any, columns: Sequence[str], group: int) -> None:
    """Refuses a row group that would fill the memory.

    Raises:
        DatasetError: It would.
    """
    head = parquet.metadata.row_group(group)
    parts = (head.column(i) for i in range(head.num_columns))
    size = sum(
        max(part.total_uncompressed_size, _VALUE_BYTES * part.num_values)
        for part in parts
        if _belongs(part.path_in_schema, columns)
    )
    if size > MAX_TABLE_BYTES:
        raise damaged(file, f"{size} bytes unpacked", f"at most {MAX_TABLE_BYTES} bytes")


def _belongs(path: str, columns: Sequence[str]) -> bool:
    """``action.list.element`` belongs to ``action``."""
    return any(path == name or path.startswith(f"{name}.") for name in columns)


def _may_hold(group: Any, episode: int) -> bool:
    for i in range(group.num_columns):
        part = group.column(i)
        if part.path_in_schema == "episode_index":
            bounds = part.statistics
            if bounds is not None and bounds.has_min_max:
                return bool(bounds.min <= episode <= bounds.max)
    return True
