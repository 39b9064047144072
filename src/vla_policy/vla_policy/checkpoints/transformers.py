"""transformers' `PI0ForConditionalGeneration`: config.json with a model_type, model.safetensors.

Files have the names of its modules (``model.vlm``, ``model.dit``, ``embed_action_time``) or, as
`save_pretrained` of transformers 5 writes them, openpi's, whereby version 5.5 puts a second
``model`` into those of the language model. The expert's token embedding is unused.

Such a file states neither the robot nor statistics: transformers' processor has those of one data
set in its code. What is done around the model here is what pi0 was trained with; transformers
itself shrinks pictures with a bicubic filter.

Source: transformers 5.5.4 and 5.23.0, models/pi0 and conversion_mapping.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vla_core.errors import CheckpointError
from vla_core.scaling import Formula, Scaling
from vla_policy.checkpoints.json_file import read_json_object
from vla_policy.checkpoints.model_config import (
    EXPERT,
    PALIGEMMA,
    UNUSED_EXPERT_HEAD,
    Stated,
    model_config,
)
from vla_policy.checkpoints.openpi_pytorch import CONFIG, WEIGHTS, parameter_names, stream
from vla_policy.checkpoints.renamed_weights import renamed, replace_prefix
from vla_policy.checkpoints.safetensors_file import open_safetensors
from vla_policy.checkpoints.stored import CheckpointFormat, StoredCheckpoint
from vla_policy.checkpoints.tokenizer_files import find_tokenizers
from vla_policy.models.config import ModelConfig
from vla_policy.processing import Processing
from vla_policy.tokenizers.prompts import PromptFormat

MODEL_TYPE = "pi0"
LANGUAGE_MODEL = PALIGEMMA + "model.language_model."
PREFIXES = {
    "model.vlm.": PALIGEMMA + "model.",
    "model.dit.": EXPERT + "model.",
    "embed_action_time.": "",
}
UNUSED = {UNUSED_EXPERT_HEAD, EXPERT + "model.embed_tokens.weight"}
#: This suite's name of a size, and transformers'.
GEMMA = {
    "width": "hidden_size",
    "depth": "num_hidden_layers",
    "mlp_dim": "intermediate_size",
    "num_heads": "num_attention_heads",
    "num_kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
}
SIGLIP = {
    "width": "hidden_size",
    "depth": "num_hidden_layers",
    "mlp_dim": "intermediate_size",
    "num_heads": "num_attention_heads",
    "patch_size": "patch_size",
    "image_size": "image_size",
}
PERIODS = {"min_period": 4e-3, "max_period": 4.0}
MISSING = (
    "normalisation statistics and cameras: transformers' files do not state them; name the recipe,"
    " and convert to openpi-pytorch with assets/<id>/norm_stats.json beside it",
)


def read(path: Path, defaults: ModelConfig | None = None) -> StoredCheckpoint:
    """A directory of this format; see `read_checkpoint`."""
    where = str(path / CONFIG)
    raw = read_json_object(path / CONFIG)
    if raw.get("model_type") != MODEL_TYPE:
        raise _bad(
            "a model of transformers that this loader does not read", where, raw, MODEL_TYPE
        )
    for key, runnable in PERIODS.items():
        if raw.get(key, runnable) != runnable:
            raise _bad("a setting that cannot be run", f"{where}, {key}", raw[key], runnable)
    file = renamed(open_safetensors(path, WEIGHTS), parameter)
    stated = Stated(raw=_sizes(raw, where), where=where, defaults=defaults)
    config = model_config(stated, file.shapes)
    names = parameter_names(file, config)
    return StoredCheckpoint(
        format=CheckpointFormat.TRANSFORMERS,
        path=path,
        config=config,
        processing=Processing(
            formula=Formula.LEROBOT,
            scaling={"state": Scaling.Z_SCORE, "actions": Scaling.Z_SCORE},
            prompt=PromptFormat.LEROBOT_PI0,
        ),
        shapes={name: file.shapes[stored] for name, stored in names.items()},
        dtypes={name: file.dtypes[stored] for name, stored in names.items()},
        stream=lambda: stream(file, names),
        missing=MISSING,
        **find_tokenizers(path),
    )


def parameter(name: str) -> str | None:
    """openpi's name of a tensor; None for the embedding that nothing uses."""
    name = replace_prefix(name, PREFIXES)
    name = replace_prefix(name, {LANGUAGE_MODEL + "model.": LANGUAGE_MODEL})
    return None if name in UNUSED else name


def _sizes(raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    """In the words of `vla_policy.checkpoints.model_config`; blocks that are left out stay out."""
    sizes = {
        "model_type": MODEL_TYPE,
        "action_dim": raw.get("max_action_dim", 32),
        "action_horizon": raw.get("chunk_size", 50),
        "max_token_len": 48,  # the processor's
    }
    vlm = block(raw, "vlm_config", where)
    text, vision = block(vlm, "text_config", where), block(vlm, "vision_config", where)
    return sizes | model_sizes(text, block(raw, "dit_config", where), vision)


def model_sizes(
    text: Mapping[str, Any], expert: Mapping[str, Any], vision: Mapping[str, Any]
) -> dict[str, Any]:
    """The blocks of sizes from transformers' configurations; an empty one: the released size."""
    sizes: dict[str, Any] = {}
    for name, variant, there in (
        ("paligemma", "gemma_2b", text),
        ("action_expert", "gemma_300m", expert),
    ):
        if there:
            sizes[name] = {"head_dim": 256} | {
                own: there[key] for own, key in GEMMA.items() if key in there
            }
        else:
            sizes[f"{name}_variant"] = variant
    if vision:
        sizes["siglip"] = {own: vision[key] for own, key in SIGLIP.items() if key in vision}
    return sizes | ({"vocab_size": text["vocab_size"]} if "vocab_size" in text else {})


def block(raw: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    """An inner object; empty where there is none."""
    found = raw.get(key) or {}
    if not isinstance(found, dict):
        raise _bad("no block of sizes", f"{where}, {key}", found, "an object")
    return found


def _bad(what: str, where: str, found: object, allowed: object) -> CheckpointError:
    return CheckpointError(
        what,
        where=where,
        found=found,
        allowed=allowed,
        fix="give a checkpoint of the pi0 family",
    )
