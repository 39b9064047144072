"""Says what a dataset holds, from its metadata: no table and no video is read."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vla_core.dataset.episode import Episode
from vla_core.dataset.read import Dataset, open_dataset
from vla_recorder.cli.command import DONE
from vla_recorder.tools.contract_file import HASH_KEY

LABELS = ("success", "failure", "bad", "unlabelled")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of this verb."""
    parser.add_argument("dataset", type=Path, metavar="DIR")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """The verb."""
    found = facts(open_dataset(options.dataset))
    print(json.dumps(found, indent=2, ensure_ascii=False) if options.json else text(found))
    return DONE


def facts(dataset: Dataset) -> dict[str, Any]:
    """Plain values, in the order in which they are shown."""
    info = dataset.info
    episodes = list(dataset.episodes)
    lengths = sorted(episode.length for episode in episodes) or [0]
    labels = Counter(label(episode) for episode in episodes)
    return {
        "path": str(dataset.root),
        "format": info.version,
        "robot": info.robot_type or "not stated",
        "contract": info.extra.get(HASH_KEY, "not stated"),
        "fps": info.fps,
        "episodes": len(episodes),
        "frames": sum(lengths),
        "duration_s": round(sum(lengths) / info.fps, 3),
        "episode_s": {
            name: round(lengths[at] / info.fps, 3)
            for name, at in (("shortest", 0), ("median", len(lengths) // 2), ("longest", -1))
        },
        "labels": dict(labels),
        "tasks": dict(task_counts(episodes)),
        "features": {
            name: {"dtype": feature.dtype, "shape": list(feature.shape)}
            | ({"names": list(feature.names)} if feature.names and not feature.video else {})
            | ({"codec": feature.video.get("video.codec")} if feature.video else {})
            for name, feature in info.features.items()
        },
        "bytes": size_bytes(dataset.root),
    }


def label(episode: Episode) -> str:
    """What a person said of it, one of ``LABELS``; what is bad is that whatever its success."""
    if episode.extra.get("bad"):
        return "bad"
    success = episode.extra.get("success")
    if isinstance(success, str):  # as bags have it
        success = {"true": True, "false": False}.get(success)
    return "unlabelled" if success is None else "success" if success else "failure"


def task_counts(episodes: Iterable[Episode]) -> Counter[str]:
    """How many episodes have each task, in the order in which they appear."""
    return Counter(task for episode in episodes for task in episode.tasks)


def size_bytes(root: Path) -> int:
    """Of all files."""
    return sum(file.stat().st_size for file in root.rglob("*") if file.is_file())


def text(found: dict[str, Any]) -> str:
    """One fact a line, nested ones below their name."""
    lines = []
    for name, value in found.items():
        if not isinstance(value, dict):
            lines.append(
                f"{name:12} {value:,}" if isinstance(value, int) else f"{name:12} {value}"
            )
            continue
        lines.append(name)
        for key, inner in value.items():
            shown = _feature(inner) if isinstance(inner, dict) else inner
            lines.append(f"  {key}: {shown}")
    return "\n".join(lines)


def _feature(entry: dict[str, Any]) -> str:
    size = " x ".join(map(str, entry["shape"]))
    names = ", ".join(entry.get("names", ()))
    codec = entry.get("codec")
    return (
        f"{entry['dtype']} {size}"
        + (f" ({names})" if names else "")
        + (f", {codec}" if codec else "")
    )
