"""Histograms of pictures beside a dataset, for exact quantiles when datasets are merged or cut.

Readers of LeRobot do not know this file and need not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vla_core.dataset.episode import Statistics
from vla_core.dataset.info import damaged
from vla_core.dataset.statistics import HISTOGRAM, Histogram, histogram_statistics
from vla_core.dataset.tables import EpisodeTables

HISTOGRAMS = "meta/histograms.parquet"
_ROWS = 64  # per row group
_LEVELS = (256, 65536)
_SCHEMA = pa.schema(
    [
        ("episode_index", pa.int64()),
        ("feature", pa.string()),
        ("levels", pa.int64()),
        ("counts", pa.list_(pa.int64())),
    ]
)


class HistogramWriter:
    """Writes one row per episode and camera; where there are none, no file.

    Args:
        file: The parquet file; its folder exists.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[dict[str, object]] = []

    def add(self, episode: int, stats: Mapping[str, Statistics]) -> None:
        """Adds the histograms that the statistics have."""
        for name, one in stats.items():
            if (found := one.get(HISTOGRAM)) is not None:
                values = (episode, name, found.shape[1], found.ravel())
                self._waiting.append(dict(zip(_SCHEMA.names, values, strict=True)))
        if len(self._waiting) >= _ROWS:
            self._flush()

    def close(self) -> None:
        """Ends the file."""
        self._flush()
        if self._writer is not None:
            self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            self._writer = self._writer or pq.ParquetWriter(self._file, _SCHEMA)
            self._writer.write_table(pa.Table.from_pylist(self._waiting, _SCHEMA))
            self._waiting.clear()


def read_histograms(file: Path, episode: int, tables: EpisodeTables) -> dict[str, Histogram]:
    """The histograms (C, L) of one episode by camera; none where there is no file."""
    if not file.is_file():
        return {}
    found = {}
    for row in tables.rows(file, episode, lambda _: True, _SCHEMA.names).to_pylist():
        levels, counts = row["levels"], row["counts"]
        if levels not in _LEVELS or not counts or len(counts) % levels or min(counts) < 0:
            raise damaged(file, f"{levels} levels", f"{_LEVELS} levels, whole histograms")
        found[str(row["feature"])] = np.array(counts, dtype=np.int64).reshape(-1, levels)
    return found


def with_histogram(stats: Statistics, histogram: Histogram) -> Statistics:
    """All statistics of the histogram, unless another program has changed the others since."""
    whole = histogram_statistics(histogram, int(stats["count"][0]))
    same = all(
        np.shape(stats[key]) == whole[key].shape and np.allclose(stats[key], whole[key], atol=1e-9)
        for key in ("min", "max", "mean", "std")
    )
    return whole if same else stats
