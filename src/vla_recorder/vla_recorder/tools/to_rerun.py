"""Makes a recording for the Rerun viewer of one episode: cameras, state and action over time."""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vla_core.dataset.episode import Episode
from vla_core.dataset.info import DatasetError, DatasetInfo
from vla_core.dataset.read import open_dataset
from vla_core.dataset.video import decode
from vla_recorder.cli.command import DONE
from vla_recorder.tools.choice import parse_episodes
from vla_recorder.tools.columns import (
    camera_features,
    dimension_names,
    number_features,
    numbers,
    stored_picture,
)
from vla_recorder.tools.output import refuse_existing
from vla_recorder.tools.picture_checks import Picture

_APPLICATION, _TIMELINE = "vla_recorder", "time"
_QUALITY = 90  # of the JPEG pictures: every viewer shows them, with any build


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of this verb."""
    parser.add_argument("dataset", type=Path, metavar="DIR")
    parser.add_argument("output", type=Path, metavar="FILE.rrd", help="must not exist")
    parser.add_argument("--episode", type=int, default=0, help="its index (0)")


def run(options: argparse.Namespace) -> int:
    """The verb."""
    refuse_existing(options.output)
    rerun = _rerun()
    dataset = open_dataset(options.dataset)
    (number,) = parse_episodes(str(options.episode), len(dataset.episodes))
    episode = dataset.episodes[number]
    partial = options.output.with_name(options.output.name + ".partial")
    recording = rerun.RecordingStream(
        _APPLICATION, recording_id=f"{dataset.root.resolve().name}_{number:06d}"
    )
    try:
        recording.save(str(partial))
        _log_numbers(rerun, recording, dataset.info, episode)
        for camera in camera_features(dataset.info.features):
            _log_pictures(rerun, recording, camera, _pictures(episode, camera), dataset.info.fps)
        recording.flush()
        recording.disconnect()
        partial.rename(options.output)
    finally:
        partial.unlink(missing_ok=True)
    print(f"{options.output}: episode {number}, {episode.length} rows")
    return DONE


def _rerun() -> Any:
    try:
        import rerun
    except ImportError as error:
        raise DatasetError(
            "the Rerun SDK is not installed",
            found=error,
            allowed="rerun-sdk 0.24 or newer",
            fix="pip install rerun-sdk, in an environment that has this package too",
        ) from error
    return rerun


def _log_numbers(rerun: Any, recording: Any, info: DatasetInfo, episode: Episode) -> None:
    """Every dimension is a curve of its own, under the name of its feature."""
    table = episode.read()
    index = rerun.TimeColumn(_TIMELINE, duration=np.arange(episode.length) / info.fps)
    for name in number_features(info.features):
        values = numbers(table, name, info.features[name])
        for dimension, column in zip(dimension_names(info.features[name]), values.T, strict=True):
            recording.send_columns(
                rerun.escape_entity_path_part(name)
                + "/"
                + rerun.escape_entity_path_part(dimension),
                indexes=[index],
                columns=rerun.Scalars.columns(scalars=np.ascontiguousarray(column)),
            )
    recording.log("task", rerun.TextDocument("\n".join(episode.tasks)), static=True)


def _log_pictures(
    rerun: Any, recording: Any, camera: str, pictures: Iterator[Picture], fps: float
) -> None:
    path = rerun.escape_entity_path_part(camera)
    for row, picture in enumerate(pictures):
        recording.set_time(_TIMELINE, duration=row / fps)
        if picture.dtype == np.uint16:
            recording.log(path, rerun.DepthImage(picture, meter=1000.0))
            continue
        memory = io.BytesIO()
        Image.fromarray(picture).save(memory, "JPEG", quality=_QUALITY)
        recording.log(
            path, rerun.EncodedImage(contents=memory.getvalue(), media_type="image/jpeg")
        )


def _pictures(episode: Episode, camera: str) -> Iterator[Any]:
    if camera in episode.clips:
        return decode(episode.clips[camera])
    table = episode.read()
    return (stored_picture(table, camera, row) for row in range(table.num_rows))
