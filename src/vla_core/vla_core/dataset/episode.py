"""One recorded episode, wherever it lies: in a dataset of any version, or finished beside one.

Everything that makes or changes datasets (conversion, import, merging, splitting, another version)
is: get episodes, choose among them, write a dataset of them.

Shape letters: T rows of the episode, D dimensions of a feature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pyarrow as pa

Statistics = Mapping[str, npt.NDArray[Any]]
"""``min``, ``max``, ``mean``, ``std``, ``count``, ``q01`` ... of a feature, LeRobot's shapes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One column or camera, as ``info.json`` describes it.

    Attributes:
        dtype: ``float32``, ``float64``, ``int64``, ``bool``, ``string``, ``image`` or ``video``.
        shape: Of one row; pictures (height, width, channels).
        names: Of the dimensions; None where they have none.
        video: LeRobot's ``info`` block of a video, empty for all else.
    """

    dtype: str
    shape: tuple[int, ...]
    names: tuple[str, ...] | None = None
    video: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """The frames of one camera of one episode: a piece of a video file.

    Attributes:
        file: The video.
        first: Index of the first frame in the file.
        frames: How many.
    """

    file: Path
    first: int
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Episode:
    """An episode that is complete on disk.

    Attributes:
        length: T.
        tasks: Task texts of the episode, each once, in the order of their first row.
        clips: By camera feature; each has T frames.
        stats: By feature; what has none lacks.
        read: Gives the table: T rows, one column per feature that is no video and none of the
            five that every dataset has (``timestamp``, ``frame_index``, ``episode_index``,
            ``index``, ``task_index``), and ``task``, the text of the row. Vectors are
            fixed-size lists, pictures a struct of ``bytes`` and ``path``.
        extra: What else is known of it (source bag, label, losses), as JSON has it.
    """

    length: int
    tasks: tuple[str, ...]
    clips: Mapping[str, Clip]
    stats: Mapping[str, Statistics]
    read: Callable[[], pa.Table]
    extra: Mapping[str, Any] = field(default_factory=dict)
