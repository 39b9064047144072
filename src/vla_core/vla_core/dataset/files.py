"""Folders that appear whole or not at all, on the disk before they get their name."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vla_core.dataset.info import DatasetError


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


@contextmanager
def replacing(output: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder to fill, which gets its name when the block ends without an error.

    ``output.partial`` is filled; what is replaced is ``output.old`` for the moment between two
    renames, and is put back if the process ended there.

    Raises:
        DatasetError: The output exists, another process writes it, or the disk is full.
    """
    output = output.absolute()
    partial, old = (output.with_name(f"{output.name}.{end}") for end in ("partial", "old"))
    try:
        partial.mkdir(parents=True, exist_ok=True)
        handle = _locked(partial)
        try:
            if old.exists() and not output.exists():
                old.rename(output)
            if (
                output.exists()
                and not overwrite
                and (not output.is_dir() or any(output.iterdir()))
            ):
                raise DatasetError(
                    "the output exists",
                    where=str(output),
                    fix="give another --output, or --overwrite",
                )
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
