"""The layout of v2.1: a table and a video per camera for each episode; JSON lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from vla_core.dataset.catalogue_v2 import EPISODES, STATS, TASKS
from vla_core.dataset.info import DatasetInfo, fill_path
from vla_core.dataset.joining import store
from vla_core.dataset.layout import CHUNK, Written, group_rows
from vla_core.dataset.statistics import PLAIN, stats_json


class LayoutV2:
    """See ``Layout``."""

    def __init__(self, root: Path, info: DatasetInfo) -> None:
        self._root, self._info = root, info
        self._episodes = 0

    def add(self, episode: Written) -> None:
        """See ``Layout``."""
        file = self._path(self._info.data_path, episode.index)
        pq.write_table(episode.table, file, row_group_size=group_rows(episode.table))
        for name in self._info.videos:
            target = self._path(self._info.video_path or "", episode.index, video_key=name)
            store([episode.clips[name]], target, fps=self._info.fps)
        length = episode.table.num_rows
        head = {"episode_index": episode.index}
        self._append(EPISODES, {**head, "tasks": list(episode.tasks), "length": length})
        stats = {name: stats_json(one, PLAIN) for name, one in episode.stats.items()}
        self._append(STATS, {**head, "stats": stats})
        self._episodes += 1

    def finish(self, tasks: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int | float]]:
        """See ``Layout``."""
        for text, index in tasks.items():
            self._append(TASKS, {"task_index": index, "task": text})
        totals = {
            "total_tasks": len(tasks),
            "total_videos": self._episodes * len(self._info.videos),
            "total_chunks": -(-self._episodes // CHUNK),
        }
        return totals, {}

    def _append(self, name: str, line: Mapping[str, Any]) -> None:
        with (self._root / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _path(self, pattern: str, episode: int, **fields: str) -> Path:
        chunk = episode // CHUNK
        path = fill_path(self._root, pattern, episode_chunk=chunk, episode_index=episode, **fields)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
