"""The files of a bag, in their order."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from vla_recorder.bags.metadata import MAX_BYTES, Metadata, parse_metadata
from vla_recorder.bags.types import BagError, Loss

METADATA_NAME = "metadata.yaml"
STORAGES = (".mcap", ".db3")
PACKED = (".zstd", ".zst")


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """What was found at a path.

    Attributes:
        metadata: From ``metadata.yaml``; None where it is missing or wrong.
        losses: What is missing, or lies there without being part of the bag.
    """

    files: tuple[Path, ...]
    metadata: Metadata | None = None
    losses: list[Loss] = field(default_factory=list)


def find_files(path: Path) -> Folder:
    """The files of the bag at a path: a folder or a single file.

    Raises:
        BagError: There is no bag, or its metadata names files outside its folder.
    """
    if path.is_file():
        if storage_of(path) is None:
            raise BagError(
                "not a file of a bag",
                where=str(path),
                found=path.suffix or "no ending",
                allowed=", ".join((*STORAGES, *(s + p for s in STORAGES for p in PACKED))),
            )
        return Folder(files=(path,))
    if not path.is_dir():
        raise BagError("there is no such bag", where=str(path), allowed="a folder or a file")
    there = _by_name(path)
    metadata, losses = _metadata(path)
    if metadata is not None:
        return _as_listed(path, metadata, there)
    if not there:
        raise BagError(
            "the folder holds no bag",
            where=str(path),
            allowed=f"files that end in {' or '.join(STORAGES)}",
        )
    return Folder(files=there, losses=losses)


def storage_of(path: Path) -> str | None:
    """How a file stores its messages, by its name: one of ``STORAGES``; None for others."""
    name = path.with_suffix("") if path.suffix in PACKED else path
    return name.suffix if name.suffix in STORAGES else None


def _by_name(path: Path) -> tuple[Path, ...]:
    """All files that can be part of a bag; numbers in names count as numbers."""
    found = {
        entry.name: entry
        for entry in path.iterdir()
        if storage_of(entry) is not None and entry.is_file()
    }
    whole = [  # a recorder that is killed while it packs a file leaves both
        entry
        for name, entry in found.items()
        if not (entry.suffix in PACKED and entry.stem in found)
    ]
    return tuple(sorted(whole, key=lambda entry: _natural(entry.name)))


def _natural(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def _metadata(path: Path) -> tuple[Metadata | None, list[Loss]]:
    file = path / METADATA_NAME
    if not file.exists():
        what = "missing: the recorder was stopped before it closed the bag"
        return None, [Loss(file=METADATA_NAME, what=what, messages=None)]
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_BYTES + 1).decode()
        return parse_metadata(text, str(file)), []
    except (BagError, UnicodeDecodeError) as error:
        return None, [Loss(file=METADATA_NAME, what=f"wrong: {error}", messages=None)]


def _as_listed(path: Path, metadata: Metadata, there: tuple[Path, ...]) -> Folder:
    """The files in the order of recording; those that are not listed are not read."""
    files = [_inside(path, name) for name in metadata.files]
    missing = [file for file in files if not file.is_file()]
    if len(set(files)) != len(files):
        raise BagError("the metadata names a file twice", where=str(path / METADATA_NAME))
    unlisted = [file for file in there if file not in files]
    if missing and unlisted:
        names = ", ".join(file.name for file in missing)
        what = f"wrong: it names files that are not there: {names}"
        return Folder(
            files=there,
            metadata=metadata,
            losses=[Loss(file=METADATA_NAME, what=what, messages=None)],
        )
    losses = [Loss(file=file.name, what="missing", messages=None) for file in missing]
    losses += [
        Loss(file=file.name, what=f"not read: {METADATA_NAME} does not name it", messages=None)
        for file in unlisted
    ]
    present = tuple(file for file in files if file.is_file())
    if not present:
        raise BagError(
            "the folder holds no file of its bag",
            where=str(path),
            allowed=", ".join(metadata.files) or "at least one file",
        )
    return Folder(files=present, metadata=metadata, losses=losses)


def _inside(path: Path, name: str) -> Path:
    """A file by the name that the metadata gives it; old formats put the folder before it."""
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts or "\0" in name:
        raise BagError(
            "the metadata names a file outside the bag",
            where=str(path / METADATA_NAME),
            found=name,
            allowed="files in the bag's folder",
        )
    file = path / relative
    if storage_of(file) is None:
        raise BagError(
            "the metadata names a file of an unknown kind",
            where=str(path / METADATA_NAME),
            found=name,
            allowed=", ".join(STORAGES),
        )
    return file if file.exists() else path / relative.name
