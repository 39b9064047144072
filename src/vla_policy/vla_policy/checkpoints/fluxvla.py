"""FluxVLA's runs: config.json, dataset_statistics.json, checkpoints/*.safetensors.

A run holds the resolved configuration as JSON, so that nothing of it is code. Its weights lie in
pickles and, since 2026, in safetensors beside them, under the names of FluxVLA's modules. The
pipeline for real robots (``inference``) is read; the one of the LIBERO evaluation is refused.

Facts of the public repository: state and action go through mean and deviation, or smallest and
largest value, of the states trained on (the state of the next steps is the action); pictures are
stretched, not padded. Its configurations have 32 dims and 50 or 10 steps; other widths and
horizons, as the AgileX ones with 14 and 32, are read alike.

Source: github FluxVLA/FluxVLA, commit f788ff29: scripts/train.py, configs/pi0, configs/pi05,
fluxvla/engines/runners/base_inference_runner.py, fluxvla/transforms.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vla_core.errors import CheckpointError
from vla_core.scaling import Formula, Scaling
from vla_core.stats import NormStats
from vla_policy.checkpoints.json_file import read_json_object
from vla_policy.checkpoints.model_config import EXPERT, PALIGEMMA, Stated, model_config
from vla_policy.checkpoints.openpi_pytorch import parameter_names, stream
from vla_policy.checkpoints.renamed_weights import renamed, replace_prefix
from vla_policy.checkpoints.safetensors_file import open_safetensors
from vla_policy.checkpoints.stored import CheckpointFormat, StoredCheckpoint
from vla_policy.checkpoints.tokenizer_files import find_tokenizers
from vla_policy.checkpoints.transformers import block, model_sizes
from vla_policy.models.config import ModelConfig
from vla_policy.processing import Processing, Resize, Rgb
from vla_policy.robots.plain import NAME as PLAIN
from vla_policy.tokenizers.prompts import PromptFormat

CONFIG, STATISTICS, FOLDER = "config.json", "dataset_statistics.json", "checkpoints"
LATEST = "latest-checkpoint.safetensors"
STATISTICS_BYTES = 16 << 20
ASSET = "private"  # the name of statistics of real robots
MODELS = {
    "PI0FlowMatching": "pi0",
    "PI05FlowMatching": "pi05",
    "PI05FlowMatchingInference": "pi05",
}
PREFIXES = {
    "llm_backbone.": PALIGEMMA + "model.language_model.",
    "vision_backbone.vision.": PALIGEMMA + "model.vision_tower.",
    "projector.projector.": PALIGEMMA + "model.multi_modal_projector.linear.",
    "llm_expert.": EXPERT + "model.",
}
SCALINGS = {"quantile": Scaling.QUANTILES, "min_max": Scaling.MIN_MAX}  # all else: mean and std
TRANSFORMS = (
    "ParquetPrompter",
    "PreparePromptWithState",
    "ProcessPrompts",
    "ResizeImages",
    "NormalizeImages",
    "SimpleNormalizeImages",
    "NormalizeStatesAndActions",
)
MEAN_NAMES = ("mean", "std", "q01", "q99", "min", "max")
NOTES = (
    "FluxVLA's ALOHA runner shuts grippers below 0.05 wholly and recompresses pictures as JPEG:"
    " neither is done here",
)


def describes(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is that of a FluxVLA run of this family."""
    model = config.get("model")
    return isinstance(model, dict) and str(model.get("type")) in MODELS


def read(path: Path, defaults: ModelConfig | None = None) -> StoredCheckpoint:
    """A directory of this format; see `read_checkpoint`."""
    where = str(path / CONFIG)
    raw = read_json_object(path / CONFIG)
    model = block(raw, "inference_model", where) or block(raw, "model", where)
    steps, inference = _transforms(raw, where), block(raw, "inference", where)
    dataset = block(inference, "dataset", where)
    sizes = _sizes(model, where) | {
        "max_token_len": steps["ProcessPrompts"].get("max_len", 180),
        "image_keys": dataset.get("img_keys"),
    }
    file = renamed(open_safetensors(path / FOLDER, _weights(path)), parameter)
    stated = Stated(raw=sizes, where=where, defaults=defaults)
    config = model_config(stated, file.shapes)
    names = parameter_names(file, config)
    denormalize = block(inference, "denormalize_action", where)
    return StoredCheckpoint(
        format=CheckpointFormat.FLUXVLA,
        path=path,
        config=config,
        processing=_processing(steps, denormalize, where),
        shapes={name: file.shapes[stored] for name, stored in names.items()},
        dtypes={name: file.dtypes[stored] for name, stored in names.items()},
        stream=lambda: stream(file, names),
        norm_stats={ASSET: _read_statistics(path / STATISTICS)},
        notes=NOTES,
        **find_tokenizers(path),
    )


def parameter(name: str) -> str | None:
    """openpi's name of a tensor; None for the expert's embedding, which nothing uses."""
    if name == "llm_expert.embed_tokens.weight":
        return None
    name = replace_prefix(name, PREFIXES)
    return name.replace(".projector.", ".", 1)  # of the small layers: state_proj.projector.weight


def _weights(path: Path) -> str:
    """The file to take: the latest, else the only one."""
    folder = path / FOLDER
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    found = [name for name in names if name.endswith(".safetensors")]
    if LATEST in found:
        return LATEST
    if len(found) == 1:
        return found[0]
    pickled = [name for name in names if name.endswith(".pt")]
    raise CheckpointError(
        "a FluxVLA run without one weight file",
        where=str(folder),
        found=", ".join(found or pickled) or "nothing",
        allowed=f"{LATEST}, or a single safetensors file",
        fix="leave one of them"
        if found
        else "pickles are refused: save the state with safetensors where the run comes from, as"
        " newer versions of FluxVLA do by themselves",
    )


def _sizes(model: Mapping[str, Any], where: str) -> dict[str, Any]:
    kind = MODELS.get(str(model.get("type")))
    if kind is None or "llm_backbone" not in model:
        found = f"{model.get('type')} with {sorted(model)}"
        raise _bad("a model of FluxVLA that this loader does not read", where, found, [*MODELS])
    vision = block(block(model, "vision_backbone", where), "vision_config", where)
    text, expert = block(model, "llm_backbone", where), block(model, "llm_expert", where)
    return {
        "model_type": kind,
        "action_horizon": model.get("n_action_steps", 50),
        **model_sizes(text, expert, vision),
    }


def _transforms(raw: Mapping[str, Any], where: str) -> dict[str, Mapping[str, Any]]:
    """Steps before the model, by type."""
    dataset = block(block(raw, "inference", where), "dataset", where)
    entries = dataset.get("transforms")
    if dataset.get("type") != "PrivateInferenceDataset" or not isinstance(entries, list):
        allowed = "inference.dataset of type PrivateInferenceDataset"
        raise _bad("no pipeline for a robot", f"{where}, inference", dataset.get("type"), allowed)
    steps: dict[str, Mapping[str, Any]] = {
        str(entry.get("type")): entry for entry in entries if isinstance(entry, dict)
    }
    needed = {"ProcessPrompts", "ResizeImages", "NormalizeStatesAndActions"}
    if len(steps) != len(entries) or not needed <= set(steps) <= set(TRANSFORMS):
        raise _bad(
            "steps that are not carried out here", f"{where}, inference", [*steps], TRANSFORMS
        )
    order = [name for name in steps if name.startswith("Pre") or name.endswith("Actions")]
    if order == ["PreparePromptWithState", "NormalizeStatesAndActions"]:
        raise _bad("the prompt holds the raw state", f"{where}, inference", order, "normalised")
    return steps


def _processing(
    steps: Mapping[str, Mapping[str, Any]], denormalize: Mapping[str, Any], where: str
) -> Processing:
    normalize = steps["NormalizeStatesAndActions"]
    if normalize.get("action_norm_mask") or denormalize.get("action_norm_mask"):
        raise _bad("dimensions that are not normalised", where, "action_norm_mask", "none")
    if denormalize.get("type") != "DenormalizePrivateAction":
        found = denormalize.get("type")
        raise _bad(
            "another way back", where, found, "denormalize_action: DenormalizePrivateAction"
        )
    size = [steps["ResizeImages"].get(side) for side in ("height", "width")]
    if size != [224, 224]:
        raise _bad("another size of pictures", f"{where}, ResizeImages", size, [224, 224])
    prompter, with_state = steps.get("ParquetPrompter"), steps.get("PreparePromptWithState")
    if with_state is None and (
        prompter is None
        or prompter.get("use_conversation", True)
        or not prompter.get("add_new_line")
    ):
        allowed = "use_conversation False, add_new_line True; or PreparePromptWithState"
        raise _bad("another prompt", where, prompter, allowed)
    return Processing(
        formula=Formula.FLUXVLA,
        scaling={
            "state": SCALINGS.get(str(normalize.get("norm_type")), Scaling.Z_SCORE),
            "actions": SCALINGS.get(str(denormalize.get("norm_type")), Scaling.Z_SCORE),
        },
        prompt=PromptFormat.LEROBOT_PI0 if with_state is None else PromptFormat.LEROBOT_PI05,
        prompt_state_dims=0 if with_state is None else with_state.get("max_state_dim", 32),
        resize=Resize.FLUXVLA,
        image_mean_std=_image_mean_std(steps, where),
        robot=PLAIN,
    )


def _image_mean_std(steps: Mapping[str, Mapping[str, Any]], where: str) -> tuple[Rgb, Rgb] | None:
    if ("NormalizeImages" in steps) == ("SimpleNormalizeImages" in steps):
        raise _bad("pictures are normalised twice or not at all", where, [*steps], "one of two")
    if "SimpleNormalizeImages" in steps:
        return None
    found = [np.array(steps["NormalizeImages"].get(key), np.float64) for key in ("means", "stds")]
    for rows in found:
        if rows.ndim != 2 or rows.shape[1] != 3 or not np.isfinite(rows).all():
            raise _bad("no colours", f"{where}, NormalizeImages", rows.tolist(), "[[R, G, B], ..]")
        if (rows != rows[0]).any():
            raise _bad("cameras differ in normalisation", where, rows.tolist(), "one for all")
    mean, std = (tuple(rows[0].tolist()) for rows in found)
    return mean, std


def _read_statistics(path: Path) -> dict[str, NormStats]:
    raw = read_json_object(path, max_bytes=STATISTICS_BYTES)
    entries = block(raw, ASSET, str(path))
    found = {}
    for ours, theirs in (("state", "proprio"), ("actions", "action")):
        entry, where = block(entries, theirs, str(path)), f"{path}, {ASSET}.{theirs}"
        if not entry:
            raise _bad("statistics are missing", where, sorted(raw), f"{ASSET}.{theirs}")
        if not all(entry.get("mask") or [True]):
            raise _bad(
                "dimensions that are not normalised", f"{where}.mask", entry["mask"], "none"
            )
        found[ours] = _vectors(entry, where)
    return found


def _vectors(entry: Mapping[str, Any], where: str) -> NormStats:
    vectors = {}
    for name in MEAN_NAMES:
        values = entry.get(name)
        if values is None:
            continue
        numbers = isinstance(values, list) and all(type(x) in (int, float) for x in values)
        vector = np.array(values if numbers else [np.nan], np.float64)
        if not vector.size or not np.isfinite(vector).all():
            raise _bad("a statistic is no list of finite numbers", f"{where}.{name}", values, "it")
        vectors[name] = vector
    if not {"mean", "std"} <= set(vectors):
        raise _bad("statistics are incomplete", where, ", ".join(vectors), "mean, std")
    return NormStats.checked(vectors, where)


def _bad(what: str, where: str, found: object, allowed: object) -> CheckpointError:
    return CheckpointError(
        what,
        where=where,
        found=found,
        allowed=allowed,
        fix="give a run of FluxVLA for a real robot, with the files that it wrote",
    )
