"""openpi's PyTorch checkpoints: model.safetensors, config.json, assets/<id>/norm_stats.json.

Two tensors of such a file differ from the model's parameters: the token embedding is tied to the
language model's output head and stored under that name (other writers use the embedding's name,
or both), and the action expert has an output head that nothing uses.
Source: openpi examples/convert_jax_model_to_pytorch.py.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from safetensors.torch import save_file

from vla_core.errors import CheckpointError
from vla_core.stats import NormStats, load_norm_stats, save_norm_stats
from vla_policy.checkpoints.loaded import CheckpointFormat, LoadedCheckpoint
from vla_policy.checkpoints.openpi_config import (
    TIED_EMBEDDING,
    TOKEN_EMBEDDING,
    UNUSED_EXPERT_HEAD,
    config_json,
    read_config,
)
from vla_policy.checkpoints.weights import (
    Shapes,
    open_weights,
    read_shapes,
    read_tensor,
    require_shapes,
)
from vla_policy.models.config import Pi0Config
from vla_policy.models.pi0 import Pi0, parameter_dtype

WEIGHTS, CONFIG, TOKENIZER, STATS = (
    "model.safetensors",
    "config.json",
    "tokenizer.model",
    "norm_stats.json",
)
#: Parameter name: name in the file, where they differ.
FILE_NAMES = {TOKEN_EMBEDDING: TIED_EMBEDDING}


def file_shapes(config: Pi0Config) -> dict[str, tuple[int, ...]]:
    """Name and shape of each tensor in a file that openpi writes for a model of these sizes."""
    with torch.device("meta"):
        parameters = Pi0(config).state_dict()
    shapes = {FILE_NAMES.get(name, name): tuple(t.shape) for name, t in parameters.items()}
    return shapes | {UNUSED_EXPERT_HEAD: (config.vocab_size, config.action_expert.width)}


def load(path: Path, *, device: torch.device | str, dtype: torch.dtype) -> LoadedCheckpoint:
    """Loads a directory of this format; see ``load_checkpoint``."""
    where = str(path / WEIGHTS)
    with open_weights(path / WEIGHTS) as file:
        shapes = read_shapes(file, where)
        config = read_config(path / CONFIG, shapes)
        _require_fitting(shapes, config, where)
        norm_stats = _load_all_stats(path / "assets")
        model = _load_model(file, shapes, config, device=device, dtype=dtype, where=where)
    tokenizer = path / TOKENIZER
    return LoadedCheckpoint(
        model=model,
        config=config,
        norm_stats=norm_stats,
        tokenizer=tokenizer if tokenizer.is_file() else None,
        path=path,
        format=CheckpointFormat.OPENPI_PYTORCH,
    )


def save_checkpoint(
    directory: Path,
    *,
    model: Pi0,
    norm_stats: Mapping[str, Mapping[str, NormStats]],
    tokenizer: Path | None = None,
) -> None:
    """Writes a directory of openpi's layout; it appears whole or not at all.

    Args:
        directory: Must not exist yet, or be empty.
        model: Stored in the types it has.
        norm_stats: By asset id, then by quantity.
        tokenizer: A SentencePiece model to copy beside the weights.
    """
    directory = directory.absolute()
    _require_free(directory)
    partial = directory.with_name(f".{directory.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # what a killed run left
    partial.mkdir(parents=True)
    try:
        save_file(_file_tensors(model), partial / WEIGHTS, metadata=FILE_NAMES)
        (partial / WEIGHTS).chmod(0o644)  # as the other files; safetensors keeps it to its owner
        text = json.dumps(config_json(model.config, model.dtype), indent=2) + "\n"
        (partial / CONFIG).write_text(text, encoding="utf-8")
        for asset_id, stats in norm_stats.items():
            save_norm_stats(partial / "assets" / _checked_asset_id(asset_id) / STATS, stats)
        if tokenizer is not None:
            shutil.copyfile(tokenizer, partial / TOKENIZER)
        for entry in [*partial.rglob("*"), partial]:
            _sync(entry)
        partial.rename(directory)
        _sync(directory.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _require_fitting(shapes: Shapes, config: Pi0Config, where: str) -> None:
    """All parameters in their shapes, and nothing else but the file's two exceptions."""
    expected = dict(file_shapes(config))
    if TIED_EMBEDDING not in shapes:
        del expected[TIED_EMBEDDING]
    if TOKEN_EMBEDDING in shapes:
        expected[TOKEN_EMBEDDING] = (config.vocab_size, config.paligemma.width)
    require_shapes(shapes, expected, optional=[UNUSED_EXPERT_HEAD], where=where)


def _load_model(
    file: Any,
    shapes: Shapes,
    config: Pi0Config,
    *,
    device: torch.device | str,
    dtype: torch.dtype,
    where: str,
) -> Pi0:
    """Fills a model on the meta device tensor by tensor: no more than one is held twice."""
    with torch.device("meta"):
        model = Pi0(config)
    tensors = {}
    for name in model.state_dict():
        stored = name if name in shapes else FILE_NAMES[name]
        kept = parameter_dtype(name, dtype)
        tensors[name] = read_tensor(file, stored, device=device, dtype=kept, where=where)
    if TOKEN_EMBEDDING in shapes and TIED_EMBEDDING in shapes:
        _require_tied(file, where)
    model.load_state_dict(tensors, strict=True, assign=True)
    return model.eval()


def _require_tied(file: Any, where: str) -> None:
    if not torch.equal(file.get_tensor(TOKEN_EMBEDDING), file.get_tensor(TIED_EMBEDDING)):
        raise CheckpointError(
            "the token embedding is stored twice and the copies differ",
            where=where,
            found=f"{TOKEN_EMBEDDING} and {TIED_EMBEDDING}",
            allowed="one of them, or two equal ones",
            fix="remove the one that was not trained",
        )


def _load_all_stats(assets: Path) -> dict[str, dict[str, NormStats]]:
    """The statistics of each asset; an asset id is a relative path and may contain ``/``."""
    return {
        file.parent.relative_to(assets).as_posix(): load_norm_stats(file)
        for file in sorted(assets.rglob(STATS))
    }


def _file_tensors(model: Pi0) -> dict[str, torch.Tensor]:
    tensors = {
        FILE_NAMES.get(name, name): tensor.detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
    }
    head = file_shapes(model.config)[UNUSED_EXPERT_HEAD]  # zeros: openpi's strict loader wants it
    return tensors | {UNUSED_EXPERT_HEAD: torch.zeros(head, dtype=model.dtype)}


def _require_free(directory: Path) -> None:
    if directory.exists() and not (directory.is_dir() and not any(directory.iterdir())):
        raise CheckpointError(
            "a checkpoint is never written over something else",
            where=str(directory),
            found="a directory with files" if directory.is_dir() else "a file",
            allowed="a path that does not exist, or an empty directory",
            fix="give another directory, or remove this one",
        )


def _checked_asset_id(asset_id: str) -> str:
    path = PurePosixPath(asset_id)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise CheckpointError(
            "an asset id leaves the checkpoint",
            found=repr(asset_id),
            allowed="a relative path such as trossen or physical-intelligence/libero",
        )
    return asset_id


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
