"""Which format a file or folder is of: found by looking, never declared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vla_recorder.importers import aloha_hdf5, libero_hdf5, libero_rlds
from vla_recorder.importers.hdf5_file import SUFFIXES, open_hdf5
from vla_recorder.importers.recording import Found, ImportFileError, Loss, ReadOptions

FORMATS = (
    "ALOHA's HDF5 (observations/qpos), LIBERO's HDF5 (data/demo_0) or"
    f" RLDS (a folder with {libero_rlds.HEAD})"
)


def recordings(sources: Sequence[Path], options: ReadOptions) -> Found:
    """The episodes of files and folders, in the order given and of the numbers in their names.

    Raises:
        ImportFileError: There is nothing to import, or something of another format.
    """
    for source in sources:
        for place in _places(source):
            if place.is_dir():
                yield from libero_rlds.recordings(place, options)
            else:
                yield from _of_hdf5(place, options)


def _of_hdf5(file: Path, options: ReadOptions) -> Found:
    """The episodes of a file; what is damaged in it is lost, the other files are not."""
    try:
        with open_hdf5(file) as root:
            known = {aloha_hdf5.recordings: aloha_hdf5.is_aloha(root)}
            known[libero_hdf5.recordings] = libero_hdf5.is_libero(root)
            readers = [reader for reader, fits in known.items() if fits]
            found = [item for reader in readers for item in reader(file, root, options)]
    except ImportFileError as error:
        yield Loss(where=str(file), what=str(error), episodes=None)
        return
    if len(readers) != 1:
        raise _unknown(file, "an HDF5 file of another kind")
    yield from found


def _places(source: Path) -> list[Path]:
    """HDF5 files and folders of RLDS at a source or below it."""
    if not source.is_dir():
        if source.is_file() and source.suffix in SUFFIXES:
            return [source]
        raise _unknown(source, "a file" if source.is_file() else "nothing")
    folders = [head.parent for head in source.rglob(libero_rlds.HEAD)]
    files = [file for file in source.rglob("*") if file.suffix in SUFFIXES and file.is_file()]
    if bool(folders) == bool(files):
        raise _unknown(source, f"{len(files)} HDF5 files, {len(folders)} folders of RLDS")
    return sorted(folders or files, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts `episode_2` before `episode_10`."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _unknown(where: Path, found: str) -> ImportFileError:
    return ImportFileError(
        "nothing that can be imported", where=str(where), found=found, allowed=FORMATS
    )
