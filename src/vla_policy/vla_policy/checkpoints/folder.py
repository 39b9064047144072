"""A directory that somebody else filled: what may lie in it, and how ours comes to be whole."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vla_core.errors import CheckpointError

MOST_ENTRIES = 20_000  # an OCDBT checkpoint has some hundred
MOST_LEVELS = 32
STOPS = (signal.SIGINT, signal.SIGTERM)


def checked_names(directory: Path) -> set[str]:
    """Names of the files and folders in a checkpoint directory.

    Raises:
        CheckpointError: There is none, or it is no tree of a checkpoint's size, or something in
            it is a link that leads out of it, or neither a file nor a folder.
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
    for entry in _entries(directory):
        found: os.DirEntry[str] | Path = entry
        if entry.is_symlink():
            found = target = _target(Path(entry.path))
            if not any(target.is_relative_to(root) for root in allowed):
                raise _bad(entry.path, f"a link to {target}", "links that stay in the directory")
        if not (found.is_file() or found.is_dir()):
            raise _bad(entry.path, "no regular file", "files and folders")
    return {entry.name for entry in directory.iterdir()}


@contextmanager
def new_directory(directory: Path, *, outside: Path | None = None) -> Iterator[Path]:
    """A directory to fill that takes its name when it is whole.

    After a fault there is none, nor after Ctrl-C or SIGTERM.

    Args:
        directory: Must not exist yet, or be empty; ``~`` is the user's home.
        outside: A directory that it must not lie in.

    Raises:
        CheckpointError: There is something of that name, or it cannot be written.
    """
    try:
        directory = _free(directory, outside)
        partial = directory.with_name(f".{directory.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)  # what a killed run left
        made = [parent for parent in partial.parents if not parent.exists()]
    except (OSError, RuntimeError) as error:  # RuntimeError: no such user, links in a circle
        raise _unwritable(directory, error) from error
    with _stopped_once():
        try:
            partial.mkdir(parents=True)
            yield partial
            for entry in [*partial.rglob("*"), partial]:
                _sync(entry)
            partial.rename(directory)
            _sync(directory.parent)
        except OSError as error:
            raise _unwritable(directory, error) from error
        finally:
            with undisturbed():
                shutil.rmtree(partial, ignore_errors=True)
                for parent in made:
                    with suppress(OSError):  # not there, or in use by now
                        parent.rmdir()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Holds back Ctrl-C and SIGTERM until what must not be left half-done has ended."""
    held: list[int] = []
    with _handled(STOPS, lambda number, _: held.append(number)):
        yield
    for number in held[:1]:
        signal.raise_signal(number)


@contextmanager
def _stopped_once() -> Iterator[None]:
    """Ctrl-C and SIGTERM unwind the stack; a second one does not keep it from cleaning up."""
    usual = (signal.SIG_DFL, signal.default_int_handler)  # other handlers are left alone
    numbers = [number for number in STOPS if signal.getsignal(number) in usual]

    def stop(number: int, _: object) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + number)

    with _handled(numbers, stop):
        yield


@contextmanager
def _handled(numbers: Iterable[int], handler: Callable[[int, Any], object]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        yield
        return
    ours = [number for number in numbers if signal.getsignal(number) is not None]  # not C's
    before = {number: signal.signal(number, handler) for number in ours}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _free(directory: Path, outside: Path | None) -> Path:
    """The absolute path, when nothing is there."""
    if ":/" in str(directory):  # a Path has joined the two slashes
        raise CheckpointError(
            "a checkpoint is written to this machine only",
            where=str(directory),
            found="an address",
            allowed="a directory",
            fix="write it to a directory, and upload that",
        )
    directory = directory.expanduser().resolve()
    if outside is not None and directory.is_relative_to(outside.resolve()):
        raise CheckpointError(
            "a checkpoint is never written into the one that it is made from",
            where=str(directory),
            found=f"a directory in {outside}",
            allowed="a path outside of it",
            fix="give another directory",
        )
    if directory.exists() and not (directory.is_dir() and not any(directory.iterdir())):
        raise CheckpointError(
            "a checkpoint is never written over something else",
            where=str(directory),
            found="a directory with files" if directory.is_dir() else "a file",
            allowed="a path that does not exist, or an empty directory",
            fix="give another directory, or remove this one",
        )
    return directory


def _entries(directory: Path) -> Iterator[os.DirEntry[str]]:
    """All that lies in a directory and below; links are not followed."""
    waiting, count = [(str(directory), 1)], 0
    while waiting:
        folder, level = waiting.pop()
        if level > MOST_LEVELS:
            raise _bad(directory, f"more than {MOST_LEVELS} levels of folders", "a checkpoint")
        try:
            with os.scandir(folder) as found:
                for entry in found:
                    if (count := count + 1) > MOST_ENTRIES:
                        raise _bad(directory, f"over {MOST_ENTRIES} entries", "a checkpoint")
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((entry.path, level + 1))
                    yield entry
        except OSError as error:
            raise _bad(folder, f"{error.strerror}", "folders that can be read") from error


def _target(entry: Path) -> Path:
    try:
        return entry.resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: up to Python 3.12
        raise _bad(entry, "a link that leads to itself", "files and folders") from error


def _bad(where: Path | str, found: str, allowed: str) -> CheckpointError:
    return CheckpointError(
        "a checkpoint directory holds what it should not",
        where=str(where),
        found=found,
        allowed=allowed,
        fix="give the directory of one checkpoint, with the files themselves in it",
    )


def _unwritable(directory: Path, error: Exception) -> CheckpointError:
    name = getattr(error, "filename", None)
    return CheckpointError(
        "a checkpoint cannot be written",
        where=str(directory),
        found=f"{getattr(error, 'strerror', None) or error}{f' ({name})' if name else ''}",
        allowed="a new directory on a disk with room for it, where you may write",
        fix="give another directory, make room, or remove what is in the way",
    )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
