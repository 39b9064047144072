"""What this suite reads from a dataset, and whether LeRobot reads the same: check_lerobot.sh.

``make`` and ``expect`` run in this suite's environment, ``compare`` in one that has LeRobot.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

AHEAD = (0, 1, 2, 5)  # rows: actions that an item has with delta_timestamps
BEHIND = (-1, 0)  # the same of a camera
LEVELS = 2  # grey levels by which two conversions from YUV may differ
STATS_RTOL, STATS_ATOL = 1e-6, 1e-7


def make(folder: Path) -> None:
    """Datasets of both versions, with every kind of feature, from the same episodes."""
    from vla_core.dataset.encoding import Encoding
    from vla_core.dataset.episode import Feature
    from vla_core.dataset.staging import EpisodeWriter
    from vla_core.dataset.write import write_dataset

    names = ("height", "width", "channels")
    joints = tuple(f"joint_{i}" for i in range(7))
    features = {
        "observation.state": Feature(dtype="float32", shape=(7,), names=joints),
        "action": Feature(dtype="float32", shape=(7,), names=joints),
        "observation.images.top": Feature(dtype="video", shape=(240, 320, 3), names=names),
        "observation.images.wrist": Feature(dtype="video", shape=(96, 128, 3), names=names),
        "observation.depth.top": Feature(dtype="image", shape=(48, 64, 1), names=names),
        "observation.force": Feature(dtype="float64", shape=(1,), names=("z",)),
        "observation.grid": Feature(dtype="float32", shape=(2, 3)),
        "next.done": Feature(dtype="bool", shape=(1,)),
        "note": Feature(dtype="string", shape=(1,)),
    }
    rng = np.random.default_rng(7)
    episodes = []
    for number, rows in enumerate((20, 33, 140)):
        staged = folder / f"staged_{number}"
        with EpisodeWriter(staged, features=features, fps=30, encoding=Encoding()) as writer:
            for row in range(rows):
                values = {
                    "observation.state": rng.normal(size=7).astype(np.float32),
                    "action": rng.normal(size=7).astype(np.float32),
                    "observation.force": rng.normal(),
                    "observation.grid": rng.normal(size=(2, 3)),
                    "next.done": row == rows - 1,
                    "note": f"row {row}",
                }
                pictures = {
                    "observation.images.top": _gradient(240, 320, row, number),
                    "observation.images.wrist": _gradient(96, 128, row, number),
                    "observation.depth.top": rng.integers(0, 65536, (48, 64), dtype=np.uint16),
                }
                writer.add(values, pictures, "stack the cups" if row < 100 else "go home")
            episodes.append(writer.commit())
    for version in ("v2.1", "v3.0"):
        write_dataset(
            folder / version,
            episodes,
            version=version,
            fps=30,
            robot_type="test",
            features=features,
        )


def expect(root: Path, output: Path) -> None:
    """Stores what this suite reads; prints the version."""
    from vla_core.dataset.columns import columns, numbers
    from vla_core.dataset.info import NUMBERS
    from vla_core.dataset.read import open_dataset
    from vla_core.dataset.statistics import PLAIN, QUANTILES, aggregate, quantiles
    from vla_core.dataset.video import decode_some

    dataset = open_dataset(root)
    info, found = dataset.info, {}
    tables = [episode.read() for episode in dataset.episodes]
    lengths = [table.num_rows for table in tables]
    for name, feature in columns(info.features).items():
        if feature.dtype in NUMBERS:
            found[f"rows/{name}"] = np.concatenate([numbers(t[name], feature) for t in tables])
    found["tasks"] = np.array([text for t in tables for text in t["task"].to_pylist()])
    found["lengths"] = np.array(lengths)
    starts = np.cumsum([0, *lengths])
    for start, length, episode, table in zip(
        starts, lengths, dataset.episodes, tables, strict=False
    ):
        places = sorted({0, 1, length // 2, length - 2, length - 1} & set(range(length)))
        for camera, clip in episode.clips.items():
            for place, picture in zip(places, decode_some(clip, places), strict=True):
                found[f"frames/{camera}/{start + place}"] = picture
        for name, feature in columns(info.features).items():
            for place in places if feature.dtype == "image" else ():
                png = table[name][place]["bytes"].as_py()
                found[f"frames/{name}/{start + place}"] = _unpacked(png)
    stats = aggregate(episode.stats for episode in dataset.episodes)
    for name, one in stats.items():
        whole = dict(one)
        if info.version == "v3.0" and f"rows/{name}" in found:
            whole |= quantiles(found[f"rows/{name}"])
        for key in (*PLAIN, *QUANTILES) if info.version == "v3.0" else PLAIN:
            if key in whole:
                found[f"stats/{name}/{key}"] = whole[key]
    np.savez(output, **found)
    print(info.version)


def compare(root: Path, file: Path) -> None:
    """Reads with LeRobot, and exits with 1 where it finds something else."""
    from importlib.metadata import version

    import torch

    # torchvision's library is built for CUDA and does not load; its import asks for these two
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    expected = np.load(file, allow_pickle=False)
    dataset = LeRobotDataset("local/dataset", root=root)
    fps, cameras = dataset.fps, list(dataset.meta.video_keys)
    checked = {
        "rows": _compare_rows(dataset, expected),
        "pictures": _compare_frames(dataset, expected),
        "statistics": _compare_stats(dataset.meta.stats, expected),
        "tasks": _equal(
            [dataset[i]["task"] for i in _places(expected)],
            [str(expected["tasks"][i]) for i in _places(expected)],
            "tasks",
        ),
    }
    if "rows/action" in expected:
        deltas = {"action": [d / fps for d in AHEAD]}
        deltas |= {camera: [d / fps for d in BEHIND] for camera in cameras[:1]}
        windowed = LeRobotDataset("local/dataset", root=root, delta_timestamps=deltas)
        checked["windows"] = _compare_windows(windowed, dataset, expected, cameras[:1])
    summary = ", ".join(f"{count} {what}" for what, count in checked.items())
    print(f"check_lerobot: lerobot {version('lerobot')} reads {root} as this suite: {summary}")


def _compare_rows(dataset, expected) -> int:
    stored = dataset.hf_dataset.with_format("arrow")[:]
    lengths = expected["lengths"]
    if len(dataset) != lengths.sum() or dataset.num_episodes != len(lengths):
        sys.exit(f"check_lerobot: {len(dataset)} rows in {dataset.num_episodes} episodes")
    frame = np.concatenate([np.arange(n) for n in lengths])
    _equal(stored["frame_index"].to_numpy(), frame, "frame_index")
    _equal(stored["index"].to_numpy(), np.arange(len(frame)), "index")
    _equal(stored["timestamp"].to_numpy(), (frame / dataset.fps).astype(np.float32), "timestamp")
    for key in expected.files:
        if key.startswith("rows/"):
            name = key.removeprefix("rows/")
            values = np.array(stored[name].to_pylist(), expected[key].dtype)
            _equal(values.reshape(expected[key].shape), expected[key], name)
    return len(frame)


def _compare_frames(dataset, expected) -> int:
    count = 0
    for key in expected.files:
        if key.startswith("frames/"):
            name, place = key.removeprefix("frames/").rsplit("/", 1)
            _close_picture(dataset[int(place)][name], expected[key], key)
            count += 1
    return count


def _compare_stats(stats, expected) -> int:
    count = 0
    for key in expected.files:
        if key.startswith("stats/"):
            name, what = key.removeprefix("stats/").rsplit("/", 1)
            found = np.asarray(stats[name][what], dtype=np.float64)
            wanted = expected[key].astype(np.float64)
            if found.shape != wanted.shape or not np.allclose(
                found, wanted, rtol=STATS_RTOL, atol=STATS_ATOL
            ):
                sys.exit(f"check_lerobot: {key} is {found.tolist()}, expected {wanted.tolist()}")
            count += 1
    return count


def _compare_windows(windowed, dataset, expected, cameras) -> int:
    actions, lengths = expected["rows/action"], expected["lengths"]
    starts = np.cumsum([0, *lengths])
    places = _places(expected)
    for place in places:
        episode = int(np.searchsorted(starts, place, side="right") - 1)
        first, last = starts[episode], starts[episode + 1] - 1
        item = windowed[place]
        for name, window in (("action", AHEAD), *((camera, BEHIND) for camera in cameras)):
            wanted = np.array([place + d for d in window])
            inside = np.clip(wanted, first, last)
            _equal(item[f"{name}_is_pad"].numpy(), wanted != inside, f"{name}_is_pad of {place}")
            if name == "action":
                _equal(item[name].numpy().reshape(len(window), -1), actions[inside], name)
            else:
                for shown, row in zip(item[name], inside, strict=True):
                    _equal(shown.numpy(), dataset[int(row)][name].numpy(), f"{name} of {place}")
    return len(places)


def _places(expected) -> list[int]:
    """First, second and last rows of every episode."""
    starts = np.cumsum([0, *expected["lengths"]])
    chosen = {int(s) + d for s in starts for d in (-2, -1, 0, 1)}
    return sorted(chosen & set(range(int(starts[-1]))))


def _close_picture(found, wanted: np.ndarray, what: str) -> None:
    """LeRobot gives (C, H, W): colours from 0 to 1, depth as it is stored."""
    shown = np.moveaxis(found.numpy(), 0, -1).astype(np.float64)
    if wanted.dtype == np.uint16:
        _equal(shown.astype(np.int64) & 0xFFFF, wanted.astype(np.int64), what)
        return
    off = np.abs(shown * 255 - wanted).max() if shown.shape == wanted.shape else np.inf
    if off > LEVELS + 0.01:
        sys.exit(f"check_lerobot: {what} {shown.shape} is off by {off} grey levels")


def _equal(found, wanted, what: str) -> int:
    if not np.array_equal(found, wanted):
        sys.exit(f"check_lerobot: {what} is {found}, expected {wanted}")
    return len(wanted)


def _gradient(height: int, width: int, row: int, number: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    planes = (x * 200 // width + row % 50, y * 200 // height + number * 20, 0 * x + row)
    return np.stack(planes, axis=-1).astype(np.uint8)


def _unpacked(png: bytes) -> np.ndarray:
    import cv2

    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    return picture[..., None] if picture.ndim == 2 else picture[..., ::-1]


if __name__ == "__main__":
    {"make": make, "expect": expect, "compare": compare}[sys.argv[1]](*map(Path, sys.argv[2:]))
