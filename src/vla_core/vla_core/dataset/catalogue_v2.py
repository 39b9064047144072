"""The layout of v2.0 and v2.1: a table and a video per camera for each episode; JSON lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vla_core.dataset.catalogue import (
    EXTRA,
    Entry,
    EpisodeLines,
    count,
    extra_of,
    json_lines,
    statistics,
    texts,
)
from vla_core.dataset.episode import Clip, Statistics
from vla_core.dataset.info import DatasetInfo, damaged, fill_path

TASKS, EPISODES, STATS = "meta/tasks.jsonl", "meta/episodes.jsonl", "meta/episodes_stats.jsonl"


class CatalogueV2:
    """See ``Catalogue``."""

    def __init__(self, root: Path, info: DatasetInfo) -> None:
        self._root, self._info = root, info
        self.tasks: dict[int, str] = {}
        for _, entry in json_lines(root / TASKS):
            index = count(entry.get("task_index"), root / TASKS)
            (text,) = texts([entry.get("task")], root / TASKS)
            if index in self.tasks:
                raise damaged(root / TASKS, f"task_index {index} twice", "each once")
            self.tasks[index] = text
        self._episodes = [entry for _, entry in json_lines(root / EPISODES)]
        self._episodes.sort(key=lambda entry: count(entry.get("episode_index"), root / EPISODES))
        for place, entry in enumerate(self._episodes):
            if entry["episode_index"] != place:
                raise damaged(root / EPISODES, f"no episode {place}", "0, 1, 2 ... each once")
        self._stats = EpisodeLines(root / STATS)
        self._extra = EpisodeLines(root / EXTRA)

    def __len__(self) -> int:
        return len(self._episodes)

    def entry(self, episode: int) -> Entry:
        """See ``Catalogue``."""
        found = self._episodes[episode]
        where = f"{self._root / EPISODES}, episode {episode}"
        length = count(found.get("length"), f"{where}, length", least=1)
        return Entry(
            length=length,
            tasks=texts(found.get("tasks"), f"{where}, tasks"),
            files=(self._path(self._info.data_path, episode),),
            clips={
                name: Clip(
                    file=self._path(self._info.video_path or "", episode, video_key=name),
                    first=0,
                    frames=length,
                )
                for name in self._info.videos
            },
        )

    def stats(self, episode: int) -> Mapping[str, Statistics]:
        """See ``Catalogue``."""
        found = self._stats.get(episode).get("stats", {})
        if not isinstance(found, dict):
            raise damaged(self._root / STATS, type(found).__name__, "statistics by feature")
        return statistics(found, f"{self._root / STATS}, episode {episode}")

    def extra(self, episode: int) -> Mapping[str, Any]:
        """See ``Catalogue``."""
        return extra_of(self._extra.get(episode))

    def _path(self, pattern: str, episode: int, **fields: str) -> Path:
        chunk = episode // self._info.chunks_size
        return fill_path(self._root, pattern, episode_chunk=chunk, episode_index=episode, **fields)
