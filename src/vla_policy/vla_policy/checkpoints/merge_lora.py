"""Makes a checkpoint with LoRA factors one without: each addition goes into its weight."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from vla_policy.checkpoints.stored import StoredCheckpoint
from vla_policy.models.lora import A, Addition, B, additions


def merge_lora(stored: StoredCheckpoint) -> StoredCheckpoint:
    """The same function without factors; unchanged where there are none.

    Sums are made in float32 and kept in the wider of the types of weight and factors.
    """
    if not stored.lora:
        return stored
    merged = additions(stored.config, stored.lora)
    dtypes = {
        f"{name}.weight": torch.promote_types(
            stored.dtypes[f"{name}.weight"], stored.dtypes[f"{name}.{A}"]
        )
        for name in merged
    }
    factors = {f"{name}.{letter}" for name in merged for letter in (A, B)}
    kept = {name: shape for name, shape in stored.shapes.items() if name not in factors}
    described = ", ".join(f"{block} rank {lora.rank}" for block, lora in stored.lora.items())
    return replace(
        stored,
        lora={},
        shapes=kept,
        dtypes={name: dtypes.get(name, stored.dtypes[name]) for name in kept},
        stream=lambda: _merged(stored, merged, dtypes),
        notes=(*stored.notes, f"LoRA factors merged into the weights ({described})"),
    )


def _merged(
    stored: StoredCheckpoint, merged: dict[str, Addition], dtypes: dict[str, torch.dtype]
) -> Iterator[tuple[str, Tensor]]:
    factors: dict[str, Tensor] = {}
    for name, tensor in stored.stream():
        module, _, kind = name.rpartition(".")
        if kind in (A, B):
            factors[name] = tensor.to(torch.float32, copy=True)
        elif module in merged and kind == "weight":
            added = merged[module].weight(
                factors.pop(f"{module}.{A}"), factors.pop(f"{module}.{B}")
            )
            yield name, added.add_(tensor).to(dtypes[name])
        else:
            yield name, tensor
