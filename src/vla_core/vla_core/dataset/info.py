"""What ``meta/info.json`` says of a LeRobot dataset, and the limits of what is believed.

Source: https://github.com/huggingface/lerobot, src/lerobot/datasets/utils.py (0.3.3, 0.4.4).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from vla_core.dataset.episode import Feature
from vla_core.errors import VlaError
from vla_core.json_file import read_object

MAX_JSON_BYTES = 64 << 20
MAX_FPS = 1000
MAX_COUNT = 10**10
MAX_FEATURES = 1000
MAX_VALUES = 1 << 26  # of one row of one feature
VERSIONS = ("v2.0", "v2.1", "v3.0")

PICTURES = ("image", "video")
NUMBERS = (
    *("float16", "float32", "float64", "bool", "int8", "int16", "int32", "int64"),
    *("uint8", "uint16", "uint32", "uint64"),
)
DTYPES = (*NUMBERS, "string", *PICTURES)
STANDARD = {
    "timestamp": Feature(dtype="float32", shape=(1,)),
    "frame_index": Feature(dtype="int64", shape=(1,)),
    "episode_index": Feature(dtype="int64", shape=(1,)),
    "index": Feature(dtype="int64", shape=(1,)),
    "task_index": Feature(dtype="int64", shape=(1,)),
}
"""The features that every dataset has; the writer makes them."""

DATA_PATH = {
    "v2.1": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
    "v3.0": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
}
VIDEO_PATH = {
    "v2.1": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    "v3.0": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
}
_WRITTEN = {
    *("codebase_version", "robot_type", "total_episodes", "total_frames", "total_tasks"),
    *("total_videos", "total_chunks", "chunks_size", "data_files_size_in_mb", "fps", "splits"),
    *("video_files_size_in_mb", "data_path", "video_path", "features"),
}
_NAME = re.compile(r"[^/\\\x00-\x1f]{1,200}")
_RESERVED = (".", "..", "task")
_FIELD = re.compile(r"\{([a-z_]+)(?::0(\d)d)?\}")
_CHANNELS = ("channel", "channels", "c")


class DatasetError(VlaError):
    """A dataset that cannot be read or written, or that contradicts itself."""

    code = "DATASET"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """The head of a dataset.

    Attributes:
        version: ``v2.0``, ``v2.1`` or ``v3.0``.
        robot_type: None where nobody said.
        fps: Frames per second.
        features: All but the ``STANDARD`` ones, in the order of the file.
        total_episodes: How many there are.
        total_frames: Rows of all episodes.
        chunks_size: Episodes (v2) or files (v3) per folder.
        data_path: Where a table lies, with fields to fill.
        video_path: The same of videos; None where there are none.
        extra: All other keys of the file.
    """

    version: str
    robot_type: str | None
    fps: float
    features: Mapping[str, Feature]
    total_episodes: int
    total_frames: int
    chunks_size: int
    data_path: str
    video_path: str | None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def videos(self) -> tuple[str, ...]:
        """The features that are videos."""
        return tuple(k for k, f in self.features.items() if f.dtype == "video")


def damaged(where: object, found: object, allowed: object) -> DatasetError:
    """The error for a file that does not hold what the format says."""
    return DatasetError(
        "a dataset is damaged or incomplete",
        where=str(where),
        found=found,
        allowed=allowed,
        fix="give the folder that holds meta/info.json; copy or record the dataset again",
    )


def read_info(root: Path) -> DatasetInfo:
    """Reads and judges ``meta/info.json``.

    Raises:
        DatasetError: There is none, it is of another format, or it cannot be true.
    """
    file = root / "meta" / "info.json"
    try:
        if not file.is_file():
            raise ValueError("no such file")
        info = read_object(file, MAX_JSON_BYTES)
    except ValueError as error:
        raise damaged(file, error, f"a JSON object of at most {MAX_JSON_BYTES} bytes") from error
    version = info.get("codebase_version")
    if version not in VERSIONS:
        raise DatasetError(
            "a dataset of another format",
            where=str(file),
            found=version,
            allowed=", ".join(VERSIONS),
            fix="convert it with LeRobot's own converters",
        )
    family = "v3.0" if version == "v3.0" else "v2.1"
    robot = info.get("robot_type")
    features = _features(info.get("features"), file)
    has_video = any(f.dtype == "video" for f in features.values())
    return DatasetInfo(
        version=version,
        robot_type=robot if isinstance(robot, str) else None,
        fps=_fps(info.get("fps"), file),
        features=features,
        total_episodes=_count(info, "total_episodes", file),
        total_frames=_count(info, "total_frames", file),
        chunks_size=max(1, _count(info, "chunks_size", file)),
        data_path=_pattern(info.get("data_path"), DATA_PATH[family], file, "data_path"),
        video_path=_pattern(info.get("video_path"), VIDEO_PATH[family], file, "video_path")
        if has_video
        else None,
        extra={key: value for key, value in info.items() if key not in _WRITTEN},
    )


def fill_path(root: Path, pattern: str, **fields: int | str) -> Path:
    """A path of the dataset from a pattern that ``read_info`` has let through."""

    def fill(match: re.Match[str]) -> str:
        value = fields[match[1]]
        return f"{value:0{match[2]}d}" if match[2] and isinstance(value, int) else str(value)

    return root / _FIELD.sub(fill, pattern)


def info_json(
    info: DatasetInfo, totals: Mapping[str, int], sizes: Mapping[str, int | float]
) -> str:
    """The text of ``info.json``, keys in LeRobot's order.

    Args:
        info: The head.
        totals: What else is counted: ``total_tasks``, and in v2 ``total_videos`` and chunks.
        sizes: Of files, in v3.
    """
    found = {
        "codebase_version": info.version,
        "robot_type": info.robot_type,
        "total_episodes": info.total_episodes,
        "total_frames": info.total_frames,
        **totals,
        "chunks_size": info.chunks_size,
        **sizes,
        "fps": int(info.fps) if info.fps == int(info.fps) else info.fps,
        "splits": {"train": f"0:{info.total_episodes}"},
        "data_path": info.data_path,
        "video_path": info.video_path,
        "features": {k: feature_json(f) for k, f in (*info.features.items(), *STANDARD.items())},
        **{key: value for key, value in info.extra.items() if key not in _WRITTEN},
    }
    return json.dumps(found, indent=4, ensure_ascii=False)


def feature_json(feature: Feature) -> dict[str, Any]:
    """One entry of ``features``."""
    found: dict[str, Any] = {
        "dtype": feature.dtype,
        "shape": list(feature.shape),
        "names": None if feature.names is None else list(feature.names),
    }
    return found | ({"info": dict(feature.video)} if feature.dtype == "video" else {})


def feature_of(found: object, where: str) -> Feature:
    """A feature from its entry.

    Raises:
        DatasetError: It has no usable type or shape.
    """
    entry = found if isinstance(found, dict) else {}
    dtype, shape = entry.get("dtype"), entry.get("shape")
    if dtype not in DTYPES:
        raise damaged(f"{where}.dtype", dtype, ", ".join(DTYPES))
    if (
        not isinstance(shape, list | tuple)
        or not 1 <= len(shape) <= 5
        or not all(type(size) is int and size >= 1 for size in shape)
        or math.prod(shape) > MAX_VALUES
        or (dtype in PICTURES and len(shape) != 3)
    ):
        allowed = f"1 to 5 sizes from 1, at most {MAX_VALUES} values; 3 of a picture"
        raise damaged(f"{where}.shape", shape, allowed)
    names = _names(entry.get("names"))
    if dtype in PICTURES:
        first = names is not None and len(names) == 3 and names[0] in _CHANNELS
        if first or (names is None and shape[0] in (1, 3) and shape[2] not in (1, 3)):
            shape = (*shape[1:], shape[0])
        names = ("height", "width", "channels")
    video = entry.get("info") or entry.get("video_info") or {}
    return Feature(
        dtype=dtype,
        shape=tuple(shape),
        names=names,
        video=video if dtype == "video" and isinstance(video, dict) else {},
    )


def check_names(names: object, where: str) -> None:
    """Refuses names of features that are no single part of a path.

    Raises:
        DatasetError: One is.
    """
    for name in names if isinstance(names, dict | list | tuple) else ():
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _RESERVED:
            allowed = "names of 1 to 200 characters without slashes, and not task"
            raise damaged(where, name, allowed)


def _features(found: object, file: Path) -> dict[str, Feature]:
    where = f"{file}, features"
    if not isinstance(found, dict) or not 1 <= len(found) <= MAX_FEATURES:
        raise damaged(where, type(found).__name__, f"1 to {MAX_FEATURES} features")
    check_names(found, where)
    return {
        name: feature_of(entry, f"{where}.{name}")
        for name, entry in found.items()
        if name not in STANDARD
    }


def _names(found: Any) -> tuple[str, ...] | None:
    """Datasets have lists, lists in lists, one list inside a group, and names with their place."""
    while isinstance(found, dict | list) and len(found) == 1:
        (inner,) = found.values() if isinstance(found, dict) else found
        if not isinstance(inner, list | dict):
            break
        found = inner
    if isinstance(found, dict) and sorted(map(str, found.values())) == sorted(
        map(str, range(len(found)))
    ):
        found = sorted(found, key=lambda name: int(found[name]))
    if isinstance(found, list) and found and all(isinstance(name, str) for name in found):
        return tuple(found)
    return None


def _fps(fps: Any, file: Path) -> float:
    if type(fps) not in (int, float) or not 0 < fps <= MAX_FPS:
        raise damaged(f"{file}, fps", fps, f"above 0, at most {MAX_FPS}")
    return float(fps)


def _count(info: Mapping[str, Any], key: str, file: Path) -> int:
    value = info.get(key)
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        raise damaged(f"{file}, {key}", value, f"a whole number from 0 to {MAX_COUNT}")
    return value


def _pattern(found: object, default: str, file: Path, key: str) -> str:
    """A pattern that stays inside the dataset and has the fields of the format, no others."""
    pattern = default if found is None else found
    if isinstance(pattern, str) and len(pattern) < 1000:
        rest = _FIELD.sub("0", pattern)
        path = PurePosixPath(rest)
        fields = {match[1] for match in _FIELD.finditer(pattern)}
        allowed = {match[1] for match in _FIELD.finditer(default)} | {"episode_chunk"}
        inside = not path.is_absolute() and ".." not in path.parts and "\\" not in rest
        if fields <= allowed and inside and not set("{}\x00") & set(rest):
            return pattern
    raise damaged(f"{file}, {key}", found, f"a path inside the dataset such as {default}")
