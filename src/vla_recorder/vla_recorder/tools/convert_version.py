"""Writes a dataset in another version of the format, or under other names.

Numbers, pictures and their encoding stay as they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from vla_core.dataset.episode import Episode
from vla_core.dataset.info import DatasetError
from vla_core.dataset.read import open_dataset
from vla_recorder.cli.command import DONE
from vla_recorder.key_names import check_renaming, openpi_names, renamed
from vla_recorder.tools.carried import carried_files
from vla_recorder.tools.output import Chosen, add_output, every, make_dataset


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of this verb."""
    parser.add_argument("dataset", type=Path, metavar="DIR", help="of version 2.0, 2.1 or 3.0")
    add_output(parser)
    parser.add_argument(
        "--keys",
        choices=("as-stored", "openpi"),
        default="as-stored",
        help="openpi: state, actions, cameras without prefix; ALOHA's stay as they are",
    )
    parser.add_argument(
        "--rename",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="a feature's name; again for each; before --keys",
    )


def run(options: argparse.Namespace) -> int:
    """The verb."""
    names = dict(_pair(text) for text in options.rename)
    features = open_dataset(options.dataset).info.features
    check_renaming(features, names)
    if options.keys == "openpi":
        second = openpi_names(renamed(features, names))
        names = {old: second.get(names.get(old, old), names.get(old, old)) for old in features}
    episodes = convert_version(
        options.dataset, options.output, version=options.format, names=names
    )
    print(f"{options.output}: {episodes} episodes")
    return DONE


def convert_version(
    source: Path,
    output: Path,
    *,
    version: str | None = None,
    names: Mapping[str, str] | None = None,
) -> int:
    """Writes a dataset again.

    Args:
        source: A dataset of version 2.0, 2.1 or 3.0.
        output: Folder of the new one.
        version: Of the new one, `v2.1` or `v3.0`; None: the source's, v2.1 of v2.0.
        names: New names of features by old ones.

    Returns:
        How many episodes there are.

    Raises:
        DatasetError: The source is damaged, the output exists, or names do not fit.
    """
    dataset, names = open_dataset(source), dict(names or {})
    check_renaming(dataset.info.features, names)
    info = replace(dataset.info, features=renamed(dataset.info.features, names))
    episodes = Chosen(every(dataset.episodes), lambda episode: _renamed(episode, names))
    make_dataset(output, episodes, info, version, carried_files(source))
    return len(dataset.episodes)


def _renamed(episode: Episode, names: Mapping[str, str]) -> Episode:
    def read() -> pa.Table:
        table = episode.read()
        return table.rename_columns([names.get(name, name) for name in table.column_names])

    return replace(
        episode,
        clips=renamed(episode.clips, names),
        stats=renamed(episode.stats, names),
        read=read,
    )


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise DatasetError("not a new name", where="--rename", found=text, allowed="OLD=NEW")
    return old, new
