"""Takes the statistics of a dataset anew; prints them, or writes a dataset with them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

import numpy as np
from tqdm import tqdm

from vla_core.dataset.episode import Episode, Feature, Statistics
from vla_core.dataset.read import open_dataset
from vla_core.dataset.staging import stats_json
from vla_core.dataset.statistics import (
    PLAIN,
    PictureSamples,
    aggregate,
    clip_statistics,
    table_statistics,
)
from vla_recorder.cli.command import DONE
from vla_recorder.tools.columns import camera_features, dimension_names, stored_picture
from vla_recorder.tools.contract_file import contract_file
from vla_recorder.tools.output import FORMATS, make_dataset, new_folder, refuse_existing


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
    if options.output is not None:
        refuse_existing(options.output)
    dataset = open_dataset(options.dataset)
    features, episodes = dataset.info.features, dataset.episodes
    numbers = tqdm(range(len(episodes)), desc="stats", unit="episode", disable=None)
    found = [episode_statistics(episodes[number], features) for number in numbers]
    whole = aggregate(found)
    if options.json:
        print(json.dumps({name: stats_json(one) for name, one in whole.items()}, indent=2))
    else:
        print(text(whole, features))
    if options.output is not None:
        with new_folder(options.output) as folder:
            make_dataset(
                folder, _Restated(episodes, found), dataset.info, options.format,
                contract_file(dataset.root),
            )  # fmt: skip
        print(f"{options.output}: {len(episodes)} episodes")
    return DONE


def episode_statistics(episode: Episode, features: Mapping[str, Feature]) -> dict[str, Statistics]:
    """Of all features of an episode, in LeRobot's shapes, from what is stored."""
    table = episode.read()
    found = table_statistics(table, features)
    for camera in camera_features(features):
        if camera in episode.clips:
            found[camera] = clip_statistics(episode.clips[camera])
        else:
            samples = PictureSamples()
            for row in range(table.num_rows):
                samples.add(stored_picture(table, camera, row))
            found[camera] = samples.statistics()
    return {name: found[name] for name in features if name in found}


class _Restated(Sequence[Episode]):
    """Episodes with other statistics than their own."""

    def __init__(
        self, episodes: Sequence[Episode], stats: Sequence[Mapping[str, Statistics]]
    ) -> None:
        self._episodes, self._stats = episodes, stats

    def __len__(self) -> int:
        return len(self._stats)

    @overload
    def __getitem__(self, index: int) -> Episode: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Episode]: ...

    def __getitem__(self, index: int | slice) -> Episode | Sequence[Episode]:
        if isinstance(index, slice):
            return _Restated(self._episodes[index], self._stats[index])
        return replace(self._episodes[index], stats=self._stats[index])


def text(whole: Mapping[str, Statistics], features: Mapping[str, Feature]) -> str:
    """One line for each dimension; pictures have one for each channel."""
    lines = []
    for name, stats in whole.items():
        count = int(np.asarray(stats["count"]).ravel()[0])
        lines.append(
            f"{name} ({count:,} {'frames' if name in camera_features(features) else 'rows'})"
        )
        lines.append(f"  {'':24}" + "".join(f"{key:>13}" for key in PLAIN[:-1]))
        columns = [np.asarray(stats[key], dtype=np.float64).ravel() for key in PLAIN[:-1]]
        names: Sequence[str] = dimension_names(features[name])
        if name in camera_features(features):
            names = ("red", "green", "blue") if len(columns[0]) == 3 else ("depth",)
        for dimension, values in zip(names, zip(*columns, strict=True), strict=True):
            lines.append(f"  {dimension:24}" + "".join(f"{value:13.6g}" for value in values))
    return "\n".join(lines)
