"""HDF5 files that somebody else wrote: only what lies in the file itself, of plain numbers.

HDF5 can point to other files in four ways (external links, soft links, external storage, virtual
datasets), fills up with zeros what was never written, and holds pickled objects as bytes that
nobody here loads. All of these are refused.

Source: https://docs.hdfgroup.org/hdf5/latest/ (links, storage) and h5py's documentation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from vla_recorder.importers.recording import MAX_ROWS, ImportFileError

SUFFIXES = (".hdf5", ".h5")
FLOATS = ("f4", "f8")
MAX_ROW_BYTES = 256 << 20
_MAX_CHUNK_BYTES = 256 << 20  # what is unpacked for one row of it
_CACHE_BYTES = 16 << 20


@contextmanager
def open_hdf5(file: Path) -> Iterator[Any]:
    """The root of a file.

    Raises:
        ImportFileError: It is damaged, wherever that shows while it is open.
    """
    try:
        with h5py.File(file, "r", locking="best-effort", rdcc_nbytes=_CACHE_BYTES) as root:
            yield root
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise ImportFileError(
            "an HDF5 file is damaged",
            where=str(file),
            found=error,
            allowed="a whole file that h5py reads",
            fix="copy or record it again",
        ) from error


def find(root: Any, path: str) -> Any:
    """What lies at a path; None where nothing does.

    Raises:
        ImportFileError: The way there is no plain link within the file.
    """
    node = root
    for part in path.split("/"):
        link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise _refused(f"{root.file.filename}, {path}", f"{type(link).__name__} at {part!r}")
        node = node[part]
    return node


def table(
    root: Any, path: str, *, dtypes: tuple[str, ...] = FLOATS, dims: tuple[int, ...] = (2,)
) -> Any:
    """The dataset at a path, judged before any of it is read.

    Args:
        root: A group.
        path: From there.
        dtypes: Those that it may have, as kind and bytes; ``S`` of any length.
        dims: How many dimensions it may have; the first are the rows.

    Raises:
        ImportFileError: There is none, or it is of another kind, not all in the file, or of a
            size that no episode has.
    """
    found = find(root, path)
    where = f"{root.file.filename}, {root.name.rstrip('/')}/{path}"
    if not isinstance(found, h5py.Dataset):
        raise ImportFileError("an episode lacks data", where=where, found="no such dataset")
    kind = found.dtype.kind
    if (kind if kind == "S" else f"{kind}{found.dtype.itemsize}") not in dtypes or (
        found.ndim not in dims
    ):
        raise ImportFileError(
            "data of another kind",
            where=where,
            found=f"{found.dtype} of shape {found.shape}",
            allowed=f"{', '.join(dtypes)}, {' or '.join(map(str, dims))} dimensions",
        )
    if found.external or found.is_virtual:
        raise _refused(where, "data in another file")
    row_bytes = math.prod(found.shape[1:]) * found.dtype.itemsize
    chunk_bytes = math.prod(found.chunks or ()) * found.dtype.itemsize
    if not (
        1 <= found.shape[0] <= MAX_ROWS
        and 1 <= row_bytes <= MAX_ROW_BYTES
        and chunk_bytes <= _MAX_CHUNK_BYTES
    ):
        raise ImportFileError(
            "data of a size that no episode has",
            where=where,
            found=f"shape {found.shape}, chunks {found.chunks}",
            allowed=f"1 to {MAX_ROWS} rows, of 1 to {MAX_ROW_BYTES} bytes",
        )
    if not _all_written(found, row_bytes):
        raise ImportFileError(
            "a recording is not complete",
            where=where,
            found="rows that were never written",
            allowed="all rows; what is missing would read as zeros",
            fix="record it again, or leave the file out",
        )
    return found


def group(root: Any, path: str) -> Any:
    """The group at a path.

    Raises:
        ImportFileError: There is none.
    """
    found = find(root, path)
    if not isinstance(found, h5py.Group):
        raise ImportFileError(
            "an episode lacks data", where=f"{root.file.filename}, {path}", found="no such group"
        )
    return found


def _all_written(dataset: Any, row_bytes: int) -> bool:
    if dataset.chunks is None:
        return bool(dataset.id.get_storage_size() >= dataset.shape[0] * row_bytes)
    sizes = zip(dataset.shape, dataset.chunks, strict=True)
    return bool(dataset.id.get_num_chunks() == math.prod(-(-all_ // one) for all_, one in sizes))


def _refused(where: str, found: str) -> ImportFileError:
    return ImportFileError(
        "an HDF5 file points outside of itself or on another place",
        where=where,
        found=found,
        allowed="data that lie where they are looked for",
        fix="copy the data into one plain file (h5repack, h5copy)",
    )
