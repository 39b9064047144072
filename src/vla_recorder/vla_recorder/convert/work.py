"""The folder in which a dataset grows until it gets its name."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vla_core.dataset.files import check_output, refuse_foreign, sync
from vla_recorder.convert.errors import ConvertError

_LOCK: Final = "lock"  # a folder without it was not made here
_OURS: Final = (_LOCK, "episodes", "dataset", "dataset.partial", ".dataset.replaced", "replaced")


@dataclass(frozen=True, slots=True, kw_only=True)
class Existing:
    """What to do with what is there already; all false: refuse.

    Attributes:
        resume: Take what an interrupted conversion has finished.
        overwrite: Replace the dataset when the new one is whole.
        append: Add to the dataset; what an interrupted one has finished is taken.
    """

    resume: bool = False
    overwrite: bool = False
    append: bool = False

    @property
    def may_be(self) -> bool:
        """Whether something may be there."""
        return self.resume or self.overwrite or self.append


class Work:
    """``OUTPUT.work``: staged episodes, and the dataset until it is whole.

    Attributes:
        output: The name of the dataset.
        folder: This folder.

    Raises:
        ConvertError: The output has no name that another folder could get meanwhile.
    """

    def __init__(self, output: Path) -> None:
        if output.name in ("", ".."):
            raise ConvertError(
                "the output needs a name of its own",
                where=f"--output {output}",
                fix="name a new folder",
            )
        self.output = output
        self.folder = output.with_name(output.name + ".work")
        self._replaced = self.folder / "replaced"

    @property
    def dataset(self) -> Path:
        """Where the dataset is made."""
        return self.folder / "dataset"

    def staged(self, name: str) -> Path:
        """Where an episode is staged."""
        return self.folder / "episodes" / name

    @contextmanager
    def opened(self, existing: Existing, sources: Sequence[Path]) -> Iterator[None]:
        """Hold the folder; when something goes wrong, finished episodes in it stay.

        Args:
            existing: What may be there.
            sources: What is read, and must not be replaced.

        Raises:
            ConvertError, DatasetError: What is there must not be touched, or another conversion
                is at work.
            OSError: It cannot be made.
        """
        check_output(self.output, overwrite=existing.may_be, sources=sources)
        if existing.append and not (self.output.exists() or self._replaced.exists()):
            raise ConvertError("there is nothing to append to", where=str(self.output))
        if self.folder.exists():
            refuse_foreign(self.folder, _OURS if (self.folder / _LOCK).is_file() else ())
            if not existing.may_be:
                raise ConvertError(
                    "an interrupted conversion is there",
                    where=str(self.folder),
                    fix="give --resume or --overwrite, or another --output",
                )
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / _LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConvertError(
                    "another conversion makes this dataset", where=str(self.folder)
                ) from None
            if self._replaced.exists() and not self.output.exists():
                self._replaced.rename(self.output)  # killed between two renames
            if existing.overwrite and not existing.resume:
                shutil.rmtree(self.folder / "episodes", ignore_errors=True)
            try:
                yield
            except BaseException:
                whole = self.folder.glob("episodes/*")
                if all(folder.suffix == ".partial" for folder in whole):
                    self.remove()  # there is nothing to resume
                raise

    def publish(self) -> None:
        """Give the dataset, which is on the disk, its name, and remove all else."""
        shutil.rmtree(self._replaced, ignore_errors=True)
        if self.output.exists():
            self.output.rename(self._replaced)
        self.dataset.rename(self.output)
        sync(self.output.parent)
        self.remove()

    def remove(self) -> None:
        """Remove the folder; nothing of it is needed any more.

        The lock goes last: by it a rest is known as one of this converter, if it is killed here.
        """
        for name in _OURS[1:]:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        shutil.rmtree(self.folder)
