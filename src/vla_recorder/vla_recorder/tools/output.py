"""Outputs that are made new: whole under their name, or not there."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import overload

from vla_core.dataset.episode import Episode
from vla_core.dataset.files import sync, sync_tree
from vla_core.dataset.info import DatasetError, DatasetInfo
from vla_core.dataset.write import write_dataset
from vla_recorder.tools.contract_file import CONTRACT, HASH_KEY

FORMATS = ("v2.1", "v3.0")


class Chosen(Sequence[Episode]):
    """Some episodes of some datasets, each looked up when it is asked for.

    Args:
        places: Of each, where it lies.
        change: What becomes of it.
    """

    def __init__(
        self,
        places: Sequence[tuple[Sequence[Episode], int]],
        change: Callable[[Episode], Episode] | None = None,
    ) -> None:
        self._places, self._change = places, change

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Episode: ...

    @overload
    def __getitem__(self, index: slice) -> Chosen: ...

    def __getitem__(self, index: int | slice) -> Episode | Chosen:
        if isinstance(index, slice):
            return Chosen(self._places[index], self._change)
        episodes, at = self._places[index]
        return self._change(episodes[at]) if self._change else episodes[at]


def every(episodes: Sequence[Episode]) -> list[tuple[Sequence[Episode], int]]:
    """The places of all episodes of a dataset, for ``Chosen``."""
    return [(episodes, at) for at in range(len(episodes))]


def add_output(parser: argparse.ArgumentParser) -> None:
    """Where a verb writes its dataset, and in which format."""
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="must not exist")
    parser.add_argument(
        "--format", choices=FORMATS, help="of the output (that of the input; v2.1 for v2.0)"
    )


def refuse_existing(path: Path) -> None:
    """No verb writes over anything.

    Raises:
        DatasetError: There is something.
    """
    if path.exists() or path.is_symlink():
        raise DatasetError(
            "the output exists",
            where=str(path),
            found="a folder" if path.is_dir() else "a file",
            allowed="a path where nothing is",
            fix="give another one, or remove it",
        )


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder beside ``path`` to write into, which takes its name when all is on the disk."""
    refuse_existing(path)
    partial = path.with_name(path.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        sync_tree(partial)
        partial.rename(path)
        sync(path.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def make_dataset(
    output: Path,
    episodes: Sequence[Episode],
    info: DatasetInfo,
    version: str | None,
    files: Mapping[str, str],
) -> None:
    """Writes episodes of datasets that are described by ``info``.

    Args:
        output: Where nothing is.
        version: Of the format; None is that of ``info``.
        files: What goes with them, as ``carried_files`` gives it.

    Raises:
        DatasetError: No episodes, there is something, or they cannot be written.
    """
    refuse_existing(output)
    if not len(episodes):
        raise DatasetError(
            "no episode is left", where=str(output), allowed="at least 1", fix="choose others"
        )
    extra = dict(info.extra)
    if str(CONTRACT) not in files:
        extra.pop(HASH_KEY, None)
    write_dataset(
        output,
        episodes,
        version=version or ("v2.1" if info.version == "v2.0" else info.version),
        fps=info.fps,
        robot_type=info.robot_type,
        features=info.features,
        extra=extra,
        files=files,
    )
