"""Writing of LeRobot datasets 2.1 and 3.0: whole under its name, or not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vla_core.dataset.episode import Episode, Feature


def write_dataset(
    output: Path,
    episodes: Sequence[Episode],
    *,
    version: str,
    fps: float,
    robot_type: str | None,
    features: Mapping[str, Feature],
    extra: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    data_file_mb: int = 100,
    video_file_mb: int = 200,
) -> None:
    """Writes the episodes, in their order, as a dataset.

    Raises:
        DatasetError: The output exists, an episode contradicts itself, or the disk is full.
    """
    raise NotImplementedError
