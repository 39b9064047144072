"""Weights in safetensors files, one or sharded: headers first, then tensors one by one."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vla_core.errors import CheckpointError
from vla_policy.checkpoints.json_file import read_json_object
from vla_policy.checkpoints.stored import Shapes, stored_dtype

DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
PICKLE_STARTS = (b"\x80", b"PK\x03\x04", b"\x1f\x8b")  # pickle, torch's zip, a compressed one
INDEX_SUFFIX = ".index.json"
LISTED = 5  # names shown of each kind of fault
MAPPED_BYTES = 256 << 20  # a mapped file stays in memory until it is closed


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetensorsFile:
    """The headers of one weight file or of all its shards.

    Args:
        path: The file, or the index of the shards.
        files: File that holds each tensor, by the tensor's name.
        shapes: By the tensor's name.
        dtypes: Likewise.
        metadata: The free text in the headers.
    """

    path: Path
    files: Mapping[str, Path]
    shapes: Shapes
    dtypes: Mapping[str, torch.dtype]
    metadata: Mapping[str, str]

    def stream(self, names: Iterable[str] | None = None) -> Iterator[tuple[str, Tensor]]:
        """Tensors as stored, in the order of the files.

        Each is the mapped file itself: copy it before the next one is drawn.
        """
        wanted = set(self.files if names is None else names)
        for path in dict.fromkeys(self.files[name] for name in self.files):
            with _open(path) as file:
                left = [name for name in file.offset_keys() if name in wanted]
            while left:
                mapped = 0
                with _open(path) as file:
                    while left and mapped < MAPPED_BYTES:
                        tensor = file.get_tensor(left[0])
                        mapped += tensor.nbytes
                        yield left.pop(0), tensor
                        del tensor


def open_safetensors(directory: Path, name: str = "model.safetensors") -> SafetensorsFile:
    """The headers of ``name`` in a directory, or of the shards that its index lists.

    Raises:
        CheckpointError: It is damaged, a pickle, of types other than floating point, or shards
            overlap or are missing.
    """
    if (directory / name).exists():
        paths = [directory / name]
    else:
        paths = _shards(directory / (name + INDEX_SUFFIX))
    files: dict[str, Path] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    dtypes: dict[str, torch.dtype] = {}
    metadata: dict[str, str] = {}
    for path in paths:
        with _open(path) as file:
            metadata |= file.metadata() or {}
            for tensor in file.offset_keys():
                if tensor in files:
                    raise CheckpointError(
                        "two shards hold the same tensor",
                        where=str(directory),
                        found=f"{tensor} in {files[tensor].name} and {path.name}",
                        allowed="each tensor once",
                        fix="take all shards from the same checkpoint",
                    )
                header = file.get_slice(tensor)
                files[tensor] = path
                shapes[tensor] = tuple(header.get_shape())
                dtypes[tensor] = stored_dtype(header.get_dtype(), DTYPES, f"{path}, {tensor}")
    return SafetensorsFile(
        path=directory / name, files=files, shapes=shapes, dtypes=dtypes, metadata=metadata
    )


def write_safetensors(
    path: Path,
    shapes: Shapes,
    dtypes: Mapping[str, torch.dtype],
    tensors: Iterable[tuple[str, Tensor]],
    metadata: Mapping[str, str],
) -> None:
    """Writes a file of the same bytes as `safetensors.torch.save_file`, tensor by tensor.

    Args:
        path: The file; written in place, so give one that nobody reads yet.
        shapes: Of each tensor.
        dtypes: Of each tensor in the file.
        tensors: Each of them once, in any order and any floating type.
        metadata: Free text for the header.

    Source: https://github.com/huggingface/safetensors#format
    """
    codes = {dtype: code for code, dtype in DTYPES.items()}
    order = sorted(shapes, key=lambda name: (-dtypes[name].itemsize, codes[dtypes[name]], name))
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    for name in order:
        size = torch.Size(shapes[name]).numel() * dtypes[name].itemsize
        header[name] = {
            "dtype": codes[dtypes[name]],
            "shape": list(shapes[name]),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    written: set[str] = set()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(start := file.tell())
        file.truncate(start + offset)
        for name, tensor in tensors:
            file.seek(start + header[name]["data_offsets"][0])
            file.write(_bytes(tensor, dtypes[name]))
            written.add(name)
        if absent := shapes.keys() - written:
            raise CheckpointError(
                "weights are missing", where=str(path), found=_listed(absent), allowed="all"
            )
        file.flush()
        os.fsync(file.fileno())


def require_shapes(
    found: Shapes, expected: Shapes, *, optional: Iterable[str] = (), where: str
) -> None:
    """Raises one CheckpointError that lists missing, unexpected and misshapen tensors."""
    optional = set(optional)
    missing = expected.keys() - found.keys() - optional
    unexpected = found.keys() - expected.keys() - optional
    misshapen = [
        f"{name} {found[name]} instead of {expected[name]}"
        for name in found.keys() & expected.keys()
        if found[name] != expected[name]
    ]
    faults = [
        f"{len(names)} {kind}: {_listed(names)}"
        for kind, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of the wrong shape", misshapen),
        )
        if names
    ]
    if faults:
        raise CheckpointError(
            "the weights do not fit the model that their configuration describes",
            where=where,
            found="; ".join(faults),
            allowed=f"exactly {len(expected)} tensors",
            fix="take configuration and weights from the same checkpoint",
        )


def _listed(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:LISTED]) + (" ..." if len(listed) > LISTED else "")


def _open(path: Path) -> Any:
    """A handle for a ``with`` block; the library has checked the header against the size."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
        if start.startswith(PICKLE_STARTS) and start[8:] != b"{":  # where the header begins
            raise CheckpointError(
                "pickled weights are refused, whatever they are called: loading them can run"
                " any code",
                where=str(path),
                found="a pickle or an archive of them",
                allowed="a safetensors file",
                fix="convert them to safetensors where they come from",
            )
        return safe_open(path, framework="pt", device="cpu")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            "a weight file cannot be read",
            where=str(path),
            found=error,
            allowed="a whole safetensors file",
            fix="copy or download it again; it may be truncated",
        ) from error


def _shards(index: Path) -> list[Path]:
    """The files that an index names, all beside it."""
    weight_map = read_json_object(index, max_bytes=16 << 20).get("weight_map")
    names = list(weight_map.values()) if isinstance(weight_map, dict) else []
    if not names or not all(isinstance(n, str) and n and n == Path(n).name for n in names):
        raise CheckpointError(
            "an index of shards names no files beside it",
            where=str(index),
            found=_listed(set(map(str, names))) or "nothing",
            allowed='{"weight_map": {tensor: file name}}',
            fix="take the index that was written with the shards",
        )
    return [index.parent / name for name in sorted(set(names))]


def _bytes(tensor: Tensor, dtype: torch.dtype) -> memoryview:
    flat = tensor.detach().to(device="cpu", dtype=dtype).contiguous().view(-1)
    return flat.view(torch.uint8).numpy().data
