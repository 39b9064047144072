"""One finished episode in a folder of its own, written row by row with little memory.

It is written beside its name and renamed when it is whole and on the disk: a folder with the name
is a whole episode, whatever was killed.

Shape letters: H height, W width, T rows.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vla_core.dataset.catalogue import statistics
from vla_core.dataset.columns import TASK, arrow_type, column, columns
from vla_core.dataset.encoding import Encoding, VideoWriter
from vla_core.dataset.episode import Clip, Episode, Feature, Statistics
from vla_core.dataset.files import sync, sync_tree, write_text
from vla_core.dataset.histograms import HistogramWriter, read_histograms
from vla_core.dataset.info import (
    MAX_JSON_BYTES,
    NUMBERS,
    PICTURES,
    STANDARD,
    DatasetError,
    check_names,
    damaged,
    feature_json,
    feature_of,
)
from vla_core.dataset.statistics import (
    HISTOGRAM,
    PLAIN,
    QUANTILES,
    PictureSamples,
    stats_json,
    table_statistics,
)
from vla_core.dataset.tables import EpisodeTables
from vla_core.dataset.video import count_frames
from vla_core.json_file import read_object

_ROWS = 256  # per piece of the table
_TABLE, _HEAD, _HISTOGRAMS = "frames.arrow", "episode.json", "histograms.parquet"
Array = npt.NDArray[Any]


class EpisodeWriter:
    """Writes one episode.

    As a context it discards what was not committed.

    Args:
        folder: Its name when it is whole; must not exist. What a killed writer of the same name
            left is removed.
        features: All but the standard ones. Videos are (H, W, 3) uint8; images that, or
            (H, W, 1), which are stored as 16 bits without loss.
        fps: Frames per second.
        encoding: Of the videos.

    Raises:
        DatasetError: The folder exists, or an encoder cannot be opened.
    """

    def __init__(
        self, folder: Path, *, features: Mapping[str, Feature], fps: float, encoding: Encoding
    ) -> None:
        check_names(list(features), str(folder))
        self._folder, self._partial = folder, folder.with_name(folder.name + ".partial")
        if folder.exists():
            raise DatasetError("an episode exists already", where=str(folder))
        self._features = {k: f for k, f in features.items() if k not in STANDARD}
        self._columns = columns(self._features)
        self._cameras = {k for k, f in self._features.items() if f.dtype in PICTURES}
        self._samples = {camera: PictureSamples() for camera in self._cameras}
        self._rows: dict[str, list[Any]] = {name: [] for name in (*self._columns, TASK)}
        self._tasks: dict[str, None] = {}
        self._length, self._fps = 0, fps
        self._videos: dict[str, VideoWriter] = {}
        schema = [(name, arrow_type(f)) for name, f in self._columns.items()]
        self._schema = pa.schema([*schema, (TASK, pa.string())])
        self._table: Any = None
        try:
            shutil.rmtree(self._partial, ignore_errors=True)
            self._partial.mkdir(parents=True)
            self._table = pa.ipc.new_file(str(self._partial / _TABLE), self._schema)
            for name, feature in self._features.items():
                if feature.dtype == "video":
                    height, width, _ = feature.shape
                    file = self._partial / f"{name}.mp4"
                    self._videos[name] = VideoWriter(file, width, height, fps, encoding)
        except DatasetError:
            self.discard()
            raise
        except OSError as error:
            self.discard()
            raise _unwritable(folder, error) from error

    def add(
        self, row: Mapping[str, Any], pictures: Mapping[str, npt.NDArray[Any]], task: str
    ) -> None:
        """Adds one row.

        Args:
            row: A value of every feature that is no picture.
            pictures: (H, W, 3) uint8 RGB, or (H, W) uint16, of every camera.
            task: What is being done.

        Raises:
            DatasetError: Something is missing, of another shape, or not finite; or the disk is
                full.
        """
        where = f"{self._folder}, row {self._length}"
        numbers = self._columns.keys() - self._cameras
        if row.keys() != numbers or pictures.keys() != self._cameras:
            found = f"{sorted(row)} and {sorted(pictures)}"
            allowed = f"{sorted(numbers)} and {sorted(self._cameras)}"
            raise DatasetError(
                "a row of other features", where=where, found=found, allowed=allowed
            )
        values = {k: _value(row[k], self._columns[k], f"{where}, {k}") for k in numbers}
        for name, picture in pictures.items():
            feature = self._features[name]
            shown = _picture(picture, feature, f"{where}, {name}")
            self._samples[name].add(shown)
            if feature.dtype == "video":
                self._videos[name].add(shown)
            else:
                values[name] = _png(shown, self._length)
        for name, value in values.items():
            self._rows[name].append(value)
        self._rows[TASK].append(task)
        self._tasks.setdefault(task)
        self._length += 1
        if self._length % _ROWS == 0:
            self._flush()

    def commit(self, extra: Mapping[str, Any] | None = None) -> Episode:
        """Ends the episode and gives it its name.

        Args:
            extra: What else is known of it; JSON.

        Raises:
            DatasetError: It has no rows, a video another number of frames, or the disk is full.
        """
        if not self._length:
            raise DatasetError("an episode without rows", where=str(self._folder))
        try:
            self._flush()
            self._table.close()
            for name, writer in self._videos.items():
                writer.close()
                _check_frames(self._partial / f"{name}.mp4", self._length)
            stats = self._statistics()
            tasks = list(self._tasks)
            head = {
                "length": self._length,
                "fps": self._fps,
                "tasks": tasks,
                "features": {name: feature_json(f) for name, f in self._features.items()},
                "stats": {
                    name: stats_json(one, (*PLAIN, *QUANTILES)) for name, one in stats.items()
                },
                "extra": dict(extra or {}),
            }
            write_text(self._partial / _HEAD, json.dumps(head, ensure_ascii=False))
            sync_tree(self._partial)
            self._partial.rename(self._folder)
            sync(self._folder.parent)
        except OSError as error:
            raise _unwritable(self._folder, error) from error
        return read_staged(self._folder)

    def discard(self) -> None:
        """Removes what was written."""
        for writer in self._videos.values():
            writer.abort()
        if self._table is not None:
            with suppress(OSError):
                self._table.close()
        shutil.rmtree(self._partial, ignore_errors=True)

    def __enter__(self) -> EpisodeWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._partial.exists():
            self.discard()

    def _flush(self) -> None:
        if not self._rows[TASK]:
            return
        arrays = [column(f, self._rows[name]) for name, f in self._columns.items()]
        arrays.append(pa.array(self._rows[TASK], pa.string()))
        try:
            self._table.write_batch(pa.record_batch(arrays, schema=self._schema))
        except OSError as error:
            raise _unwritable(self._folder, error) from error
        for rows in self._rows.values():
            rows.clear()

    def _statistics(self) -> dict[str, Statistics]:
        """In the order of the features; histograms go into their own file."""
        found = table_statistics(_map(self._partial / _TABLE), self._features)
        found |= {name: samples.statistics() for name, samples in self._samples.items()}
        ordered = {name: found[name] for name in self._features if name in found}
        histograms = HistogramWriter(self._partial / _HISTOGRAMS)
        histograms.add(0, ordered)
        histograms.close()
        return ordered


def read_staged(folder: Path) -> Episode:
    """An episode that ``EpisodeWriter`` has committed.

    Raises:
        DatasetError: It is not there, or not whole.
    """
    try:
        head = read_object(folder / _HEAD, MAX_JSON_BYTES)
        length, table = head["length"], _map(folder / _TABLE)
        features = {n: feature_of(f, f"{folder}, {n}") for n, f in head["features"].items()}
        stats = statistics(head["stats"], folder)
        histograms = read_histograms(folder / _HISTOGRAMS, 0, EpisodeTables())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        raise damaged(folder, error, "an episode that was committed") from error
    if table.num_rows != length:
        raise damaged(folder / _TABLE, f"{table.num_rows} rows", length)
    clips = {
        name: Clip(file=folder / f"{name}.mp4", first=0, frames=length)
        for name, feature in features.items()
        if feature.dtype == "video"
    }
    for clip in clips.values():
        _check_frames(clip.file, length)
    return Episode(
        length=length,
        tasks=tuple(head["tasks"]),
        clips=clips,
        stats=stats | {n: {**stats[n], HISTOGRAM: h} for n, h in histograms.items() if n in stats},
        read=lambda: _map(folder / _TABLE),
        extra=head["extra"],
    )


def _map(file: Path) -> pa.Table:
    """The table without a copy: its pages are the file's."""
    with pa.memory_map(str(file)) as source:
        return pa.ipc.open_file(source).read_all()


def _value(value: Any, feature: Feature, where: str) -> Any:
    if feature.dtype not in NUMBERS:
        if not isinstance(value, str):
            raise DatasetError("a value is no text", where=where, found=type(value).__name__)
        return value
    given = np.asarray(value)
    array = given.reshape(1) if given.shape == () else given
    if array.shape != feature.shape or not np.can_cast(array.dtype, feature.dtype, "same_kind"):
        raise DatasetError(
            "a value has another shape or type",
            where=where,
            found=f"{array.shape} {array.dtype}",
            allowed=f"{feature.shape} {feature.dtype}",
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DatasetError("a value is not finite", where=where, found=array.tolist())
    return array.astype(feature.dtype)


def _picture(picture: Array, feature: Feature, where: str) -> Array:
    """The picture, a copy if somebody could still change it: the encoder reads it later."""
    shape = (*picture.shape, 1) if picture.ndim == 2 else picture.shape
    kind = np.uint16 if feature.dtype == "image" and feature.shape[2] == 1 else np.uint8
    if shape != feature.shape or picture.dtype != kind:
        raise DatasetError(
            "a picture has another shape or type",
            where=where,
            found=f"{picture.shape} {picture.dtype}",
            allowed=f"{feature.shape} {np.dtype(kind)}",
            fix="give --resize, or check the camera: its size changed",
        )
    if picture.flags.writeable and feature.dtype == "video":
        return np.array(picture)
    return np.ascontiguousarray(picture)


def _png(picture: Array, frame: int) -> dict[str, Any]:
    stored = picture[..., ::-1] if picture.shape[-1] == 3 else picture
    _, data = cv2.imencode(".png", stored)
    return {"bytes": data.tobytes(), "path": f"frame-{frame:06d}.png"}


def _check_frames(file: Path, length: int) -> None:
    if (frames := count_frames(file)) != length:
        raise damaged(file, f"{frames} frames", f"{length}, as the table has rows")


def _unwritable(folder: Path, error: OSError) -> DatasetError:
    fix = "look for space on the disk and for permission; nothing has got this name"
    return DatasetError("an episode cannot be written", where=str(folder), found=error, fix=fix)
