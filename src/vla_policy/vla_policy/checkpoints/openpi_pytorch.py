"""openpi's PyTorch checkpoints: model.safetensors, config.json, assets/<id>/norm_stats.json.

Two tensors of such a file differ from the model's parameters: the token embedding is tied to the
language model's output head and stored under that name (other writers use the embedding's name,
or both), and the action expert has an output head that nothing uses.
Source: openpi examples/convert_jax_model_to_pytorch.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vla_core.errors import CheckpointError
from vla_policy.checkpoints.assets import read_assets, write_assets
from vla_policy.checkpoints.json_file import read_json_object
from vla_policy.checkpoints.model_config import (
    TIED_EMBEDDING,
    TOKEN_EMBEDDING,
    UNUSED_EXPERT_HEAD,
    Stated,
    config_json,
    model_config,
    parameter_shapes,
)
from vla_policy.checkpoints.safetensors_file import (
    SafetensorsFile,
    open_safetensors,
    require_shapes,
    write_safetensors,
)
from vla_policy.checkpoints.stored import CheckpointFormat, Shapes, StoredCheckpoint
from vla_policy.checkpoints.tokenizer_files import find_tokenizers, write_tokenizers
from vla_policy.models.config import ModelConfig, Pi0Config
from vla_policy.processing import Processing

WEIGHTS, CONFIG = "model.safetensors", "config.json"
#: Parameter name: name in the file, where they differ.
FILE_NAMES = {TOKEN_EMBEDDING: TIED_EMBEDDING}


def read(path: Path, defaults: ModelConfig | None = None) -> StoredCheckpoint:
    """A directory of this format; see `read_checkpoint`."""
    file = open_safetensors(path, WEIGHTS)
    raw = read_json_object(path / CONFIG) if (path / CONFIG).exists() else {}
    stated = Stated(raw=raw, where=str(path / CONFIG), defaults=defaults)
    config = model_config(stated, file.shapes)
    names = parameter_names(file, config)
    return StoredCheckpoint(
        format=CheckpointFormat.OPENPI_PYTORCH,
        path=path,
        config=config,
        processing=stated_processing(stated, config),
        shapes={name: file.shapes[stored] for name, stored in names.items()},
        dtypes={name: file.dtypes[stored] for name, stored in names.items()},
        stream=lambda: stream(file, names),
        norm_stats=read_assets(path),
        contract=stated_contract(stated),
        notes=assumptions(stated, config),
        **find_tokenizers(path),
    )


def assumptions(stated: Stated, config: ModelConfig) -> tuple[str, ...]:
    """What openpi's files leave open, and a recipe would say."""
    prompt_open = "discrete_state_input" not in stated.raw and stated.defaults is None
    if config.model_type == "pi05" and prompt_open and "processing" not in stated.raw:
        return ("assumed: the prompt holds the state (all of openpi's pi0.5 but pi05_libero)",)
    return ()


def write(directory: Path, stored: StoredCheckpoint) -> None:
    """Writes an empty directory in this format."""
    shapes, dtypes, tensors = file_tensors(stored)
    write_safetensors(directory / WEIGHTS, shapes, dtypes, tensors, FILE_NAMES)
    text = json.dumps(described(stored), indent=2) + "\n"
    (directory / CONFIG).write_text(text, encoding="utf-8")
    write_assets(directory, stored.norm_stats)
    write_tokenizers(directory, stored)


def file_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of each tensor in a file that openpi writes for a model of these sizes."""
    shapes = {FILE_NAMES.get(n, n): shape for n, shape in parameter_shapes(config).items()}
    if isinstance(config, Pi0Config):
        shapes[UNUSED_EXPERT_HEAD] = (config.vocab_size, config.action_expert.width)
    return shapes


def parameter_names(file: SafetensorsFile, config: ModelConfig) -> dict[str, str]:
    """Name in the file of each parameter, when exactly what the model needs is there."""
    expected = file_shapes(config)
    if TOKEN_EMBEDDING in file.shapes:
        expected[TOKEN_EMBEDDING] = expected[TIED_EMBEDDING]
    if TIED_EMBEDDING not in file.shapes:
        del expected[TIED_EMBEDDING]
    require_shapes(file.shapes, expected, optional=[UNUSED_EXPERT_HEAD], where=str(file.path))
    return {n: n if n in file.shapes else FILE_NAMES[n] for n in parameter_shapes(config)}


def stream(file: SafetensorsFile, names: Mapping[str, str]) -> Iterator[tuple[str, Tensor]]:
    """The parameters of a file, in the order of the file."""
    if TOKEN_EMBEDDING in file.shapes and TIED_EMBEDDING in file.shapes:
        _require_tied(file)
    parameters = {stored: name for name, stored in names.items()}
    for stored, tensor in file.stream(parameters):
        yield parameters[stored], tensor


def file_tensors(
    stored: StoredCheckpoint,
) -> tuple[Shapes, dict[str, torch.dtype], Iterator[tuple[str, Tensor]]]:
    """Shapes, types and tensors under the names of a file, with the head that nothing uses."""
    shapes = file_shapes(stored.config)
    dtypes = {FILE_NAMES.get(n, n): dtype for n, dtype in stored.dtypes.items()}
    tensors = ((FILE_NAMES.get(n, n), tensor) for n, tensor in stored.stream())
    if UNUSED_EXPERT_HEAD not in shapes:
        return shapes, dtypes, tensors
    dtypes[UNUSED_EXPERT_HEAD] = _precision(stored.dtypes)
    head = torch.zeros(1).expand(shapes[UNUSED_EXPERT_HEAD])  # openpi's strict loader wants it
    return shapes, dtypes, chain(tensors, [(UNUSED_EXPERT_HEAD, head)])


def described(stored: StoredCheckpoint) -> dict[str, Any]:
    """The ``config.json`` of a checkpoint in openpi's layouts."""
    raw = config_json(stored.config, _precision(stored.dtypes))
    processing = stored.processing
    if processing == replace(Processing.openpi(stored.config), robot=processing.robot):
        raw |= {"robot": processing.robot} if processing.robot else {}
    else:
        raw["processing"] = processing.to_json()
    if stored.contract is not None:
        raw["contract"] = stored.contract
    for fact in stored.missing:  # what was only assumed is not written down as if it were known
        raw.pop(fact.partition(":")[0], None)
    return raw


def stated_processing(stated: Stated, config: ModelConfig) -> Processing:
    """openpi's, with the adapter if one is stated, or that of the framework converted from."""
    if "processing" not in stated.raw:
        return replace(Processing.openpi(config), robot=stated.get("robot", str, default=""))
    return Processing.from_json(stated.raw["processing"], f"{stated.where}, processing")


def stated_contract(stated: Stated) -> str | None:
    """Content hash of the contract that it was trained with, None where not stated."""
    return stated.get("contract", str) if "contract" in stated.raw else None


def _precision(dtypes: Mapping[str, torch.dtype]) -> torch.dtype:
    """The type of most weights; norms may be kept in a wider one."""
    return dtypes[TOKEN_EMBEDDING]


def _require_tied(file: SafetensorsFile) -> None:
    first, second = (dict(file.stream([name])) for name in (TOKEN_EMBEDDING, TIED_EMBEDDING))
    if not torch.equal(first[TOKEN_EMBEDDING], second[TIED_EMBEDDING]):
        raise CheckpointError(
            "the token embedding is stored twice and the copies differ",
            where=str(file.path),
            found=f"{TOKEN_EMBEDDING} and {TIED_EMBEDDING}",
            allowed="one of them, or two equal ones",
            fix="remove the one that was not trained",
        )
