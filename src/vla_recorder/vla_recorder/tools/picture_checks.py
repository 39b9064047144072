"""Checks of the cameras of one episode, on decoded keyframes.

Shape letters: K keyframes, H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_recorder.tools.number_checks import FROZEN_S, STEP, Motion, Numbers
from vla_recorder.tools.report import WARN, Report

Picture = npt.NDArray[np.uint8]

CELLS = 32  # a side of the small grey picture by which frames are compared
SAME = 1.0  # of 255: what encoding the same picture twice may change in a cell
DARK, BRIGHT = 4.0, 251.0
FEWER = 0.8  # of the pictures that the camera promises
LEAST = 10  # pictures in motion, before a share of them is judged


def thumbnail(picture: Picture) -> npt.NDArray[np.float32]:
    """(H, W, 3) made (CELLS, CELLS), grey: means of cells, so noise of a codec averages out."""
    height, width = picture.shape[:2]
    rows = np.linspace(0, height, min(CELLS, height) + 1).astype(int)[:-1]
    columns = np.linspace(0, width, min(CELLS, width) + 1).astype(int)[:-1]
    sums = np.add.reduceat(picture.mean(axis=2, dtype=np.float32), rows, axis=0)
    sums = np.add.reduceat(sums, columns, axis=1)
    cells = np.diff(np.append(rows, height))[:, None] * np.diff(np.append(columns, width))
    return np.asarray(sums / cells, dtype=np.float32)


class PictureWatch:
    """Sees the keyframes of a clip one after another and keeps only what the checks need."""

    def __init__(self) -> None:
        self.count = 0
        self.changed: list[bool] = []  # between one keyframe and the next
        self.sizes: set[tuple[int, ...]] = set()
        self.blank = 0
        self._last: npt.NDArray[np.float32] | None = None
        self._exact: bytes | None = None
        self._sum = np.zeros(3)
        self._squares = np.zeros(3)

    def see(self, picture: Picture, *, lossless: npt.NDArray[Any] | None = None) -> None:
        """The next keyframe; where it was stored without loss, any change of that is one."""
        self.count += 1
        self.sizes.add(picture.shape)
        small = thumbnail(picture)
        self.blank += bool(small.max() < DARK or small.min() > BRIGHT)
        exact = None if lossless is None else lossless.tobytes()
        if self._last is not None and exact is not None:
            self.changed.append(exact != self._exact)
        elif self._last is not None:
            self.changed.append(bool(np.abs(small - self._last).max() > SAME))
        self._last, self._exact = small, exact
        some = picture[::4, ::4].reshape(-1, picture.shape[2]).astype(np.float64) / 255
        if some.shape[1] == 3:
            self._sum += some.mean(axis=0)
            self._squares += (some**2).mean(axis=0)

    @property
    def mean(self) -> Numbers:
        """(3,), pictures from 0 to 1."""
        return self._sum / max(self.count, 1)

    @property
    def std(self) -> Numbers:
        return np.sqrt(np.maximum(self._squares / max(self.count, 1) - self.mean**2, 0))

    def still(self) -> Iterator[tuple[int, int]]:
        """Pieces (first keyframe, number of them) in which the picture does not change."""
        first = 0
        for at, changed in enumerate([*self.changed, True]):
            if changed:
                if at + 1 - first > 1:
                    yield first, at + 1 - first
                first = at + 1


def check_pictures(
    report: Report,
    episode: int,
    camera: str,
    watch: PictureWatch,
    *,
    rows: npt.NDArray[np.int64],
    motion: Motion,
    fps: float,
    rate_hz: float | None,
) -> None:
    """Judges what was seen of a clip.

    Args:
        rows: (K,) of the episode, for each picture that was seen.
        motion: Of state or action: a camera that shows the robot changes when this does.
        rate_hz: Of the camera; None where no contract says it.
    """
    report.looked_at("pictures", "pictures decoded", watch.count)
    report.looked_at("frozen")
    if watch.blank:
        report.add(
            WARN, "pictures", camera,
            f"{watch.blank} of {watch.count} pictures are black or white",
            advice="look at them: dataset preview", episode=episode,
        )  # fmt: skip
    ends = np.append(rows, len(motion.values))
    for first, count in watch.still():
        start, end = int(ends[first]), int(ends[first + count])
        if (end - start) / fps > FROZEN_S and motion.goes(start, end - start):
            report.add(
                WARN, "frozen", camera,
                f"the same picture for {(end - start) / fps:.2f} s from row {start}"
                " while the robot moves",
                advice="the camera had stopped: delete the episode", episode=episode,
            )  # fmt: skip
            return
    _check_repeats(
        report, episode, camera, watch, rows=rows, motion=motion, fps=fps, rate_hz=rate_hz
    )


def _check_repeats(
    report: Report,
    episode: int,
    camera: str,
    watch: PictureWatch,
    *,
    rows: npt.NDArray[np.int64],
    motion: Motion,
    fps: float,
    rate_hz: float | None,
) -> None:
    """A camera that gives fewer pictures than it promises; without a promise, hardly any."""
    report.looked_at("repeated")
    apart = float(np.diff(rows).mean()) if len(rows) > 1 else 1.0  # rows between pictures
    moving = np.array(watch.changed, dtype=bool)[motion.steps(rows, STEP * apart)]
    if len(moving) < LEAST:
        return
    share = float(moving.mean())
    promised = min(1.0, rate_hz * apart / fps) * FEWER if rate_hz else 1 - FEWER
    if share < promised:
        report.add(
            WARN, "repeated", camera,
            f"only {share:.0%} of the pictures in motion differ from the one before",
            advice=f"at {rate_hz:g} Hz more than {promised:.0%} should" if rate_hz else "",
            episode=episode,
        )  # fmt: skip
