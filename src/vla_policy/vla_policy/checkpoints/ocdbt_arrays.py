"""Arrays in an OCDBT database, as orbax writes them: zarr version 2, keys ``<array>/<chunk>``.

tensorstore alone reads and writes them; neither JAX nor orbax is needed. Everything that the
database claims is checked against the list of its keys before an array is read.
Source: https://google.github.io/tensorstore/kvstore/ocdbt and zarr's specification, version 2.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import tensorstore as ts
import torch
from torch import Tensor

from vla_core.errors import CheckpointError
from vla_core.json_file import parse_object
from vla_policy.checkpoints.folder import undisturbed
from vla_policy.checkpoints.json_file import read_json_object
from vla_policy.checkpoints.stored import stored_dtype

DTYPES = {"<f4": torch.float32, "bfloat16": torch.bfloat16, "<f2": torch.float16}
INDEX = "(?:0|[1-9][0-9]{0,8})"  # as tensorstore spells it: it would not look for another
KEY = re.compile(rf"([^/]+)/(\.zarray|\.zattrs|{INDEX}(?:\.{INDEX})*)")
#: What else a header may say. By other values tensorstore would look for chunks in other places
#: and fill in what it does not find, or turn the array.
SETTINGS: Mapping[str, tuple[object, ...]] = {
    "zarr_format": (2,),
    "order": ("C",),
    "filters": (None,),
    "fill_value": (None, 0),
    "dimension_separator": (".",),
}
MANIFEST, TREE = "manifest.ocdbt", "_METADATA"
LARGEST_DIMENSION = 1 << 24
MOST_COMPRESSION = 20  # weights shrink by a third; more is a trap
UNCHECKED_BYTES = 1 << 30  # what may be declared in however small a file
WRITTEN_BYTES = 128 << 20  # of one chunk, and of chunks that wait to be written together
NODES_BYTES = 64 << 20  # cache for the database's own index
THREADS = 4

ERRORS = (ValueError, OSError, RuntimeError, NotImplementedError, KeyError, IndexError)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArraySizes:
    """What an array's header says.

    Args:
        shape: Of the whole array.
        chunks: Of the pieces that it is stored in.
        dtype: As stored.
    """

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: torch.dtype

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def grid(self) -> tuple[int, ...]:
        """Number of chunks along each axis."""
        return tuple(-(-n // c) for n, c in zip(self.shape, self.chunks, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class OcdbtArrays:
    """The headers of all arrays of a database.

    Args:
        path: The directory with ``manifest.ocdbt``.
        arrays: By key, such as ``params.PaliGemma.img.head.bias``.
    """

    path: Path
    arrays: Mapping[str, ArraySizes]

    def whole(self, key: str) -> Tensor:
        """One array."""
        return self._read(key, self._open(key, NODES_BYTES))

    def rows(self, key: str) -> Iterator[Tensor]:
        """What lies along the first axis of an array, one by one.

        A chunk that spans several rows is decoded once and kept until they are drawn.
        """
        sizes = self.arrays[key]
        row_of_chunks = sizes.chunks[0] * math.prod(
            n * c for n, c in zip(sizes.grid[1:], sizes.chunks[1:], strict=True)
        )
        kept = row_of_chunks * sizes.dtype.itemsize if sizes.chunks[0] > 1 else 0
        store = self._open(key, NODES_BYTES + kept)
        for index in range(sizes.shape[0]):
            yield self._read(key, store[index])

    def _open(self, key: str, cache_bytes: int) -> Any:
        where = f"{self.path}, {key}"
        spec = {
            "driver": "zarr",
            "kvstore": {**_database(self.path), "path": f"{key}/"},
            "recheck_cached_data": "open",
            "recheck_cached_metadata": "open",
        }
        context = _context(cache_bytes)
        store = _checked(where, lambda: ts.open(spec, context=context, read=True).result())
        if tuple(store.shape) != self.arrays[key].shape:
            raise _damaged(where, f"shape {tuple(store.shape)}, before {self.arrays[key].shape}")
        return store

    def _read(self, key: str, store: Any) -> Tensor:
        array = _checked(f"{self.path}, {key}", lambda: store.read(order="C").result())
        if self.arrays[key].dtype is torch.bfloat16:  # which torch does not take from numpy
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(array)


def open_ocdbt(path: Path) -> OcdbtArrays:
    """The headers of a database.

    Raises:
        CheckpointError: It is damaged, incomplete, or declares what its files cannot hold.
    """
    if not (path / MANIFEST).is_file():
        raise _damaged(str(path), f"no {MANIFEST}")
    store = _checked(
        str(path), lambda: ts.KvStore.open(_database(path), context=_context(NODES_BYTES)).result()
    )
    headers: set[str] = set()
    chunks: dict[str, set[tuple[int, ...]]] = {}
    for encoded in _checked(str(path), lambda: store.list().result()):
        key = encoded.decode(errors="replace")
        if (match := KEY.fullmatch(key)) is None:
            raise _damaged(str(path), f"key {key[:200]!r}")
        name, item = match.groups()
        if item == ".zarray":
            headers.add(name)
        elif item != ".zattrs":
            chunks.setdefault(name, set()).add(tuple(map(int, item.split("."))))
    if not headers or chunks.keys() - headers:
        raise _damaged(str(path), f"{len(headers)} arrays, {len(chunks)} arrays with data")
    dense = _is_dense(path)
    arrays = {}
    for name in sorted(headers):
        arrays[name] = _header(store, name, f"{path}, {name}")
        _require_chunks(arrays[name], chunks.get(name, set()), dense, f"{path}, {name}")
    _require_plausible(path, sum(sizes.num_bytes for sizes in arrays.values()))
    return OcdbtArrays(path=path, arrays=arrays)


@dataclass(slots=True)
class OcdbtWriter:
    """Writes arrays piece by piece; ``close`` at the end.

    Args:
        path: The directory of the database; need not exist.
        arrays: What to write, by key.
    """

    path: Path
    arrays: Mapping[str, ArraySizes]
    _stores: dict[str, Any] = field(init=False)
    _waiting: Any = field(init=False, default_factory=ts.Transaction)
    _waiting_bytes: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._stores = _written(self._create)

    def _create(self) -> dict[str, Any]:
        context = _context(NODES_BYTES)
        specs = {key: self._spec(key) for key in self.arrays}
        # All at once: the database writes what comes together in one step.
        opening = {key: ts.open(spec, context=context, create=True) for key, spec in specs.items()}
        for future in opening.values():
            future.exception()  # waits, for the others too when one has failed
        return {key: future.result() for key, future in opening.items()}

    def write(self, key: str, index: tuple[int, ...], tensor: Tensor) -> None:
        """Writes what lies at ``index`` along the first axes of an array."""
        tensor = tensor.contiguous()
        if tensor.dtype is torch.bfloat16:
            array = tensor.view(torch.int16).numpy().view(ts.bfloat16.numpy_dtype)
        else:
            array = tensor.numpy()
        store = self._stores[key].with_transaction(self._waiting)
        _written(lambda: store[index].write(array).result())
        self._waiting_bytes += array.nbytes
        if self._waiting_bytes >= WRITTEN_BYTES:
            self.close()

    def close(self) -> None:
        """Writes what waits; each such step costs a new version of the database's index."""
        waiting, self._waiting, self._waiting_bytes = self._waiting, ts.Transaction(), 0
        _written(waiting.commit_sync)

    def _spec(self, key: str) -> dict[str, Any]:
        sizes = self.arrays[key]
        codes = {dtype: code for code, dtype in DTYPES.items()}
        return {
            "driver": "zarr",
            "kvstore": {**_database(self.path), "path": f"{key}/"},
            "metadata": {
                "shape": sizes.shape,
                "chunks": sizes.chunks,
                "dtype": codes[sizes.dtype],
                "compressor": {"id": "zstd", "level": 1},
            },
            "store_data_equal_to_fill_value": True,
        }


def chunks_to_write(shape: tuple[int, ...], single: int, itemsize: int) -> tuple[int, ...]:
    """Chunks of one entry of each of the first ``single`` axes, and none too large."""
    rest = list(shape[single:])
    row_bytes = math.prod(rest[1:]) * itemsize
    rest[0] = min(rest[0], max(1, WRITTEN_BYTES // row_bytes))
    return (1,) * single + tuple(rest)


def _database(path: Path) -> dict[str, Any]:
    """Explicit drivers: no name in a checkpoint can lead to another store."""
    return {"driver": "ocdbt", "base": {"driver": "file", "path": f"{path}/"}}


def _context(cache_bytes: int) -> Any:
    threads = {"limit": THREADS}
    return ts.Context(
        {
            "cache_pool": {"total_bytes_limit": cache_bytes},
            "data_copy_concurrency": threads,
            "file_io_concurrency": threads,
        }
    )


def _header(store: Any, name: str, where: str) -> ArraySizes:
    text = _checked(where, lambda: store.read(f"{name}/.zarray").result().value)
    try:
        raw = parse_object(text)
        shape, chunks, code = tuple(raw["shape"]), tuple(raw["chunks"]), raw["dtype"]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(where, f"a header that cannot be read: {error!r}") from error
    for setting, allowed in SETTINGS.items():
        if raw.get(setting, allowed[0]) not in allowed:
            raise _damaged(where, f"{setting} {raw[setting]!r} instead of {allowed[0]!r}")
    dtype = stored_dtype(code, DTYPES, where)
    plain = all(type(n) is int for n in (*shape, *chunks))
    if not (
        plain
        and 1 <= len(shape) == len(chunks)
        and all(1 <= c <= n <= LARGEST_DIMENSION for n, c in zip(shape, chunks, strict=True))
    ):
        raise _damaged(where, f"shape {shape} in chunks of {chunks}")
    return ArraySizes(shape=shape, chunks=chunks, dtype=dtype)


def _require_chunks(
    sizes: ArraySizes, chunks: set[tuple[int, ...]], dense: bool, where: str
) -> None:
    """All chunks are there: tensorstore would read zeros for those that are not."""
    grid = sizes.grid
    inside = all(
        len(chunk) == len(grid) and all(i < n for i, n in zip(chunk, grid, strict=True))
        for chunk in chunks
    )
    if not inside or (dense and len(chunks) != math.prod(grid)):
        raise _damaged(where, f"{len(chunks)} chunks where {math.prod(grid)} belong")


def _is_dense(path: Path) -> bool:
    """Whether chunks of zeros are stored too; orbax says so since it does it."""
    if not (path / TREE).is_file():
        return True
    raw = read_json_object(path / TREE, max_bytes=64 << 20)
    return bool(raw.get("store_array_data_equal_to_fill_value", False))


def _require_plausible(path: Path, declared: int) -> None:
    stored = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    if declared > max(UNCHECKED_BYTES, MOST_COMPRESSION * stored):
        raise _damaged(str(path), f"{declared} bytes declared in files of {stored}")


def _checked(where: str, act: Callable[[], Result]) -> Result:
    """tensorstore's errors of any kind as ours."""
    try:
        return act()
    except ERRORS as error:
        raise _damaged(where, _brief(error)) from error


def _written(act: Callable[[], Result]) -> Result:
    """The same of writing, to its end: after an interruption its threads would go on."""
    with undisturbed():
        try:
            return act()
        except ERRORS as error:
            raise OSError(_brief(error)) from error


def _brief(error: Exception) -> str:
    """Without the specification of the store that tensorstore appends."""
    return str(error).partition(" [")[0][:300]


def _damaged(where: str, found: object) -> CheckpointError:
    return CheckpointError(
        "a database of weights cannot be read",
        where=where,
        found=found,
        allowed="a whole OCDBT database of zarr arrays, version 2, as openpi saves it",
        fix="copy or download the directory again, with all its files; it may be truncated",
    )
