"""Histograms of pictures beside a dataset, for exact quantiles when datasets are merged or cut.

Readers of LeRobot do not know this file and need not.
"""

from __future__ import annotations

from collections.abc import Iterable
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


def write_histograms(file: Path, rows: Iterable[tuple[int, str, Histogram]]) -> None:
    """Writes one row per episode and camera; where there are none, no file."""
    writer: pq.ParquetWriter | None = None
    waiting: list[dict[str, object]] = []
    try:
        for episode, name, found in rows:
            writer = writer or pq.ParquetWriter(file, _SCHEMA)
            values = (episode, name, found.shape[1], found.ravel())
            waiting.append(dict(zip(_SCHEMA.names, values, strict=True)))
            if len(waiting) == _ROWS:
                writer.write_table(pa.Table.from_pylist(waiting, _SCHEMA))
                waiting.clear()
        if writer is not None and waiting:
            writer.write_table(pa.Table.from_pylist(waiting, _SCHEMA))
    finally:
        if writer is not None:
            writer.close()


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
    """The statistics with the histogram, unless another program has changed them since."""
    whole = histogram_statistics(histogram, int(stats["count"][0]))
    same = all(
        np.shape(stats[key]) == whole[key].shape and np.allclose(stats[key], whole[key], atol=1e-9)
        for key in ("min", "max", "mean", "std")
    )
    return {**stats, HISTOGRAM: histogram} if same else stats
