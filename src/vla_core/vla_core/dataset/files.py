"""Folders that appear whole or not at all, on the disk before they get their name."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vla_core.dataset.info import DatasetError

_PARTS = ("meta", "data", "videos", "images")  # of a dataset


def write_text(file: Path, text: str) -> None:
    """Writes UTF-8 text; the folder is made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def sync_tree(folder: Path) -> None:
    """Waits until a folder, all in it, and its own entry are on the disk."""
    for path in (*folder.rglob("*"), folder, folder.parent):
        sync(path)


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def link_or_copy(source: Path, target: Path) -> None:
    """The same bytes under another name, without a copy where the file system can."""
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def check_output(output: Path, *, overwrite: bool, sources: Iterable[Path] = ()) -> None:
    """Refuses a place where a dataset must not appear.

    Only a dataset is ever replaced, and none that holds something it is made of.

    Args:
        output: The folder to be.
        overwrite: Whether a dataset that is there may be replaced.
        sources: Files and folders that are read.

    Raises:
        DatasetError: There is something else, or a source lies in it.
    """
    inside = [path for path in sources if path.resolve().is_relative_to(output.resolve())]
    if inside:
        raise DatasetError(
            "the output would replace what it is made of",
            where=str(output),
            found=", ".join(str(path) for path in inside),
            fix="give another --output",
        )
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not overwrite:
        raise DatasetError(
            "the output exists", where=str(output), fix="give another --output, or --overwrite"
        )
    if not (output / "meta" / "info.json").is_file():
        raise DatasetError(
            "the output exists and is no dataset: it is not replaced",
            where=str(output),
            allowed="a folder with meta/info.json",
            fix="give another --output",
        )


def refuse_foreign(folder: Path, ours: Collection[str]) -> None:
    """Refuses a folder for work in progress that holds anything else: it will be emptied.

    Raises:
        DatasetError: It does.
    """
    if foreign := sorted(path.name for path in folder.iterdir() if path.name not in ours):
        raise DatasetError(
            "a folder of the name that is needed meanwhile holds something else",
            where=str(folder),
            found=", ".join(foreign[:5]),
            fix="move it away, or give another --output",
        )


@contextmanager
def replacing(output: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder to fill, which gets its name when the block ends without an error.

    ``output.partial`` is filled; what is replaced is ``.output.replaced`` for the moment between
    two renames, and is put back if the process ended there.

    Raises:
        DatasetError: The output exists, another process writes it, or the disk is full.
    """
    output = output.absolute()
    partial = output.with_name(f"{output.name}.partial")
    old = output.with_name(f".{output.name}.replaced")  # no name that a person gives a copy
    try:
        partial.mkdir(parents=True, exist_ok=True)
        refuse_foreign(partial, _PARTS)
        handle = _locked(partial)
        try:
            if old.exists() and not output.exists():
                old.rename(output)
            check_output(output, overwrite=overwrite)
            _empty(partial)
            yield partial
            sync_tree(partial)
            if output.exists():
                shutil.rmtree(old, ignore_errors=True)
                output.rename(old)
            partial.rename(output)
            sync(output.parent)
            shutil.rmtree(old, ignore_errors=True)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        finally:
            os.close(handle)
    except OSError as error:
        raise DatasetError(
            "a dataset cannot be written",
            where=str(output),
            found=error,
            fix="look for space on the disk and for permission; nothing has got this name",
        ) from error


def _locked(folder: Path) -> int:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise DatasetError(
            "another process writes this dataset",
            where=str(folder),
            fix="wait for it, or give another --output",
        ) from error
    return handle


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
