"""An existing dataset in another version of the format, or under other names."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from vla_core.dataset.episode import Episode
from vla_core.dataset.read import Dataset, open_dataset
from vla_core.dataset.write import write_dataset
from vla_recorder.key_names import check_renaming, renamed
from vla_recorder.tools.contract_file import CONTRACT


def convert_version(
    source: Path,
    output: Path,
    *,
    version: str,
    names: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Dataset:
    """Writes a dataset again; numbers, pictures and their encoding stay as they are.

    Args:
        source: A dataset of version 2.0, 2.1 or 3.0.
        output: Folder of the new one.
        version: Of the new one, `v2.1` or `v3.0`; may be that of the source.
        names: New names of features by old ones, e.g. `openpi_names(...)`.
        overwrite: Replace an output that exists.

    Returns:
        The new dataset.

    Raises:
        DatasetError: The source is damaged, the output exists, or names do not fit.
    """
    dataset, names = open_dataset(source), names or {}
    check_renaming(dataset.info.features, names)
    write_dataset(
        output,
        [_renamed(episode, names) for episode in dataset.episodes],
        version=version,
        fps=dataset.info.fps,
        robot_type=dataset.info.robot_type,
        features=renamed(dataset.info.features, names),
        extra=dataset.info.extra,
        overwrite=overwrite,
    )
    if (contract := source / CONTRACT).exists():
        shutil.copyfile(contract, output / CONTRACT)
    return open_dataset(output)


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
