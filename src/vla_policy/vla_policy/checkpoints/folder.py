"""A directory that somebody else filled: what may lie in it, and how ours comes to be whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vla_core.errors import CheckpointError

MOST_ENTRIES = 100_000  # an OCDBT checkpoint has some hundred


def checked_names(directory: Path) -> set[str]:
    """Names of the files and folders in a checkpoint directory.

    Raises:
        CheckpointError: There is none, or something in it is a link that leads out of it, or
            neither a file nor a folder.
    """
    if not directory.is_dir():
        raise CheckpointError(
            "no checkpoint directory",
            where=str(directory),
            found="a file" if directory.exists() else "nothing",
            allowed="a directory of a supported format: ros2 run vla_policy list --formats",
            fix="give the directory that holds the weights, or make one to try with: "
            "ros2 run vla_policy make_random_checkpoint --output DIR",
        )
    allowed = [directory.resolve()]
    for parent in directory.absolute().parents:
        if parent.name == "snapshots":  # of the Hub's cache: links to blobs, some of them shared
            cache = parent.parent.resolve()
            allowed += [cache / "blobs", cache.parent / "blobs"]
    for count, entry in enumerate(_walk(directory)):
        target = _target(entry)
        if count >= MOST_ENTRIES:
            raise _bad(directory, f"more than {MOST_ENTRIES} entries", "a checkpoint")
        if not any(target.is_relative_to(root) for root in allowed):
            raise _bad(entry, f"a link to {target}", "links that stay in the directory")
        if not (target.is_file() or target.is_dir()):
            raise _bad(entry, "no regular file", "files and folders")
    return {entry.name for entry in directory.iterdir()}


@contextmanager
def new_directory(directory: Path) -> Iterator[Path]:
    """A directory to fill that takes its name when it is whole; after a fault there is none.

    Raises:
        CheckpointError: There is something of that name.
    """
    directory = directory.absolute()
    if directory.exists() and not (directory.is_dir() and not any(directory.iterdir())):
        raise CheckpointError(
            "a checkpoint is never written over something else",
            where=str(directory),
            found="a directory with files" if directory.is_dir() else "a file",
            allowed="a path that does not exist, or an empty directory",
            fix="give another directory, or remove this one",
        )
    partial = directory.with_name(f".{directory.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # what a killed run left
    partial.mkdir(parents=True)
    try:
        yield partial
        for entry in [*partial.rglob("*"), partial]:
            _sync(entry)
        partial.rename(directory)
        _sync(directory.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _walk(directory: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(directory):  # links to folders are not followed
        yield from (Path(root, name) for name in (*folders, *files))


def _target(entry: Path) -> Path:
    try:
        return entry.resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: up to Python 3.12
        raise _bad(entry, "a link that leads to itself", "files and folders") from error


def _bad(where: Path, found: str, allowed: str) -> CheckpointError:
    return CheckpointError(
        "a checkpoint directory holds what it should not",
        where=str(where),
        found=found,
        allowed=allowed,
        fix="copy the files themselves into the directory",
    )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
