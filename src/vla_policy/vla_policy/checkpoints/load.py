"""From a stored checkpoint to a model, tensor by tensor."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vla_core.errors import CheckpointError
from vla_policy.checkpoints.open import read_checkpoint
from vla_policy.checkpoints.stored import StoredCheckpoint
from vla_policy.models.build import build_model
from vla_policy.models.config import ModelConfig
from vla_policy.models.lora import add_lora
from vla_policy.models.paligemma import parameter_dtype
from vla_policy.models.pi0 import Pi0
from vla_policy.models.pi0_fast import Pi0Fast

REPORT_EVERY_S = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedCheckpoint:
    """A model ready for inference and what belongs to it.

    Args:
        model: On the wanted device, in evaluation mode.
        stored: What the files say.
    """

    model: Pi0 | Pi0Fast
    stored: StoredCheckpoint

    @property
    def config(self) -> ModelConfig:
        return self.stored.config


def load_checkpoint(
    path: Path | str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    *,
    defaults: ModelConfig | None = None,
    keep_lora: bool = False,
) -> LoadedCheckpoint:
    """Loads a checkpoint directory of any supported format.

    Args:
        path: The directory.
        device: Where the model goes; weights are streamed there one by one.
        dtype: float32 or bfloat16; bfloat16 keeps the float32 parts of the reference.
        defaults: Sizes that the files may leave out: those of a recipe.
        keep_lora: Leave LoRA factors beside the weights instead of merging them.

    Raises:
        CheckpointError: The directory cannot be loaded; the message says why and what to do.
    """
    stored = read_checkpoint(path, defaults, keep_lora=keep_lora)
    return LoadedCheckpoint(model=load_model(stored, device, dtype), stored=stored)


def load_model(
    stored: StoredCheckpoint, device: torch.device | str, dtype: torch.dtype
) -> Pi0 | Pi0Fast:
    """Fills a model on the meta device; no more than one tensor of the files is held beside it."""
    if dtype not in (torch.float32, torch.bfloat16):
        raise CheckpointError(
            "a model cannot run in this type",
            where=str(stored.path),
            found=dtype,
            allowed="torch.float32, torch.bfloat16",
        )
    with torch.device("meta"):
        model = build_model(stored.config)
        add_lora(model, stored.lora)
    tensors: dict[str, Tensor] = {}
    reported, done, total = time.monotonic(), 0, stored.num_bytes
    for name, tensor in stored.stream():
        # Without the copy it could be the mapped file, which may change under a running robot.
        kept = tensor.to(
            device=device,
            dtype=parameter_dtype(name, dtype),
            copy=True,
            memory_format=torch.contiguous_format,  # formats may hold weights transposed
        )
        tensors[name] = _finite(kept, f"{stored.path}, {name}")
        done += tensor.nbytes
        if time.monotonic() - reported > REPORT_EVERY_S:
            reported = time.monotonic()
            _log.info("loading checkpoint done=%.0f%% of=%.1fGB", 100 * done / total, total / 1e9)
    model.load_state_dict(tensors, strict=True, assign=True)
    return model.eval()


def _finite(tensor: Tensor, where: str) -> Tensor:
    smallest, largest = tensor.aminmax()  # both are NaN when any element is
    if not (math.isfinite(smallest) and math.isfinite(largest)):
        raise CheckpointError(
            "a weight is not finite",
            where=where,
            found=f"{int((~tensor.isfinite()).sum())} of {tensor.numel()} values",
            allowed=f"numbers that {tensor.dtype} can hold",
            fix="take an earlier checkpoint; training may have diverged",
        )
    return tensor
