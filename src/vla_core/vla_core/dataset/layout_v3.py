"""The layout of v3.0: many episodes in a table and in a video; parquet tables about them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vla_core.dataset.catalogue_v3 import EPISODES, TASKS
from vla_core.dataset.columns import columns, numbers
from vla_core.dataset.episode import Clip, Feature
from vla_core.dataset.files import write_text
from vla_core.dataset.info import NUMBERS, PICTURES, STANDARD, DatasetInfo, fill_path
from vla_core.dataset.joining import store
from vla_core.dataset.layout import CHUNK, ROWS, Written, group_rows
from vla_core.dataset.statistics import PLAIN, QUANTILES, Aggregate, quantiles, stats_json
from vla_core.dataset.tables import read_table
from vla_core.dataset.video import facts

_MIB = 1 << 20
_MAX_VIDEO_S = 1000  # LeRobot looks frames up by float32 seconds, to 0.1 ms
_EPISODES = 1000  # rows per row group of the table about episodes
_STATS_PATH = "meta/stats.json"
_FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"


class LayoutV3:
    """See ``Layout``.

    Args:
        root: The folder to fill.
        info: Its head.
        data_file_mb: Size from which a new table is begun, MiB.
        video_file_mb: The same of videos.
    """

    def __init__(
        self, root: Path, info: DatasetInfo, *, data_file_mb: float, video_file_mb: float
    ) -> None:
        self._root, self._info = root, info
        self._sizes = {
            "data_files_size_in_mb": data_file_mb,
            "video_files_size_in_mb": video_file_mb,
        }
        self._data = _Tables(root, info.data_path, data_file_mb * _MIB)
        self._about = _Tables(root, f"{EPISODES}/{_FILE}.parquet", data_file_mb * _MIB)
        self._videos = {
            name: _Videos(root, info, name, video_file_mb * _MIB) for name in info.videos
        }
        self._schema = _episode_schema(info)
        self._rows: list[dict[str, Any]] = []
        self._whole = Aggregate()

    def add(self, episode: Written) -> None:
        """See ``Layout``."""
        length = episode.table.num_rows
        number = self._data.write(episode.table, group_rows=_data_rows(episode.table))
        row: dict[str, Any] = {
            "episode_index": episode.index,
            "tasks": list(episode.tasks),
            "length": length,
            "data/chunk_index": number // CHUNK,
            "data/file_index": number % CHUNK,
            "dataset_from_index": episode.start,
            "dataset_to_index": episode.start + length,
        }
        for name, videos in self._videos.items():
            row |= videos.add(episode.clips[name])
        for name, stats in episode.stats.items():
            for key, value in stats_json(stats, (*PLAIN, *QUANTILES)).items():
                row[f"stats/{name}/{key}"] = value
        self._rows.append(row)
        self._whole.add(episode.stats)
        if len(self._rows) == _EPISODES:
            self._flush()

    def finish(self, tasks: Mapping[str, int]) -> tuple[dict[str, int], Mapping[str, int | float]]:
        """See ``Layout``."""
        self._flush()
        self._about.close()
        self._data.close()
        for videos in self._videos.values():
            videos.close()
        pq.write_table(_task_table(tasks), self._root / TASKS)
        stats = self._whole.result()
        described = {**columns(self._info.features), **STANDARD}
        for name, feature in described.items():
            if feature.dtype in NUMBERS:
                stats[name] = {**stats[name], **quantiles(self._column(name, feature))}
        found = {name: stats_json(one, (*PLAIN, *QUANTILES)) for name, one in stats.items()}
        write_text(self._root / _STATS_PATH, json.dumps(found, indent=4, ensure_ascii=False))
        return {"total_tasks": len(tasks)}, self._sizes

    def _flush(self) -> None:
        """Writes the rows about episodes, which say in which file they are themselves."""
        if not self._rows:
            return
        number = self._about.next(len(self._rows))
        for row in self._rows:
            row["meta/episodes/chunk_index"] = number // CHUNK
            row["meta/episodes/file_index"] = number % CHUNK
        self._about.write(pa.Table.from_pylist(self._rows, self._known()), group_rows=_EPISODES)
        self._rows.clear()

    def _known(self) -> pa.Schema:
        """The schema, where all rows are there without the columns that none of them has."""
        if self._info.total_episodes > len(self._rows):
            return self._schema
        names = set().union(*self._rows)
        return pa.schema([field for field in self._schema if field.name in names])

    def _column(self, name: str, feature: Feature) -> Any:
        """(T of all episodes, *shape) One column of what was written."""
        files = sorted((self._root / "data").glob("chunk-*/file-*.parquet"))
        parts = [numbers(read_table(file, [name])[name], feature) for file in files]
        return np.concatenate(parts)


class _Tables:
    """Parquet files, of which a new one is begun when the next rows would make one too large."""

    def __init__(self, root: Path, pattern: str, limit_bytes: float) -> None:
        self._root, self._pattern, self._limit = root, pattern, limit_bytes
        self._number, self._rows = -1, 0
        self._writer: pq.ParquetWriter | None = None
        self._file: Any = None

    def next(self, rows: int) -> int:
        """The number of the file into which the next rows go."""
        size = self._file.tell() if self._writer else self._limit
        per_row = size / self._rows if self._rows else 0
        return self._number + (size + per_row * rows >= self._limit)

    def write(self, table: pa.Table, *, group_rows: int) -> int:
        """Writes rows; returns the number of their file."""
        number = self.next(table.num_rows)
        if number != self._number:
            self.close()
            self._number, self._rows = number, 0
            path = _numbered(self._root, self._pattern, number)
            self._file = path.open("wb")
            self._writer = pq.ParquetWriter(self._file, table.schema)
        if self._writer is not None:
            self._writer.write_table(table, row_group_size=group_rows)
        self._rows += table.num_rows
        return number

    def close(self) -> None:
        """Ends the open file."""
        if self._writer is not None:
            self._writer.close()
            self._file.close()
            self._writer = None


class _Videos:
    """The files of one camera; a new one is begun where encodings differ, too."""

    def __init__(self, root: Path, info: DatasetInfo, camera: str, limit_bytes: float) -> None:
        self._root, self._info, self._camera = root, info, camera
        self._limit = limit_bytes
        self._number = 0
        self._clips: list[Clip] = []
        self._frames, self._bytes = 0, 0.0
        self._stream: object = None

    def add(self, clip: Clip) -> dict[str, int | float]:
        """Takes a clip; returns where it will be, as the table about episodes says it."""
        found = facts(clip.file)
        size = clip.file.stat().st_size * clip.frames / found.frames
        frames = self._frames + clip.frames
        if self._clips and (
            found.stream != self._stream
            or self._bytes + size >= self._limit
            or frames > _MAX_VIDEO_S * self._info.fps
        ):
            self.close()
            self._number += 1
        self._stream = found.stream
        start, fps = self._frames, self._info.fps
        self._clips.append(clip)
        self._frames += clip.frames
        self._bytes += size
        head = f"videos/{self._camera}"
        return {
            f"{head}/chunk_index": self._number // CHUNK,
            f"{head}/file_index": self._number % CHUNK,
            f"{head}/from_timestamp": start / fps,
            f"{head}/to_timestamp": (start + clip.frames) / fps,
        }

    def close(self) -> None:
        """Writes the file of the clips that were taken."""
        pattern = self._info.video_path or ""
        target = _numbered(self._root, pattern, self._number, video_key=self._camera)
        store(self._clips, target, fps=self._info.fps)
        self._clips, self._frames, self._bytes = [], 0, 0.0


def _episode_schema(info: DatasetInfo) -> pa.Schema:
    """Of the table about episodes; quantiles of pictures may be null."""
    index, second, text = pa.int64(), pa.float64(), pa.list_(pa.string())
    kinds = {"episode_index": index, "tasks": text, "length": index}
    kinds |= {f"data/{key}_index": index for key in ("chunk", "file")}
    kinds |= {f"dataset_{key}_index": index for key in ("from", "to")}
    for name in info.videos:
        kinds |= {f"videos/{name}/{key}_index": index for key in ("chunk", "file")}
        kinds |= {f"videos/{name}/{key}_timestamp": second for key in ("from", "to")}
    for name, feature in {**info.features, **STANDARD}.items():
        if feature.dtype in (*NUMBERS, *PICTURES):
            kinds |= {f"stats/{name}/{k}": _kind(feature, k) for k in (*PLAIN, *QUANTILES)}
    kinds |= {f"meta/episodes/{key}_index": index for key in ("chunk", "file")}
    return pa.schema(list(kinds.items()))


def _kind(feature: Feature, key: str) -> pa.DataType:
    """Of a statistic: lists as deep as the feature's shape."""
    if key == "count":
        return pa.list_(pa.int64())
    kind = pa.float64()
    if key in ("min", "max") and feature.dtype in NUMBERS and "float" not in feature.dtype:
        kind = pa.bool_() if feature.dtype == "bool" else pa.int64()
    for _ in feature.shape:
        kind = pa.list_(kind)
    return kind


def _data_rows(table: pa.Table) -> int:
    """LeRobot writes a row group per episode; with pictures that is too much for the memory."""
    rows = group_rows(table)
    return max(rows, table.num_rows) if rows == ROWS else rows


def _numbered(root: Path, pattern: str, number: int, **fields: str) -> Path:
    chunk, file = divmod(number, CHUNK)
    path = fill_path(root, pattern, chunk_index=chunk, file_index=file, **fields)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _task_table(tasks: Mapping[str, int]) -> pa.Table:
    """A table of pandas whose index is the text of the task."""
    name = "__index_level_0__"
    described = {
        "index_columns": [name],
        "column_indexes": [
            {
                "name": None,
                "field_name": None,
                "pandas_type": "unicode",
                "numpy_type": "object",
                "metadata": {"encoding": "UTF-8"},
            }
        ],
        "columns": [
            _pandas("task_index", "task_index", "int64", "int64"),
            _pandas(None, name, "unicode", "object"),
        ],
        "attributes": {},
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.2.3",
    }
    schema = pa.schema(
        [("task_index", pa.int64()), (name, pa.large_string())],
        metadata={"pandas": json.dumps(described)},
    )
    return pa.table([list(tasks.values()), list(tasks)], schema=schema)


def _pandas(name: str | None, field: str, pandas: str, numpy: str) -> dict[str, object]:
    found = {"name": name, "field_name": field, "pandas_type": pandas, "numpy_type": numpy}
    return {**found, "metadata": None}
