"""Weights in safetensors files: shapes are compared first, then tensors are read one by one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vla_core.errors import CheckpointError

Shapes = Mapping[str, tuple[int, ...]]
FLOAT_DTYPES = ("F32", "BF16", "F16")
LISTED = 5  # names shown of each kind of fault


def open_weights(path: Path) -> Any:
    """A safetensors handle for a ``with`` block; its header has been checked against the size."""
    try:
        return safe_open(path, framework="pt", device="cpu")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            "a weight file cannot be read",
            where=str(path),
            found=error,
            allowed="a whole safetensors file",
            fix="copy or download it again; it may be truncated",
        ) from error


def read_shapes(file: Any, where: str) -> dict[str, tuple[int, ...]]:
    """Shape of each tensor, from the header alone; other than floating point is refused."""
    shapes = {}
    for name in file.keys():  # noqa: SIM118 (the handle is no mapping)
        header = file.get_slice(name)
        if header.get_dtype() not in FLOAT_DTYPES:
            raise CheckpointError(
                "a weight has an unsupported type",
                where=f"{where}, {name}",
                found=header.get_dtype(),
                allowed=", ".join(FLOAT_DTYPES),
                fix="give weights that are not quantised",
            )
        shapes[name] = tuple(header.get_shape())
    return shapes


def require_shapes(
    found: Shapes, expected: Shapes, *, optional: Iterable[str], where: str
) -> None:
    """Raises one CheckpointError that lists missing, unexpected and misshapen tensors."""
    optional = set(optional)
    missing = sorted(expected.keys() - found.keys() - optional)
    unexpected = sorted(found.keys() - expected.keys() - optional)
    misshapen = [
        f"{name} {found[name]} instead of {expected[name]}"
        for name in sorted(found.keys() & expected.keys())
        if found[name] != expected[name]
    ]
    faults = [
        f"{len(names)} {kind}: {', '.join(names[:LISTED])}{' ...' if len(names) > LISTED else ''}"
        for kind, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of the wrong shape", misshapen),
        )
        if names
    ]
    if faults:
        raise CheckpointError(
            "the weights do not fit the model that config.json describes",
            where=where,
            found="; ".join(faults),
            allowed=f"exactly {len(expected)} tensors",
            fix="take config.json and model.safetensors from the same checkpoint",
        )


def read_tensor(
    file: Any, name: str, *, device: torch.device | str, dtype: torch.dtype, where: str
) -> Tensor:
    """One tensor, cast and moved; NaN and infinity are refused."""
    # Without the copy it would be the mapped file itself, which may change under a running robot.
    tensor: Tensor = file.get_tensor(name).to(device=device, dtype=dtype, copy=True)
    smallest, largest = tensor.aminmax()  # both are NaN when any element is
    if not (math.isfinite(smallest) and math.isfinite(largest)):
        raise CheckpointError(
            "a weight is not finite",
            where=f"{where}, {name}",
            found=f"{int((~tensor.isfinite()).sum())} of {tensor.numel()} values",
            allowed=f"numbers that {dtype} can hold",
            fix="take an earlier checkpoint; training may have diverged",
        )
    return tensor
