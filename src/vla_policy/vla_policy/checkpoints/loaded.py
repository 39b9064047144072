"""What a checkpoint directory of any format becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from vla_core.stats import NormStats
from vla_policy.models.config import Pi0Config
from vla_policy.models.pi0 import Pi0


class CheckpointFormat(Enum):
    """The layouts of a checkpoint directory that can be read."""

    OPENPI_PYTORCH = "openpi PyTorch (model.safetensors, config.json, assets/<id>/norm_stats.json)"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedCheckpoint:
    """A model ready for inference and what belongs to it.

    Args:
        model: On the wanted device, in evaluation mode.
        config: Its sizes.
        norm_stats: By asset id (a robot or data set), then by quantity (``state``, ``actions``);
            may be empty.
        tokenizer: ``tokenizer.model`` beside the weights, None where there is none.
        path: The directory.
        format: What was detected.
    """

    model: Pi0
    config: Pi0Config
    norm_stats: Mapping[str, Mapping[str, NormStats]]
    tokenizer: Path | None
    path: Path
    format: CheckpointFormat
