"""``config.json`` of openpi's PyTorch checkpoints, and the sizes that the tensors tell.

openpi writes action_dim, action_horizon, the two variant names and precision. This
suite adds the sizes themselves (``pi05``, ``max_token_len``, ``vocab_size``, ``paligemma``,
``action_expert``, ``siglip``), so that a model of any size can be described; where they are
given, they win over the names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import torch

from vla_core.errors import CheckpointError
from vla_policy.checkpoints.json_file import read_json_object
from vla_policy.checkpoints.weights import Shapes
from vla_policy.models.config import (
    GEMMA_VARIANTS,
    PROMPT_TOKENS,
    SO400M,
    GemmaConfig,
    Pi0Config,
    SiglipConfig,
)

PALIGEMMA = "paligemma_with_expert.paligemma."
EXPERT = "paligemma_with_expert.gemma_expert."
TOKEN_EMBEDDING = PALIGEMMA + "model.language_model.embed_tokens.weight"
TIED_EMBEDDING = PALIGEMMA + "lm_head.weight"  # the same tensor; the name that openpi's files keep
UNUSED_EXPERT_HEAD = EXPERT + "lm_head.weight"

Sizes = TypeVar("Sizes", GemmaConfig, SiglipConfig, Pi0Config)
_FIX = "take config.json and model.safetensors from the same checkpoint"


def read_config(path: Path, shapes: Shapes) -> Pi0Config:
    """Reads ``config.json`` and compares it with the tensors of the file beside it.

    Args:
        path: The JSON file.
        shapes: Shape of each tensor in the weight file.

    Raises:
        CheckpointError: It is incomplete, out of range, or says something else than the tensors.
    """
    where, raw = str(path), read_json_object(path)
    facts = _facts_of_tensors(shapes, where)
    pi05 = _read(raw, "pi05", bool, where, default=facts["pi05"])
    named = "siglip" not in raw
    config = _build(
        Pi0Config,
        where,
        pi05=pi05,
        action_dim=_read(raw, "action_dim", int, where, default=facts["action_dim"]),
        action_horizon=_read(raw, "action_horizon", int, where),
        max_token_len=_read(raw, "max_token_len", int, where, default=PROMPT_TOKENS[pi05]),
        vocab_size=_read(raw, "vocab_size", int, where, default=facts["vocab_size"]),
        paligemma=_read_gemma(raw, "paligemma", where),
        action_expert=_read_gemma(raw, "action_expert", where),
        siglip=SO400M if named else _read_sizes(raw, "siglip", SiglipConfig, where),
    )
    claims = {
        "pi05": config.pi05,
        "action_dim": config.action_dim,
        "vocab_size": config.vocab_size,
        "paligemma.width": config.paligemma.width,
        "paligemma.depth": config.paligemma.depth,
        "action_expert.width": config.action_expert.width,
        "action_expert.depth": config.action_expert.depth,
        "siglip.depth": config.siglip.depth,
    }
    if wrong := [name for name in claims if claims[name] != facts[name]]:
        raise CheckpointError(
            "config.json and the weights describe different models",
            where=where,
            found="; ".join(
                f"{name} is {claims[name]} in config.json and {facts[name]} in the weights"
                for name in wrong
            ),
            allowed="the same sizes in both",
            fix=_FIX,
        )
    return config


def config_json(config: Pi0Config, dtype: torch.dtype) -> dict[str, Any]:
    """The object that ``read_config`` reads back, with all of openpi's own keys."""
    names = {sizes: name for name, sizes in GEMMA_VARIANTS.items()}
    return {
        "model_type": "pi05" if config.pi05 else "pi0",
        **asdict(config),
        "paligemma_variant": names.get(config.paligemma, "custom"),
        "action_expert_variant": names.get(config.action_expert, "custom"),
        "precision": str(dtype).removeprefix("torch."),
    }


def _facts_of_tensors(shapes: Shapes, where: str) -> dict[str, int | bool]:
    """The sizes that can be read off single tensors and their names."""
    embedding = shapes.get(TIED_EMBEDDING) or shapes.get(TOKEN_EMBEDDING)
    action_in = shapes.get("action_in_proj.weight")
    is_pi0, is_pi05 = "state_proj.weight" in shapes, "time_mlp_in.weight" in shapes
    whole = is_pi0 != is_pi05 and all(s and len(s) == 2 for s in (embedding, action_in))
    if not whole or embedding is None or action_in is None:
        raise CheckpointError(
            "the weights are neither pi0 nor pi0.5",
            where=where,
            found=f"{len(shapes)} tensors: {', '.join(sorted(shapes)[:3])} ...",
            allowed=f"action_in_proj.weight, {TIED_EMBEDDING}, and either state_proj.weight (pi0) "
            "or time_mlp_in.weight (pi0.5)",
            fix="give a pi0 or pi0.5 checkpoint in openpi's PyTorch layout",
        )
    return {
        "pi05": is_pi05,
        "action_dim": action_in[1],
        "vocab_size": embedding[0],
        "paligemma.width": embedding[1],
        "paligemma.depth": _depth(shapes, PALIGEMMA + "model.language_model.layers."),
        "action_expert.width": action_in[0],
        "action_expert.depth": _depth(shapes, EXPERT + "model.layers."),
        "siglip.depth": _depth(
            shapes, PALIGEMMA + "model.vision_tower.vision_model.encoder.layers."
        ),
    }


def _depth(shapes: Shapes, prefix: str) -> int:
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.")
    return len({match[1] for name in shapes if (match := pattern.match(name))})


def _read_gemma(raw: Mapping[str, Any], key: str, where: str) -> GemmaConfig:
    if key in raw:
        return _read_sizes(raw, key, GemmaConfig, where)
    name = _read(raw, f"{key}_variant", str, where)
    if name not in GEMMA_VARIANTS:
        raise CheckpointError(
            "an unknown model variant",
            where=f"{where}, {key}_variant",
            found=name,
            allowed=", ".join(GEMMA_VARIANTS),
            fix=f"give the sizes under the key {key!r}",
        )
    return GEMMA_VARIANTS[name]


def _read_sizes(raw: Mapping[str, Any], key: str, kind: type[Sizes], where: str) -> Sizes:
    block = _read(raw, key, dict, where)
    names = [field.name for field in fields(kind)]
    if set(block) != set(names):
        raise CheckpointError(
            "a block of sizes has other keys than it should",
            where=f"{where}, {key}",
            found=", ".join(sorted(block)),
            allowed=", ".join(names),
            fix="merge LoRA factors into the weights first" if "lora" in block else "",
        )
    where = f"{where}, {key}"
    return _build(kind, where, **{name: _read(block, name, int, where) for name in names})


def _build(kind: type[Sizes], where: str, **sizes: Any) -> Sizes:
    """Sizes that no model can have are an error that names the file."""
    try:
        return kind(**sizes)
    except CheckpointError as error:
        raise CheckpointError(
            error.what,
            where=f"{where}, {error.where}",
            found=error.found,
            allowed=error.allowed,
            fix=_FIX,
        ) from error


def _read(raw: Mapping[str, Any], key: str, kind: type, where: str, *, default: Any = None) -> Any:
    value = raw.get(key, default)
    if type(value) is not kind:
        raise CheckpointError(
            "a value is missing or of the wrong type",
            where=f"{where}, {key}",
            found=repr(value) if key in raw else "nothing",
            allowed=kind.__name__,
            fix=_FIX,
        )
    return value
