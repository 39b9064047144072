"""An episode in a file of another format: what every importer makes.

Shape letters: H height, W width, D dimensions of a feature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_core.compressed_images import COLOUR_MODES, decompress
from vla_core.dataset.episode import Feature
from vla_core.errors import CodecError, VlaError

MAX_ROWS = 1_000_000  # of one episode
MAX_TEXT = 1000  # characters of a task
MAGIC = {b"\xff\xd8\xff": "jpeg", b"\x89PNG": "png"}

Pixels = npt.NDArray[np.uint8]
Depth = npt.NDArray[np.uint16]
Vector = npt.NDArray[np.float32]


class ImportFileError(VlaError):
    """A file of another format that cannot be imported."""

    code = "IMPORT"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """One row of an episode.

    Attributes:
        row: (D,) float32 of each feature that is no picture.
        pictures: (H, W, 3) uint8 RGB, or (H, W) uint16 depth in millimetres, of each other one.
        task: What the robot was told.
    """

    row: Mapping[str, Vector]
    pictures: Mapping[str, Pixels | Depth]
    task: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """One episode, not read yet.

    Attributes:
        name: File, and the place in it.
        robot_type: As info.json has it.
        fps: The rate that recordings of this format have; no file states its own.
        features: Of every frame, in order.
        frames: Reads the episode from its start, one frame in memory at a time; raises
            `ImportFileError` where it is damaged.
        extra: What else is known of it, as JSON has it.
    """

    name: str
    robot_type: str
    fps: float
    features: Mapping[str, Feature]
    frames: Callable[[], Iterator[Frame]]
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Episodes that cannot be imported.

    Attributes:
        where: File, and the place in it.
        what: The reason.
        episodes: How many; None where nobody can know.
    """

    where: str
    what: str
    episodes: int | None = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What the files do not say themselves.

    Attributes:
        task: Text for every episode, in the place of its own; None keeps that.
        swap_red_blue: The pictures have red and blue exchanged.
        base: Whether the velocities of a mobile base belong to the action.
    """

    task: str | None = None
    swap_red_blue: bool = False
    base: bool = True


Found = Iterator[Recording | Loss]


def vector(names: tuple[str, ...]) -> Feature:
    """The feature of (D,) float32."""
    return Feature(dtype="float32", shape=(len(names),), names=names)


def video(height: int, width: int) -> Feature:
    """The feature of RGB pictures."""
    return Feature(dtype="video", shape=(height, width, 3), names=("height", "width", "channels"))


def finite(values: npt.NDArray[Any], where: str) -> Vector:
    """The values as float32.

    Raises:
        ImportFileError: One is not finite, or not so in float32.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        found = values.astype(np.float32)
    if not np.isfinite(found).all():
        raise ImportFileError(
            "numbers that are not finite", where=where, found=values.tolist(), allowed="float32"
        )
    return found


def picture(data: bytes | memoryview, size: tuple[int, int] | None, where: str) -> Pixels:
    """Decompresses a JPEG or PNG.

    Args:
        data: The file, nothing after it.
        size: (H, W) that it must have; None: any.
        where: Place for the error.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImportFileError: Another kind or size, or damaged data.
    """
    start = bytes(data[:8])
    codec = next((codec for magic, codec in MAGIC.items() if start.startswith(magic)), "")
    if not codec:
        raise ImportFileError(
            "a picture is of an unknown kind",
            where=where,
            found=start,
            allowed="JPEG, PNG",
        )
    expected = (None, None) if size is None else (size[1], size[0])
    try:
        found = decompress(np.frombuffer(data, np.uint8), codec, COLOUR_MODES, expected, where)
    except CodecError as error:
        raise ImportFileError(
            error.what, where=where, found=error.found, allowed=error.allowed
        ) from error
    return np.asarray(found, np.uint8)


def colours(pixels: Pixels, options: ReadOptions) -> Pixels:
    """(H, W, 3) contiguous, red first."""
    return np.ascontiguousarray(pixels[:, :, ::-1] if options.swap_red_blue else pixels)


def task_text(own: str, options: ReadOptions, where: str) -> str:
    """The task of an episode: the user's word, else the file's.

    Raises:
        ImportFileError: There is none, or it cannot be one.
    """
    text = options.task if options.task is not None else own
    if not text or len(text) > MAX_TEXT or not text.isprintable():
        raise ImportFileError(
            "an episode without a task text",
            where=where,
            found=text,
            allowed=f"one line of at most {MAX_TEXT} characters",
            fix='give one for all episodes: --task "..."',
        )
    return text
