"""The files of `infer --case` and `--out`: read with bounds, written whole or not at all."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo
from zlib import error as ZlibError

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from vla_core.errors import PolicyError

MAX_BYTES = 1 << 30  # of all arrays together; the logits of a long batch have half of it
KNOWN = re.compile(
    r"in/(image(_mask)?/.+|tokens|token_mask|state|actions|noise|time|train_noise|train_time"
    r"|stop/(tokens|token_mask)|train/token(s|_mask|_ar_mask|_loss_mask))"
    r"|out(_bf16)?/(sample_actions_10|sample_actions_5|velocity|loss|(stop/)?(tokens|logits))"
)
#: RuntimeError: encrypted; those in the last line: of numpy, for a header that is none
UNREADABLE = (
    *(BadZipFile, ZlibError, OSError, EOFError, RuntimeError),
    *(ValueError, TypeError, LookupError, SyntaxError, TokenError, MemoryError),
)


def load_case(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a case that this program knows, in this machine's byte order.

    Sizes are those of the headers, and are judged before anything is read.

    Raises:
        PolicyError: It is no npz file, holds no inputs, or is too large.
    """
    if not path.is_file():  # a pipe would be waited for
        found = "no regular file" if path.exists() else "nothing"
        raise _unreadable(path, found)
    try:
        with ZipFile(path) as archive:
            case = _read(archive)
    except UNREADABLE as error:
        raise _unreadable(path, error) from error
    if "in/tokens" not in case:
        raise PolicyError(
            "a case without inputs",
            where=str(path),
            found=", ".join(sorted(case)[:8]),
            allowed="arrays in/tokens, in/token_mask, in/image/<camera>, ...",
        )
    return case


def _read(archive: ZipFile) -> dict[str, NDArray[Any]]:
    case: dict[str, NDArray[Any]] = {}
    left = MAX_BYTES
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if KNOWN.fullmatch(name):
            case[name] = _array(archive, info, left)
            left -= case[name].nbytes
    return case


def _array(archive: ZipFile, info: ZipInfo, max_bytes: int) -> NDArray[Any]:
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise ValueError(f"{info.filename} is compressed in an unusual way")
    with archive.open(info) as member:
        if npy.read_magic(member) != (1, 0):  # later ones have headers of up to 4 GB
            raise ValueError(f"{info.filename} is of another version than 1.0")
        shape, is_fortran, dtype = npy.read_array_header_1_0(member)
        if dtype.kind not in "buif" or dtype.itemsize > 8:
            raise ValueError(f"{info.filename} has values of type {dtype}")
        size = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or size > max_bytes:
            raise ValueError(
                f"{info.filename} is too large: {dtype} {shape}, with it the case"
                f" has more than {MAX_BYTES} bytes"
            )
        content = member.read(size)
        if len(content) < size or member.read(1):
            raise ValueError(f"{info.filename} has another length than its header says")
    order: Any = "F" if is_fortran else "C"
    array: NDArray[Any] = np.ndarray(shape, dtype, content, order=order)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _unreadable(path: Path, found: object) -> PolicyError:
    return PolicyError(
        "a case cannot be read", where=str(path), found=found, allowed="an npz file of numbers"
    )


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to fill that takes its name when it is whole; after a fault it is gone.

    Raises:
        PolicyError: There is no such directory, or something else than a file of that name.
    """
    if not path.parent.is_dir() or (path.exists() and not path.is_file()):
        raise PolicyError(
            "the outputs cannot be written",
            where=str(path),
            found="no regular file" if path.exists() else "no such directory",
            allowed="a file in a directory that exists",
        )
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("xb") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
