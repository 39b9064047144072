"""A checkpoint as it lies on the disk: what it is, and a stream of its weights.

The one naming of weights inside the suite is that of the model's parameters, which is openpi's
PyTorch naming. Each format has one file that reads it into a `StoredCheckpoint`, and that writes
it from one; nothing but headers and statistics is read until the stream is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import torch
from torch import Tensor

from vla_core.errors import CheckpointError
from vla_core.stats import NormStats
from vla_policy.models.config import ModelConfig
from vla_policy.models.lora import LoraConfig
from vla_policy.processing import Processing

Shapes = Mapping[str, tuple[int, ...]]
AllStats = Mapping[str, Mapping[str, NormStats]]


class CheckpointFormat(Enum):
    """The layouts of a checkpoint directory that can be read; the value says what lies in it."""

    OPENPI_PYTORCH = "openpi PyTorch (model.safetensors, config.json, assets/<id>/norm_stats.json)"
    OPENPI_JAX = "openpi JAX (params/ in OCDBT, assets/<id>/norm_stats.json)"
    LEROBOT = "LeRobot (config.json with a type, model.safetensors or a PEFT adapter)"
    TRANSFORMERS = "transformers PI0ForConditionalGeneration (config.json with a model_type)"
    FLUXVLA = "FluxVLA (config.json, safetensors, dataset_statistics.json)"

    @property
    def short(self) -> str:
        """As an argument of commands: ``openpi-pytorch``."""
        return self.name.lower().replace("_", "-")


def stored_dtype(code: object, known: Mapping[str, torch.dtype], where: str) -> torch.dtype:
    """The type that a header's code stands for.

    Raises:
        CheckpointError: It is not one of floating point.
    """
    if not isinstance(code, str) or code not in known:
        raise CheckpointError(
            "a weight has an unsupported type",
            where=where,
            found=code,
            allowed=", ".join(known),
            fix="give weights that are not quantised",
        )
    return known[code]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """What the files of a checkpoint say.

    Args:
        format: What was detected.
        path: The directory.
        config: Sizes of the model.
        processing: What the checkpoint's own framework does around the model.
        shapes: Shape of each parameter, by the model's names.
        dtypes: Its type in the files.
        stream: Draws each parameter once, on the CPU, in the order that suits the format. A tensor
            may be a view that is overwritten when the next one is drawn.
        norm_stats: By asset id (a robot or data set), then by quantity (``state``, ``actions``);
            may be empty.
        tokenizer: ``tokenizer.model`` beside the weights, None where there is none.
        fast_tokenizer: Directory of the FAST action tokenizer beside the weights, None likewise.
        contract: Content hash of the robot contract it was trained with, None where not stated.
        lora: LoRA factors among the parameters, by expert; they are drawn before the weights that
            they add to.
        missing: What a robot needs and the files do not state, each with what to do.
        notes: What a reader decided on the way, for people: ``LoRA factors merged``.
    """

    format: CheckpointFormat
    path: Path
    config: ModelConfig
    processing: Processing
    shapes: Shapes
    dtypes: Mapping[str, torch.dtype]
    stream: Callable[[], Iterator[tuple[str, Tensor]]]
    norm_stats: AllStats = field(default_factory=dict)
    tokenizer: Path | None = None
    fast_tokenizer: Path | None = None
    contract: str | None = None
    lora: Mapping[str, LoraConfig] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def num_parameters(self) -> int:
        return sum(torch.Size(shape).numel() for shape in self.shapes.values())

    @property
    def num_bytes(self) -> int:
        """Of the weights as stored."""
        sizes = {name: torch.Size(shape).numel() for name, shape in self.shapes.items()}
        return sum(sizes[name] * self.dtypes[name].itemsize for name in sizes)
