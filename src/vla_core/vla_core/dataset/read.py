"""LeRobot datasets of the versions 2.0, 2.1 and 3.0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vla_core.dataset.episode import Episode
from vla_core.dataset.info import DatasetInfo


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """A dataset on this machine.

    Attributes:
        root: The folder that holds ``meta/info.json``.
        info: Its head.
        tasks: All task texts, by task index.
        episodes: Each is looked up when it is asked for.
    """

    root: Path
    info: DatasetInfo
    tasks: Sequence[str]
    episodes: Sequence[Episode]


def open_dataset(root: Path) -> Dataset:
    """Opens a dataset; tables and videos are read when they are asked for.

    Raises:
        DatasetError: None is there, it is damaged, or it is not what it says.
    """
    raise NotImplementedError
