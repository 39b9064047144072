"""Writing of LeRobot datasets 2.1 and 3.0: whole under its name, or not there.

The same episodes give the same bytes. Shape letters: T rows of an episode.

Source: https://github.com/huggingface/lerobot, src/lerobot/datasets (0.3.3: v2.1, 0.4.4: v3.0).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa

from vla_core.dataset.catalogue import EXTRA
from vla_core.dataset.columns import TASK, columns, conform, schema
from vla_core.dataset.episode import Clip, Episode, Feature, Statistics
from vla_core.dataset.files import replacing, write_text
from vla_core.dataset.histograms import HISTOGRAMS, HistogramWriter
from vla_core.dataset.info import (
    DATA_PATH,
    MAX_FPS,
    PICTURES,
    STANDARD,
    VIDEO_PATH,
    DatasetError,
    DatasetInfo,
    check_names,
    damaged,
    info_json,
)
from vla_core.dataset.layout import CHUNK, Layout, Written
from vla_core.dataset.layout_v2 import LayoutV2
from vla_core.dataset.layout_v3 import LayoutV3
from vla_core.dataset.statistics import clip_statistics, image_statistics, table_statistics
from vla_core.dataset.video import facts

_LIST = {"v2.1": "Sequence", "v3.0": "List"}  # readers of v2.1 do not know the newer word


def write_dataset(
    output: Path,
    episodes: Sequence[Episode],
    *,
    version: str,
    fps: float,
    robot_type: str | None,
    features: Mapping[str, Feature],
    extra: Mapping[str, Any] | None = None,
    files: Mapping[str, str] | None = None,
    overwrite: bool = False,
    data_file_mb: float = 100,
    video_file_mb: float = 200,
) -> None:
    """Writes episodes, in their order, as a dataset.

    Videos are not encoded again: files that are taken whole are linked, all else is copied packet
    by packet. Statistics of numbers are computed anew; those of pictures are the episodes' own,
    or are taken from the decoded frames where an episode has none.

    Args:
        output: The folder to make.
        episodes: At least one; they may lie in the output that is replaced.
        version: ``v2.1`` or ``v3.0``.
        fps: Frames per second.
        robot_type: What robot it was.
        features: Those of all episodes; the standard ones may be among them.
        extra: More keys of ``info.json``.
        files: More files by their path inside the dataset, such as ``meta/contract.yaml``.
        overwrite: Whether an output that exists is replaced.
        data_file_mb: v3.0: size from which a new table is begun, MiB.
        video_file_mb: v3.0: the same of videos.

    Raises:
        DatasetError: The output exists, an episode contradicts itself or the features, or the
            disk is full. The output is as it was.
    """
    features = {name: f for name, f in features.items() if name not in STANDARD}
    check_names(list(features), str(output))
    if version not in DATA_PATH or not 0 < fps <= MAX_FPS or not episodes or not features:
        raise DatasetError(
            "no such dataset can be written",
            where=str(output),
            found=f"{version}, {fps} frames/s, {len(episodes)} episodes, {list(features)}",
            allowed=f"{', '.join(DATA_PATH)}; to {MAX_FPS} frames/s; one episode and one feature",
        )
    info = DatasetInfo(
        version=version,
        robot_type=robot_type,
        fps=float(fps),
        features=features,
        total_episodes=len(episodes),
        total_frames=sum(episode.length for episode in episodes),
        chunks_size=CHUNK,
        data_path=DATA_PATH[version],
        video_path=VIDEO_PATH[version] if _videos(features) else None,
        extra=extra or {},
    )
    with replacing(output, overwrite=overwrite) as partial:
        layout: Layout = (
            LayoutV2(partial, info)
            if version == "v2.1"
            else LayoutV3(partial, info, data_file_mb=data_file_mb, video_file_mb=video_file_mb)
        )
        try:
            _fill(partial, episodes, info, layout)
        except pa.ArrowException as error:
            raise damaged(output, error, "episodes that can be stored") from error
        for name, text in (files or {}).items():
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or (partial / path).exists():
                raise DatasetError("no file of a dataset", where=str(output), found=name)
            write_text(partial / path, text)


def _fill(partial: Path, episodes: Sequence[Episode], info: DatasetInfo, layout: Layout) -> None:
    (partial / "meta").mkdir()
    tasks: dict[str, int] = {}
    histograms = HistogramWriter(partial / HISTOGRAMS)
    lines: list[str] = []
    start = 0
    video: dict[str, Mapping[str, Any]] = {}
    for index, episode in enumerate(episodes):
        where = f"episode {index}"
        table = _table(episode, index, start, tasks, info, where)
        for name in info.videos:
            found = _clip_info(episode.clips.get(name), episode.length, info.features[name], where)
            video.setdefault(name, found)
        stats = _statistics(episode, table, info.features, where)
        texts = table[TASK].unique().to_pylist()
        layout.add(
            Written(
                index=index,
                start=start,
                table=table.drop_columns([TASK]).cast(
                    schema(info.features, vector=_LIST[info.version])
                ),
                tasks=tuple(texts),
                clips=episode.clips,
                stats=stats,
            )
        )
        histograms.add(index, stats)
        if episode.extra:
            line = {"episode_index": index, "extra": dict(episode.extra)}
            lines.append(json.dumps(line, ensure_ascii=False))
        start += episode.length
    histograms.close()
    if lines:
        write_text(partial / EXTRA, "\n".join((*lines, "")))
    totals, sizes = layout.finish(tasks)
    described = {
        name: replace(f, video={**video[name], **_depth(f)}) if name in video else f
        for name, f in info.features.items()
    }
    text = info_json(replace(info, features=described), totals, sizes)
    write_text(partial / "meta" / "info.json", text)


def _table(
    episode: Episode, index: int, start: int, tasks: dict[str, int], info: DatasetInfo, where: str
) -> pa.Table:
    """The columns of the features, the standard ones, and ``task``; new tasks get an index."""
    found = episode.read()
    wanted = columns(info.features)
    if {*found.column_names} != {*wanted, TASK} or found.num_rows != episode.length:
        raise DatasetError(
            "an episode has other columns or rows than it says",
            where=where,
            found=f"{found.num_rows} rows of {sorted(found.column_names)}",
            allowed=f"{episode.length} rows of {sorted([*wanted, TASK])}",
        )
    if odd := episode.clips.keys() ^ {*info.videos}:
        raise DatasetError("an episode has other cameras", where=where, found=sorted(odd))
    arrays = {name: conform(found[name], f, f"{where}, {name}") for name, f in wanted.items()}
    for text in found[TASK].unique().to_pylist():
        tasks.setdefault(text, len(tasks))
    rows = np.arange(episode.length, dtype=np.int64)
    texts = found[TASK].to_pylist()
    standard = {
        "timestamp": (rows / info.fps).astype(np.float32),
        "frame_index": rows,
        "episode_index": np.full_like(rows, index),
        "index": rows + start,
        "task_index": np.array([tasks[text] for text in texts], dtype=np.int64),
    }
    return pa.table({**arrays, **standard, TASK: found[TASK]})


def _statistics(
    episode: Episode, table: pa.Table, features: Mapping[str, Feature], where: str
) -> dict[str, Statistics]:
    """Of all features that are no text, in their order."""
    found = table_statistics(table, {**features, **STANDARD})
    for name, feature in features.items():
        if feature.dtype in PICTURES:
            shape = (feature.shape[2], 1, 1)
            own = episode.stats.get(name)
            if own is not None and own["mean"].shape == shape:
                found[name] = own
            elif feature.dtype == "video":
                found[name] = clip_statistics(episode.clips[name])
            else:
                found[name] = image_statistics(table[name], f"{where}, {name}")
    return {name: found[name] for name in (*features, *STANDARD) if name in found}


def _clip_info(clip: Clip | None, length: int, feature: Feature, where: str) -> Mapping[str, Any]:
    """LeRobot's block of a video that holds what the episode says."""
    if clip is None or clip.frames != length:
        raise DatasetError("a camera has another number of frames", where=where, found=clip)
    found = facts(clip.file)
    size = (found.info["video.height"], found.info["video.width"])
    if clip.first < 0 or clip.first + length > found.frames or size != feature.shape[:2]:
        raise damaged(
            f"{where}, {clip.file}",
            f"{found.frames} frames of {size}",
            f"frames {clip.first} to {clip.first + length - 1} of {feature.shape[:2]}",
        )
    return found.info


def _depth(feature: Feature) -> dict[str, bool]:
    return {"video.is_depth_map": bool(feature.video.get("video.is_depth_map", False))}


def _videos(features: Mapping[str, Feature]) -> bool:
    return any(feature.dtype == "video" for feature in features.values())
