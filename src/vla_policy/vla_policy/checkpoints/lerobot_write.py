"""Writes LeRobot's layout, for policies whose processing LeRobot itself carries out.

A policy of openpi is none of them: its prompts, formulas and robot transforms have no name in
LeRobot. What came from LeRobot, be it by way of another layout, goes back.

Source: lerobot 0.6.1, src/lerobot/policies/*/processor_*.py and src/lerobot/processor/pipeline.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vla_core.errors import CheckpointError
from vla_core.scaling import Formula, Scaling
from vla_core.stats import NormStats
from vla_policy.checkpoints import lerobot_processors as steps
from vla_policy.checkpoints.lerobot import PREFIX, PROMPTS, TRAINING
from vla_policy.checkpoints.lerobot_config import ACTION, CONFIG, IMAGES, MODES, STATE
from vla_policy.checkpoints.openpi_pytorch import WEIGHTS, file_tensors
from vla_policy.checkpoints.safetensors_file import write_safetensors
from vla_policy.checkpoints.stored import StoredCheckpoint
from vla_policy.checkpoints.tokenizer_files import write_tokenizers
from vla_policy.models.config import (
    GEMMA_VARIANTS,
    PALIGEMMA_VOCAB_SIZE,
    SO400M,
    FastLayout,
    GemmaConfig,
    Pi0Config,
    Pi0FastConfig,
)
from vla_policy.processing import Processing, Resize
from vla_policy.robots.plain import NAME as PLAIN

VARIANTS = ("gemma_2b", "gemma_300m")  # LeRobot's
TEXT_TOKENIZER = "google/paligemma-3b-pt-224"
ACTION_TOKENIZER = "lerobot/fast-action-tokenizer"
IMAGE_SHAPE = [3, 224, 224]


def write(directory: Path, stored: StoredCheckpoint) -> None:
    """Writes an empty directory in this format.

    Raises:
        CheckpointError: LeRobot cannot carry out what the checkpoint needs.
    """
    _require_lerobots(stored)
    shapes, dtypes, tensors = file_tensors(stored)
    write_safetensors(
        directory / WEIGHTS,
        {PREFIX + name: shape for name, shape in shapes.items()},
        {PREFIX + name: dtype for name, dtype in dtypes.items()},
        _prefixed(tensors),
        {"format": "pt"},
    )
    _write_json(directory / CONFIG, _config(stored))
    asset, stats = next(iter(stored.norm_stats.items()), ("lerobot", {}))
    if asset != "lerobot":
        _write_json(directory / TRAINING, {"dataset": {"repo_id": asset}})
    for name, entries in (
        (steps.BEFORE, _before(stored)),
        (steps.AFTER, _after(stored)),
    ):
        _write_processor(directory / name, entries, stats)
    write_tokenizers(directory, stored)


def _require_lerobots(stored: StoredCheckpoint) -> None:
    processing, config = stored.processing, stored.config
    kind = config.model_type
    old = processing.resize is Resize.LEROBOT_0_4
    needed: dict[str, tuple[object, object]] = {
        "formula": (processing.formula, Formula.LEROBOT),
        "prompt": (processing.prompt, PROMPTS[kind]),
        "resize": (processing.resize, Resize.LEROBOT),
        "padded state in the prompt": (processing.prompt_state_dims, 0),
        "image_mean_std": (processing.image_mean_std, None),
        "robot": (processing.robot, PLAIN),
        "names of the state": (processing.state_names, ()),
        "contract": (stored.contract, None),
        "number of statistics": (min(len(stored.norm_stats), 2), min(len(stored.norm_stats), 1)),
    }
    if isinstance(config, Pi0FastConfig):
        needed["layout"] = (config.layout, FastLayout.LEROBOT)
    else:
        needed["discrete_state_input"] = (config.discrete_state_input, None)
    if wrong := [f"{name}: {has}" for name, (has, wanted) in needed.items() if has != wanted]:
        raise CheckpointError(
            "LeRobot cannot carry out what this checkpoint needs around its model",
            where=str(stored.path),
            found="; ".join(wrong),
            allowed="what LeRobot 0.5 or later wrote"
            + (", which trained and runs otherwise than 0.4" if old else ""),
            fix="convert to openpi-pytorch, which holds any processing",
        )


def _config(stored: StoredCheckpoint) -> dict[str, Any]:
    config, processing = stored.config, stored.processing
    state_dims, action_dims = _dims(stored)
    horizon = config.action_horizon
    width = (
        config.action_dim if isinstance(config, Pi0Config) else max(32, state_dims, action_dims)
    )
    described: dict[str, Any] = {
        "type": config.model_type,
        "n_obs_steps": 1,
        "input_features": {STATE: {"type": "STATE", "shape": [state_dims]}}
        | {IMAGES + key: {"type": "VISUAL", "shape": IMAGE_SHAPE} for key in config.image_keys},
        "output_features": {ACTION: {"type": "ACTION", "shape": [action_dims]}},
        "chunk_size": horizon,
        "n_action_steps": horizon,
        "max_state_dim": width,
        "max_action_dim": width,
        "tokenizer_max_length": config.max_token_len,
        "normalization_mapping": _modes(processing),
        "use_relative_actions": processing.relative_actions is not None,
        "relative_exclude_joints": list(_excluded(processing)),
        "action_feature_names": list(processing.action_names) or None,
        **_sizes(config),
    }
    if isinstance(config, Pi0FastConfig):
        described["max_decoding_steps"] = config.max_decoding_steps
    return described


def _sizes(config: Pi0Config | Pi0FastConfig) -> dict[str, Any]:
    """Variants, and this suite's own keys for sizes that LeRobot has no name for."""
    sizes: dict[str, Any] = {}
    blocks = ("paligemma", "action_expert") if isinstance(config, Pi0Config) else ("paligemma",)
    for block, default in zip(blocks, VARIANTS, strict=False):
        found: GemmaConfig = getattr(config, block)
        named = [name for name in VARIANTS if GEMMA_VARIANTS[name] == found]
        sizes[f"{block}_variant"] = named[0] if named else default
        if not named:
            sizes[block] = _fields(found)
    if config.siglip != SO400M:
        sizes["siglip"] = _fields(config.siglip)
    if config.vocab_size != PALIGEMMA_VOCAB_SIZE:
        sizes["vocab_size"] = config.vocab_size
    return sizes


def _fields(sizes: Any) -> dict[str, int]:
    return {name: getattr(sizes, name) for name in sizes.__dataclass_fields__}


def _dims(stored: StoredCheckpoint) -> tuple[int, int]:
    """Of the robot's state and action, as far as anything tells them."""
    stats: Mapping[str, NormStats] = next(iter(stored.norm_stats.values()), {})
    named = len(stored.processing.relative_actions or stored.processing.action_names)
    width = stored.config.action_dim
    state = stats["state"].mean.size if "state" in stats else width
    state = stored.processing.state_dims or state
    if isinstance(stored.config, Pi0FastConfig):
        return state, width
    action = stats["actions"].mean.size if "actions" in stats else named or width
    return state, stored.processing.action_dims or action


def _modes(processing: Processing) -> dict[str, str]:
    names = {scaling: name for name, scaling in MODES.items()}
    return {
        "VISUAL": names[Scaling.IDENTITY],
        "STATE": names[processing.scaling["state"]],
        "ACTION": names[processing.scaling["actions"]],
    }


def _excluded(processing: Processing) -> tuple[str, ...]:
    """Names that stay absolute; LeRobot finds them in longer names too: reading back shows it."""
    mask = processing.relative_actions
    if mask is None or not processing.action_names:
        return ()
    return tuple(n for n, moves in zip(processing.action_names, mask, strict=True) if not moves)


def _before(stored: StoredCheckpoint) -> list[dict[str, Any]]:
    processing, kind = stored.processing, stored.config.model_type
    rename = {IMAGES + old: IMAGES + new for old, new in processing.cameras.items()}
    entry = {
        steps.RENAME: {"rename_map": rename},
        steps.BATCH: {},
        steps.NEW_LINE: {},
        steps.TOKENIZE: {
            "max_length": stored.config.max_token_len,
            "task_key": "task",
            "padding_side": "right",
            "padding": "max_length",
            "truncation": True,
            "tokenizer_name": TEXT_TOKENIZER,
        },
        steps.TOKENIZE_ACTIONS: {
            "trust_remote_code": True,
            "max_action_tokens": 256,
            "action_tokenizer_name": ACTION_TOKENIZER,
        },
        steps.DEVICE: {"device": "cpu", "float_dtype": None},
        steps.RELATIVE: {
            "enabled": processing.relative_actions is not None,
            "exclude_joints": list(_excluded(processing)),
            "action_names": list(processing.action_names) or None,
        },
        steps.NORMALIZE: _normalize(stored, _config(stored)["input_features"]),
    }
    order = list(steps.ORDERS[kind])
    if kind == "pi0":
        order.insert(order.index(steps.RELATIVE), steps.DEVICE)
    else:
        entry[steps.PREPARE[kind]] = {}
        order += [steps.TOKENIZE_ACTIONS] if kind == "pi0_fast" else []
        order.append(steps.DEVICE)
    order = [steps.RENAME, steps.BATCH, *order]
    return [{"registry_name": name, "config": entry[name]} for name in order]


def _after(stored: StoredCheckpoint) -> list[dict[str, Any]]:
    enabled = stored.processing.relative_actions is not None
    return [
        {"registry_name": steps.UNNORMALIZE, "config": _normalize(stored, {})},
        {"registry_name": steps.ABSOLUTE, "config": {"enabled": enabled}},
        {"registry_name": steps.DEVICE, "config": {"device": "cpu", "float_dtype": None}},
    ]


def _normalize(stored: StoredCheckpoint, inputs: Mapping[str, Any]) -> dict[str, Any]:
    features = dict(inputs) | _config(stored)["output_features"]
    return {"eps": steps.EPS, "features": features, "norm_map": _modes(stored.processing)}


def _write_processor(
    path: Path, entries: list[dict[str, Any]], stats: Mapping[str, NormStats]
) -> None:
    """A file of steps, and beside it the statistics of its normaliser where there are any."""
    for place, entry in enumerate(entries):
        name = entry["registry_name"]
        if name in (steps.NORMALIZE, steps.UNNORMALIZE) and stats:
            entry["state_file"] = f"{path.stem}_step_{place}_{name}.safetensors"
            _write_statistics(path.with_name(entry["state_file"]), stats)
    _write_json(path, {"name": path.stem, "steps": entries})


def _write_statistics(path: Path, stats: Mapping[str, NormStats]) -> None:
    """LeRobot's float32; a loss by that is found when the file is read back."""
    features = {"state": STATE, "actions": ACTION}
    tensors = {
        f"{features[key]}.{name}": torch.tensor(vector, dtype=torch.float32)
        for key, entry in stats.items()
        for name in steps.STATISTICS
        if (vector := getattr(entry, name)) is not None
    }
    write_safetensors(
        path,
        {name: tuple(tensor.shape) for name, tensor in tensors.items()},
        dict.fromkeys(tensors, torch.float32),
        tensors.items(),
        {},
    )


def _prefixed(tensors: Iterator[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors:
        yield PREFIX + name, tensor


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")
