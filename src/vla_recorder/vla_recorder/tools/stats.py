"""Takes the statistics of a dataset anew; prints them, or writes a dataset with them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vla_core.dataset.episode import Episode, Feature, Statistics
from vla_core.dataset.read import open_dataset
from vla_core.dataset.statistics import (
    PLAIN,
    aggregate,
    clip_statistics,
    image_statistics,
    stats_json,
    table_statistics,
)
from vla_recorder.cli.command import DONE
from vla_recorder.tools.carried import carried_files
from vla_recorder.tools.columns import camera_features, dimension_names
from vla_recorder.tools.output import FORMATS, Chosen, every, make_dataset


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of this verb."""
    parser.add_argument("dataset", type=Path, metavar="DIR")
    parser.add_argument(
        "output", type=Path, nargs="?", metavar="OUTPUT", help="must not exist; none: only print"
    )
    parser.add_argument("--format", choices=FORMATS, help="of the output (that of the input)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """The verb."""
    dataset = open_dataset(options.dataset)
    features, episodes = dataset.info.features, dataset.episodes
    if options.output is not None:
        bare = Chosen(every(episodes), lambda episode: replace(episode, stats={}))
        files = carried_files(dataset.root)
        make_dataset(options.output, bare, dataset.info, options.format, files)
        print(f"{options.output}: {len(episodes)} episodes")
        return DONE
    numbers = tqdm(range(len(episodes)), desc="stats", unit="episode", disable=None)
    whole = aggregate(episode_statistics(episodes[n], features) for n in numbers)
    if options.json:
        print(json.dumps({name: stats_json(one, PLAIN) for name, one in whole.items()}, indent=2))
    else:
        print(text(whole, features))
    return DONE


def episode_statistics(episode: Episode, features: Mapping[str, Feature]) -> dict[str, Statistics]:
    """Of all features of an episode, in LeRobot's shapes, from what is stored."""
    table = episode.read()
    found = table_statistics(table, features)
    for camera in camera_features(features):
        if camera in episode.clips:
            found[camera] = clip_statistics(episode.clips[camera])
        else:
            found[camera] = image_statistics(table[camera], camera)
    return {name: found[name] for name in features if name in found}


def text(whole: Mapping[str, Statistics], features: Mapping[str, Feature]) -> str:
    """One line for each dimension; pictures have one for each channel."""
    lines = []
    cameras, keys = camera_features(features), [key for key in PLAIN if key != "count"]
    for name, stats in whole.items():
        count = int(stats["count"].ravel()[0])
        lines.append(f"{name} ({count:,} {'frames' if name in cameras else 'rows'})")
        lines.append(f"  {'':24}" + "".join(f"{key:>13}" for key in keys))
        columns = [np.asarray(stats[key], dtype=np.float64).ravel() for key in keys]
        names: Sequence[str] = dimension_names(features[name])
        if name in cameras:
            names = ("red", "green", "blue") if len(columns[0]) == 3 else ("depth",)
        for dimension, values in zip(names, zip(*columns, strict=True), strict=True):
            lines.append(f"  {dimension:24}" + "".join(f"{value:13.6g}" for value in values))
    return "\n".join(lines)
