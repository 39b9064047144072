"""Small episodes with every kind of feature, for the tests of datasets."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_core.dataset.encoding import Encoding
from vla_core.dataset.episode import Episode, Feature
from vla_core.dataset.staging import EpisodeWriter

FPS = 30.0
TOP, WRIST, DEPTH = "observation.images.top", "observation.images.wrist", "observation.depth.top"
_PICTURE = ("height", "width", "channels")
FEATURES = {
    "observation.state": Feature(dtype="float32", shape=(3,), names=("a", "b", "c")),
    "action": Feature(dtype="float32", shape=(3,), names=("a", "b", "c")),
    TOP: Feature(dtype="video", shape=(48, 64, 3), names=_PICTURE),
    WRIST: Feature(dtype="video", shape=(32, 32, 3), names=_PICTURE),
    DEPTH: Feature(dtype="image", shape=(24, 32, 1), names=_PICTURE),
    "force": Feature(dtype="float64", shape=(1,), names=("z",)),
    "grid": Feature(dtype="float32", shape=(2, 3)),
    "next.done": Feature(dtype="bool", shape=(1,)),
    "count": Feature(dtype="int64", shape=(2,)),
    "note": Feature(dtype="string", shape=(1,)),
}


def row(number: int, length: int, seed: int = 0) -> dict[str, Any]:
    """The values of one row; every row differs."""
    rng = np.random.default_rng((seed, number))
    return {
        "observation.state": rng.normal(size=3).astype(np.float32),
        "action": rng.normal(size=3).astype(np.float32),
        "force": rng.normal(),
        "grid": rng.normal(size=(2, 3)).astype(np.float32),
        "next.done": number == length - 1,
        "count": np.array([number, seed]),
        "note": f"row {number} of {seed}",
    }


def grey(number: int, seed: int = 0) -> int:
    """The level of a whole picture: neighbours differ by far more than encoding changes them."""
    return (40 * number + 90 * seed) % 240


def pictures(number: int, seed: int = 0) -> dict[str, npt.NDArray[Any]]:
    """The cameras of one row."""
    rng = np.random.default_rng((seed, number))
    level = grey(number, seed)
    return {
        TOP: np.full((48, 64, 3), level, np.uint8),
        WRIST: np.full((32, 32, 3), 240 - level, np.uint8),
        DEPTH: rng.integers(0, 65536, (24, 32), dtype=np.uint16),
    }


def write_episode(
    folder: Path,
    length: int,
    *,
    seed: int = 0,
    tasks: Sequence[str] = ("pick",),
    encoding: Encoding | None = None,
) -> Episode:
    """A staged episode; the tasks share its rows."""
    writer = EpisodeWriter(folder, features=FEATURES, fps=FPS, encoding=encoding or Encoding())
    with writer:
        for n in range(length):
            task = tasks[n * len(tasks) // length]
            writer.add(row(n, length, seed), pictures(n, seed), task)
        return writer.commit({"bag": f"bag_{seed}"})


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@contextmanager
def file_size_limit(limit_bytes: int) -> Iterator[None]:
    """No file grows beyond this: writing fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
