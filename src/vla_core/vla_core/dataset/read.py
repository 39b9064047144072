"""LeRobot datasets of the versions 2.0, 2.1 and 3.0, as episodes.

Shape letters: T rows of an episode.

Source: https://github.com/huggingface/lerobot, src/lerobot/datasets (0.3.3: v2, 0.4.4: v3.0).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vla_core.dataset.catalogue import Catalogue, Entry
from vla_core.dataset.catalogue_v2 import CatalogueV2
from vla_core.dataset.catalogue_v3 import CatalogueV3
from vla_core.dataset.columns import TASK, columns, conform
from vla_core.dataset.episode import Episode, Statistics
from vla_core.dataset.histograms import HISTOGRAMS, read_histograms, with_histogram
from vla_core.dataset.info import PICTURES, DatasetError, DatasetInfo, damaged, read_info
from vla_core.dataset.statistics import HISTOGRAM
from vla_core.dataset.tables import EpisodeTables

_INDICES = ("episode_index", "frame_index", "task_index")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """A dataset on this machine.

    Attributes:
        root: The folder that holds ``meta/info.json``.
        info: Its head.
        tasks: Task texts by task index.
        episodes: Each is looked up when it is asked for; its table and its videos are read when
            they are. Statistics of pictures that cannot be trusted are left out (LeRobot 0.4
            computed them with numbers that overflow).
    """

    root: Path
    info: DatasetInfo
    tasks: Mapping[int, str]
    episodes: Sequence[Episode]


def open_dataset(root: Path) -> Dataset:
    """Opens a dataset.

    Raises:
        DatasetError: None is there, it is damaged, or it is not what it says.
    """
    source = _Source(root)
    episodes = _Episodes(source)
    return Dataset(root=root, info=source.info, tasks=source.catalogue.tasks, episodes=episodes)


def read_columns(root: Path, episode: int, names: Sequence[str]) -> tuple[DatasetInfo, pa.Table]:
    """Some columns of one episode, and the head of its dataset.

    Raises:
        DatasetError: As ``open_dataset``; or there is no such episode.
    """
    source = _Source(root)
    if missing := set(names) - columns(source.info.features).keys():
        raise damaged(root, f"no {', '.join(sorted(missing))}", "features that are in the table")
    return source.info, source.table(episode, source.entry(episode), names)


class _Source:
    """What an episode needs to read itself."""

    def __init__(self, root: Path) -> None:
        self.root, self.info = root, read_info(root)
        kind = CatalogueV3 if self.info.version == "v3.0" else CatalogueV2
        self.catalogue: Catalogue = kind(root, self.info)
        self._tables = EpisodeTables()
        self._histograms = EpisodeTables()
        if len(self.catalogue) != self.info.total_episodes:
            found = f"{len(self.catalogue)} episodes"
            raise damaged(root / "meta", found, f"{self.info.total_episodes}, as info.json says")

    def entry(self, episode: int) -> Entry:
        if not 0 <= episode < len(self.catalogue):
            raise DatasetError(
                "no such episode",
                where=str(self.root),
                found=episode,
                allowed=f"0 to {len(self.catalogue) - 1}",
            )
        return self.catalogue.entry(episode)

    def episode(self, index: int) -> Episode:
        entry = self.entry(index)
        names = list(columns(self.info.features))
        return Episode(
            length=entry.length,
            tasks=entry.tasks,
            clips=entry.clips,
            stats=_Statistics(lambda: self._statistics(index)),
            read=lambda: self.table(index, entry, names),
            extra=self.catalogue.extra(index),
        )

    def table(self, index: int, entry: Entry, names: Sequence[str]) -> pa.Table:
        """(T rows) The named columns and ``task``."""
        where = f"{self.root}, episode {index}"
        wanted = {*names, *_INDICES}
        found = 0
        for file in entry.files:
            rows = self._tables.rows(file, index, wanted.__contains__, [*names, *_INDICES])
            if rows.num_rows == entry.length:
                arrays = [
                    conform(rows[name], self.info.features[name], f"{where}, {name}")
                    for name in names
                ]
                return pa.table([*arrays, self._tasks(rows, where)], names=[*names, TASK])
            found = max(found, rows.num_rows)
        raise damaged(where, f"{found} rows", f"{entry.length}, as the episode's metadata say")

    def _tasks(self, rows: pa.Table, where: str) -> pa.Array:
        for name in ("frame_index", "task_index"):
            if not pa.types.is_integer(rows[name].type) or rows[name].null_count:
                raise damaged(f"{where}, {name}", rows[name].type, "whole numbers")
        if not np.array_equal(rows["frame_index"].to_numpy(), np.arange(rows.num_rows)):
            raise damaged(where, "frame_index out of order", "0, 1, 2 ...")
        known = pa.array(list(self.catalogue.tasks), pa.int64())
        texts = pa.array(list(self.catalogue.tasks.values()), pa.string())
        places = pc.index_in(rows["task_index"].cast(pa.int64()), known).combine_chunks()
        if places.null_count:
            raise damaged(f"{where}, task_index", "a task without text", f"{len(known)} tasks")
        return texts.take(places)

    def _statistics(self, index: int) -> dict[str, Statistics]:
        stats = dict(self.catalogue.stats(index))
        histograms = read_histograms(self.root / HISTOGRAMS, index, self._histograms)
        pictures = [k for k, f in self.info.features.items() if f.dtype in PICTURES and k in stats]
        for name in pictures:
            if name in histograms:
                stats[name] = with_histogram(stats[name], histograms[name])
            if "q01" in stats[name] and HISTOGRAM not in stats[name]:
                del stats[name]
        return stats


class _Statistics(Mapping[str, Statistics]):
    """Read when they are asked for: lengths and tasks of a large dataset are known at once."""

    def __init__(self, read: Callable[[], dict[str, Statistics]]) -> None:
        self._read = read
        self._found: dict[str, Statistics] | None = None

    def _all(self) -> dict[str, Statistics]:
        if self._found is None:
            self._found = self._read()
        return self._found

    def __getitem__(self, name: str) -> Statistics:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


class _Episodes(Sequence[Episode]):
    def __init__(self, source: _Source) -> None:
        self._source = source

    def __len__(self) -> int:
        return len(self._source.catalogue)

    @overload
    def __getitem__(self, index: int) -> Episode: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Episode]: ...
    def __getitem__(self, index: int | slice) -> Episode | Sequence[Episode]:
        if isinstance(index, slice):
            return [self._source.episode(i) for i in range(len(self))[index]]
        return self._source.episode(range(len(self))[index])
