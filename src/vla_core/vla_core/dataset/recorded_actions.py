"""The actions of one recorded episode, from a LeRobot dataset on this machine.

Shape letters: T recorded frames, A action dimension.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vla_core.dataset.columns import numbers
from vla_core.dataset.info import DatasetError, damaged
from vla_core.dataset.read import read_columns
from vla_core.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedActions:
    """One episode.

    Attributes:
        fps: Frames per second.
        names: The A names of the action, in the dataset's order.
        actions: (T, A) float64, as recorded; finite.
    """

    fps: float
    names: tuple[str, ...]
    actions: FloatArray


def read_actions(root: Path, episode: int) -> RecordedActions:
    """The actions of one episode.

    Args:
        root: The folder that holds ``meta/info.json``.
        episode: Its index, from 0.

    Raises:
        DatasetError: No such dataset or episode, another format, damaged or nameless actions.
    """
    info, table = read_columns(root, episode, ["action"])
    feature = info.features["action"]
    names = feature.names or ()
    if (len(names),) != feature.shape or len(set(names)) != len(names):
        raise DatasetError(
            "the actions of the dataset have no names",
            where=f"{root / 'meta' / 'info.json'}, features.action.names",
            found=feature.names,
            allowed="one name for each dimension, all different",
            fix="write them into info.json if you know them for certain",
        )
    actions = numbers(table["action"], feature).astype(np.float64)
    if not np.isfinite(actions).all():
        raise damaged(f"{root}, episode {episode}, action", "values that are not finite", "finite")
    return RecordedActions(fps=info.fps, names=names, actions=actions)
