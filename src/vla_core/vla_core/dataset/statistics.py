"""Statistics of episodes and of whole datasets, in the shapes that LeRobot gives them.

Numbers are taken from all rows; pictures from the frames and pixels that LeRobot samples, as
histograms, so that every quantile is exact. All sums are float64.

Shape letters: T rows, D dimensions of a feature, C channels, L levels (256, or 65536 of depth).

Source: https://github.com/huggingface/lerobot, lerobot/datasets/compute_stats.py (0.3.3, 0.4.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vla_core.dataset.columns import numbers, stored_picture
from vla_core.dataset.episode import Clip, Feature, Statistics
from vla_core.dataset.info import NUMBERS
from vla_core.dataset.video import decode_some

Array = npt.NDArray[Any]
Histogram = npt.NDArray[np.int64]
QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
PLAIN = ("min", "max", "mean", "std", "count")
HISTOGRAM = "histogram"
"""A key of ``Statistics`` of pictures in memory: (C, L) int64. LeRobot's files never have it."""

_MAX_KEPT_BYTES = 8 << 20  # per camera, until the length of the episode is known
_DEPTH_LEVELS = 65536


def number_statistics(values: Array) -> Statistics:
    """Of all rows of one episode, (T, *shape) -> each (*shape), ``count`` (1,)."""
    wide = values.astype(np.float64)
    points = np.quantile(wide, list(QUANTILES.values()), axis=0)
    return {
        "min": values.min(axis=0),
        "max": values.max(axis=0),
        "mean": wide.mean(axis=0),
        "std": wide.std(axis=0),
        "count": np.array([len(values)]),
        **dict(zip(QUANTILES, points, strict=True)),
    }


def table_statistics(table: Any, features: Mapping[str, Feature]) -> dict[str, Statistics]:
    """Of every column of numbers of an episode's table, one at a time."""
    return {
        name: number_statistics(numbers(table[name], feature))
        for name, feature in features.items()
        if feature.dtype in NUMBERS
    }


def histogram_statistics(histogram: Histogram, frames: int) -> Statistics:
    """Of pictures, each (C, 1, 1): colours from 0 to 1, depth in its stored unit."""
    levels = histogram.shape[1]
    scale = 1.0 if levels == _DEPTH_LEVELS else 255.0
    values = np.arange(levels, dtype=np.float64)
    pixels = histogram.sum(axis=1)
    mean = histogram @ values / pixels
    variance = (histogram * (values - mean[:, None]) ** 2).sum(axis=1) / pixels
    found = {
        "min": (histogram > 0).argmax(axis=1),
        "max": levels - 1 - (histogram[:, ::-1] > 0).argmax(axis=1),
        "mean": mean,
        "std": np.sqrt(variance),
        **{name: _quantile(histogram, q) for name, q in QUANTILES.items()},
    }
    shaped: dict[str, Array] = {k: (v / scale).reshape(-1, 1, 1) for k, v in found.items()}
    return shaped | {"count": np.array([frames]), HISTOGRAM: histogram}


def _quantile(histogram: Histogram, q: float) -> Array:
    """Between the two nearest of all pixels, as ``numpy.quantile`` does."""
    below = histogram.cumsum(axis=1)
    place = q * (below[:, -1] - 1)
    low, high = np.floor(place), np.ceil(place)
    first, second = (
        np.array([np.searchsorted(b, p, side="right") for b, p in zip(below, at, strict=True)])
        for at in (low, high)
    )
    return np.asarray(first + (place - low) * (second - first))


class PictureSamples:
    """Histograms of one camera while its frames come and nobody knows how many there will be.

    Up to a few thousand frames of colour (hundreds of depth) the sampled ones are LeRobot's own;
    of longer episodes the nearest that are kept.
    """

    def __init__(self) -> None:
        self._kept: list[Array] = []
        self._every, self._frames = 1, 0

    def add(self, picture: Array) -> None:
        """One frame: (H, W, C) uint8, or (H, W) or (H, W, 1) uint16."""
        if self._frames % self._every == 0:
            self._kept.append(_summary(picture))
            if len(self._kept) * self._kept[0].nbytes > _MAX_KEPT_BYTES:
                self._kept, self._every = self._kept[::2], 2 * self._every
        self._frames += 1

    def statistics(self) -> Statistics:
        """Of what was added, at least one frame."""
        places = np.unique(sample_places(self._frames) // self._every)
        return histogram_statistics(_counted([self._kept[p] for p in places]), len(places))


def clip_statistics(clip: Clip) -> Statistics:
    """Of a clip, from its decoded frames: for episodes whose pictures nobody counted."""
    places = np.unique(sample_places(clip.frames)).tolist()
    samples = [_summary(picture) for picture in decode_some(clip, places)]
    return histogram_statistics(_counted(samples), len(places))


def image_statistics(column: Any, where: str) -> Statistics:
    """Of the encoded pictures in a column of a table.

    Raises:
        CodecError: One of them is no picture.
    """
    places = np.unique(sample_places(len(column))).tolist()
    samples = [_summary(stored_picture(column, place, where)) for place in places]
    return histogram_statistics(_counted(samples), len(places))


def stats_json(stats: Statistics, keys: Iterable[str]) -> dict[str, Any]:
    """Those of the keys that there are, as lists."""
    return {key: stats[key].tolist() for key in keys if key in stats}


def sample_places(frames: int) -> npt.NDArray[np.intp]:
    """Which frames of an episode LeRobot looks at."""
    wanted = max(min(100, frames), min(int(frames**0.75), 10_000))
    return np.round(np.linspace(0, frames - 1, wanted)).astype(np.intp)


def _summary(picture: Array) -> Array:
    """(C, 256) uint32 counts of the sampled pixels of a colour picture; those of depth."""
    height, width = picture.shape[:2]
    step = 1 if max(height, width) < 300 else max(height, width) // 150
    sampled = np.ascontiguousarray(picture[::step, ::step])
    if sampled.dtype == np.uint16:
        return sampled.ravel()
    channels = range(sampled.shape[2] if sampled.ndim == 3 else 1)
    counts = [cv2.calcHist([sampled], [c], None, [256], [0, 256]) for c in channels]
    return np.stack([count.ravel() for count in counts]).astype(np.uint32)


def _counted(samples: Sequence[Array]) -> Histogram:
    """(C, L) of what ``_summary`` gave."""
    if samples[0].dtype == np.uint16:
        pixels = np.concatenate(samples)
        return np.bincount(pixels, minlength=_DEPTH_LEVELS)[None].astype(np.int64)
    return np.asarray(np.sum(samples, axis=0, dtype=np.int64))


class Aggregate:
    """Statistics of all episodes together, as readers of v2.1 make them, one episode at a time.

    Exact but for the quantiles, which only pictures get, if every episode has its histogram.
    """

    def __init__(self) -> None:
        self._found: dict[str, Statistics] = {}
        self._histograms: dict[str, Histogram | None] = {}

    def add(self, stats: Mapping[str, Statistics]) -> None:
        """Adds an episode."""
        for name, one in stats.items():
            counts = one.get(HISTOGRAM)
            if name in self._found:
                before = self._histograms[name]
                self._histograms[name] = (
                    None if before is None or counts is None else before + counts
                )
                self._found[name] = _together(self._found[name], one)
            else:
                self._histograms[name] = counts
                self._found[name] = {key: one[key] for key in PLAIN}

    def result(self) -> dict[str, Statistics]:
        """By feature, in the order in which they came."""
        found = dict(self._found)
        for name, histogram in self._histograms.items():
            if histogram is not None:
                found[name] = histogram_statistics(histogram, int(found[name]["count"][0]))
        return found


def aggregate(episodes: Iterable[Mapping[str, Statistics]]) -> dict[str, Statistics]:
    """The same of many."""
    whole = Aggregate()
    for stats in episodes:
        whole.add(stats)
    return whole.result()


def _together(a: Statistics, b: Statistics) -> Statistics:
    """Of two sets of rows (parallel variance)."""
    total = a["count"] + b["count"]
    share = float(b["count"][0] / total[0])
    step = b["mean"] - a["mean"]
    variance = (1 - share) * a["std"] ** 2 + share * b["std"] ** 2
    return {
        "min": np.minimum(a["min"], b["min"]),
        "max": np.maximum(a["max"], b["max"]),
        "mean": a["mean"] + share * step,
        "std": np.sqrt(variance + share * (1 - share) * step**2),
        "count": total,
    }


def quantiles(values: Array) -> Statistics:
    """Exact quantiles of all rows of a dataset, (T, *shape), one dimension at a time."""
    flat = values.reshape(len(values), -1)
    points = [
        np.quantile(flat[:, d].astype(np.float64), [*QUANTILES.values()])
        for d in range(flat.shape[1])
    ]
    shaped = np.stack(points, axis=1).reshape(len(QUANTILES), *values.shape[1:])
    return dict(zip(QUANTILES, shaped, strict=True))
