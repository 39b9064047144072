"""The layout of v3.0: many episodes in a table and in a video; parquet tables about them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from vla_core.dataset.catalogue import (
    EXTRA,
    Entry,
    EpisodeLines,
    count,
    extra_of,
    one_statistics,
    texts,
)
from vla_core.dataset.episode import Clip, Statistics
from vla_core.dataset.info import MAX_COUNT, DatasetInfo, damaged, fill_path
from vla_core.dataset.tables import EpisodeTables, column_names, read_table

TASKS, EPISODES = "meta/tasks.parquet", "meta/episodes"
_STATS = "stats/"


class CatalogueV3:
    """See ``Catalogue``."""

    def __init__(self, root: Path, info: DatasetInfo) -> None:
        self._root, self._info = root, info
        self.tasks = _tasks(root / TASKS)
        self._data = sorted((root / "data").glob("chunk-*/file-*.parquet"))
        self._files = sorted((root / EPISODES).glob("chunk-*/file-*.parquet"))
        self._rows: list[tuple[dict[str, Any], Path]] = []
        needed = ["episode_index", "length", "tasks", "data/chunk_index", "data/file_index"]
        for camera in info.videos:
            head = f"videos/{camera}"
            needed += [f"{head}/{k}" for k in ("chunk_index", "file_index", "from_timestamp")]
        for file in self._files:
            rows = read_table(file, needed).to_pylist()
            self._rows += [(row, file) for row in rows]
        where = root / EPISODES
        self._rows.sort(key=lambda row: count(row[0]["episode_index"], where))
        for place, (row, _) in enumerate(self._rows):
            if row["episode_index"] != place:
                raise damaged(where, f"no episode {place}", "0, 1, 2 ... each once")
        self._tables = EpisodeTables()
        self._extra = EpisodeLines(root / EXTRA)

    def __len__(self) -> int:
        return len(self._rows)

    def entry(self, episode: int) -> Entry:
        """See ``Catalogue``.

        LeRobot 0.4's converter names the file before the right one for the first episode of a
        file, so all other files follow the stated one.
        """
        row, file = self._rows[episode]
        where = f"{file}, episode {episode}"
        length = count(row["length"], f"{where}, length", least=1)
        stated = self._path(self._info.data_path, row, "data", where)
        others = (path for path in self._data if path != stated)
        return Entry(
            length=length,
            tasks=texts(row["tasks"], f"{where}, tasks"),
            files=(*((stated,) if stated.is_file() else ()), *others) or (stated,),
            clips={name: self._clip(name, row, length, where) for name in self._info.videos},
        )

    def stats(self, episode: int) -> Mapping[str, Statistics]:
        """See ``Catalogue``."""
        file = self._rows[episode][1]
        rows = self._tables.rows(file, episode, lambda name: name.startswith(_STATS))
        found: dict[str, dict[str, Any]] = {}
        for column, value in rows.to_pylist()[0].items():
            if column.startswith(_STATS) and value is not None:
                feature, _, key = column.removeprefix(_STATS).rpartition("/")
                found.setdefault(feature, {})[key] = value
        where = f"{file}, episode {episode}"
        return {name: one_statistics(s, f"{where}, {name}") for name, s in found.items()}

    def extra(self, episode: int) -> Mapping[str, Any]:
        """See ``Catalogue``."""
        return extra_of(self._extra.get(episode))

    def _clip(self, camera: str, row: Mapping[str, Any], length: int, where: str) -> Clip:
        start = row[f"videos/{camera}/from_timestamp"]
        if not isinstance(start, float) or not 0 <= start * self._info.fps <= MAX_COUNT:
            raise damaged(f"{where}, from_timestamp of {camera}", start, "seconds from 0")
        pattern = self._info.video_path or ""
        file = self._path(pattern, row, f"videos/{camera}", where, video_key=camera)
        return Clip(file=file, first=round(start * self._info.fps), frames=length)

    def _path(
        self, pattern: str, row: Mapping[str, Any], head: str, where: str, **fields: str
    ) -> Path:
        chunk, file = (
            count(row[f"{head}/{k}_index"], f"{where}, {head}") for k in ("chunk", "file")
        )
        return fill_path(self._root, pattern, chunk_index=chunk, file_index=file, **fields)


def _tasks(file: Path) -> dict[int, str]:
    """The text is the index of the table, under whatever name."""
    names = [name for name in column_names(file) if name != "task_index"]
    table = read_table(file, ["task_index", *names])
    text = next((n for n in names if _is_text(table[n].type)), None)
    if text is None:
        raise damaged(file, names, "a column of task texts beside task_index")
    found = dict(zip(table["task_index"].to_pylist(), table[text].to_pylist(), strict=True))
    if len(found) != table.num_rows:
        raise damaged(file, "a task_index twice", "each once")
    texts(list(found.values()), file)
    return {count(index, file): task for index, task in found.items()}


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
