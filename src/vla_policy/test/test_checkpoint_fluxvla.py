"""FluxVLA's runs: names, widths, pictures and statistics, as its public repository writes them.

The runs are made here from openpi's recorded weights under FluxVLA's names; the tables of its
modules and transforms were taken from its code, no run of its own was at hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import golden_model_case as golden
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from test_checkpoint_lerobot import edit_json

from vla_core.errors import CheckpointError
from vla_core.scaling import Formula, Scaling
from vla_policy.checkpoints import CheckpointFormat, convert, load_checkpoint, read_checkpoint
from vla_policy.checkpoints.model_config import (
    EXPERT,
    PALIGEMMA,
    TIED_EMBEDDING,
    TOKEN_EMBEDDING,
    UNUSED_EXPERT_HEAD,
)
from vla_policy.processing import Resize
from vla_policy.tokenizers.prompts import PromptFormat

MEAN, STD = [123.5, 116.0, 103.6], [58.3, 57.0, 57.3]
CAMERAS = ["cam_high", "cam_left_wrist", "cam_right_wrist"]
NAMES = {
    PALIGEMMA + "model.language_model.": "llm_backbone.",
    PALIGEMMA + "model.vision_tower.": "vision_backbone.vision.",
    PALIGEMMA + "model.multi_modal_projector.linear.": "projector.projector.",
    EXPERT + "model.": "llm_expert.",
}
Damage = Callable[[Path], Any]


def fluxvla_name(name: str) -> str:
    for ours, theirs in NAMES.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    layer, kind = name.rsplit(".", 1)
    return f"{layer}.projector.{kind}"


def gemma(sizes: Any) -> dict[str, int]:
    return {
        "hidden_size": sizes.width,
        "num_hidden_layers": sizes.depth,
        "intermediate_size": sizes.mlp_dim,
        "num_attention_heads": sizes.num_heads,
        "num_key_value_heads": sizes.num_kv_heads,
        "head_dim": sizes.head_dim,
        "vocab_size": 257152,
    }


def make_run(directory: Path, family: str) -> Path:
    """A finished run with the recorded weights."""
    config = golden.model(family).config
    tensors = load_file(golden.GOLDEN / family / "model.safetensors")
    tensors[TOKEN_EMBEDDING] = tensors.pop(TIED_EMBEDDING)
    tensors[EXPERT + "model.embed_tokens.weight"] = tensors.pop(UNUSED_EXPERT_HEAD)
    folder = directory / "checkpoints"
    folder.mkdir(parents=True)
    save_file(
        {fluxvla_name(n): t for n, t in tensors.items()},
        folder / "step-000100-epoch-01-loss=0.0100.safetensors",
    )
    (folder / "step-000100-epoch-01-loss=0.0100.pt").write_bytes(b"\x80\x04never read")
    pi05 = family == "pi05"
    siglip = config.siglip
    model = {
        "type": "PI05FlowMatching" if pi05 else "PI0FlowMatching",
        "llm_backbone": gemma(config.paligemma) | {"vocab_size": config.vocab_size},
        "llm_expert": gemma(config.action_expert),
        "vision_backbone": {
            "vision_config": {
                "hidden_size": siglip.width,
                "num_hidden_layers": siglip.depth,
                "intermediate_size": siglip.mlp_dim,
                "num_attention_heads": siglip.num_heads,
                "patch_size": siglip.patch_size,
                "image_size": siglip.image_size,
            }
        },
        "n_action_steps": 32,
        "max_action_dim": config.action_dim,
    }
    kind = "min_max" if pi05 else "proprio"
    normalize = {"type": "NormalizeStatesAndActions", "state_dim": 32, "norm_type": kind}
    tokenize = {"type": "ProcessPrompts", "tokenizer": {"type": "PretrainedTokenizer"}}
    resize = {"type": "ResizeImages", "height": 224, "width": 224}
    if pi05:
        steps = [normalize, {"type": "PreparePromptWithState"}, tokenize, resize]
        steps += [{"type": "SimpleNormalizeImages"}]
    else:
        prompt = {"type": "ParquetPrompter", "use_conversation": False, "add_new_line": True}
        pictures = {"type": "NormalizeImages", "means": [MEAN] * 3, "stds": [STD] * 3}
        steps = [prompt, tokenize, resize, pictures, normalize]
    inference = {
        "type": "AlohaInferenceRunner",
        "dataset": {"type": "PrivateInferenceDataset", "img_keys": CAMERAS, "transforms": steps},
        "denormalize_action": {
            "type": "DenormalizePrivateAction",
            "norm_type": kind,
            "action_dim": 14,
        },
    }
    (directory / "config.json").write_text(
        json.dumps({"model": model, "inference_model": model, "inference": inference})
    )
    entry = {name: [0.5] * 14 for name in ("mean", "std")}
    entry |= {"min": [-1.0] * 14, "max": [1.0] * 14, "q01": None, "q99": None}
    (directory / "dataset_statistics.json").write_text(
        json.dumps({"private": {"proprio": entry, "action": entry, "timestamp": {}}})
    )
    return directory


@pytest.mark.parametrize("family", golden.FAMILIES)
def test_a_run_holds_the_same_model_under_its_own_names(family: str, tmp_path: Path) -> None:
    loaded, original = load_checkpoint(make_run(tmp_path / "run", family)), golden.model(family)
    assert loaded.stored.format is CheckpointFormat.FLUXVLA
    weights = original.state_dict()
    assert all(torch.equal(t, weights[n]) for n, t in loaded.model.state_dict().items())
    assert loaded.config.action_horizon == 32
    assert loaded.config.action_dim == original.config.action_dim
    assert loaded.config.image_keys == tuple(CAMERAS)


def test_what_fluxvla_does_around_pi0_is_stated(tmp_path: Path) -> None:
    stored = read_checkpoint(make_run(tmp_path / "run", "pi0"))
    processing = stored.processing
    assert processing.formula is Formula.FLUXVLA
    assert processing.scaling == {"state": Scaling.Z_SCORE, "actions": Scaling.Z_SCORE}
    assert processing.image_mean_std == (tuple(MEAN), tuple(STD))
    assert processing.resize is Resize.FLUXVLA
    assert processing.prompt is PromptFormat.LEROBOT_PI0
    assert stored.config.max_token_len == 180
    np.testing.assert_array_equal(stored.norm_stats["private"]["state"].std, np.full(14, 0.5))
    assert stored.norm_stats["private"]["actions"].q01 is None


def test_what_fluxvla_does_around_pi05_is_stated(tmp_path: Path) -> None:
    processing = read_checkpoint(make_run(tmp_path / "run", "pi05")).processing
    assert processing.scaling == {"state": Scaling.MIN_MAX, "actions": Scaling.MIN_MAX}
    assert processing.image_mean_std is None
    assert processing.prompt is PromptFormat.LEROBOT_PI05
    assert processing.prompt_state_dims == 32


def test_a_run_goes_through_openpis_layout(tmp_path: Path) -> None:
    source = read_checkpoint(make_run(tmp_path / "run", "pi0"))
    copy = convert(source, tmp_path / "openpi", CheckpointFormat.OPENPI_PYTORCH)
    assert copy.processing == source.processing
    with pytest.raises(CheckpointError, match="LeRobot cannot carry out"):
        convert(source, tmp_path / "lerobot", CheckpointFormat.LEROBOT)


def only_pickles(run: Path) -> None:
    for path in (run / "checkpoints").glob("*.safetensors"):
        path.unlink()


def two_steps(run: Path) -> None:
    path = next((run / "checkpoints").glob("*.safetensors"))
    (run / "checkpoints" / "step-000200.safetensors").write_bytes(path.read_bytes())


def configure(change: Callable[[dict[str, Any]], Any]) -> Damage:
    return lambda run: edit_json(run / "config.json", change)


def measure(change: Callable[[dict[str, Any]], Any]) -> Damage:
    return lambda run: edit_json(
        run / "dataset_statistics.json", lambda content: change(content["private"])
    )


DAMAGES: dict[str, tuple[Damage, str]] = {
    "only pickles": (only_pickles, "without one weight file.*pickles are refused"),
    "two steps": (two_steps, "without one weight file.*step-000200"),
    "no statistics": (lambda run: (run / "dataset_statistics.json").unlink(), "cannot be read"),
    "statistics of a simulation": (
        measure(lambda private: private.pop("action")),
        "statistics are missing",
    ),
    "statistics of two lengths": (
        measure(lambda private: private["proprio"].update(std=[0.5] * 13)),
        "statistics differ in length",
    ),
    "statistics with text": (
        measure(lambda private: private["proprio"].update(mean=["0"] * 14)),
        "no list of finite numbers",
    ),
    "an unknown transform": (
        configure(
            lambda c: c["inference"]["dataset"]["transforms"].append({"type": "TwistImages"})
        ),
        "steps that are not carried out.*TwistImages",
    ),
    "LIBERO's evaluation": (
        configure(lambda c: c["inference"]["dataset"].update(type="LiberoParquetEvalDataset")),
        "no pipeline for a robot",
    ),
    "cameras of different means": (
        configure(
            lambda c: c["inference"]["dataset"]["transforms"][3].update(means=[MEAN, MEAN, STD])
        ),
        "cameras differ",
    ),
    "LoRA kept apart": (
        lambda run: edit_weights(run, {"llm_expert.lora_A": torch.zeros(2, 2)}),
        "unexpected.*lora_A",
    ),
}


def edit_weights(run: Path, more: dict[str, torch.Tensor]) -> None:
    path = next((run / "checkpoints").glob("*.safetensors"))
    save_file(load_file(path) | more, path)


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_a_whole_run_is_refused(damage: str, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "pi0")
    spoil, message = DAMAGES[damage]
    spoil(run)
    with pytest.raises(CheckpointError, match=f"(?s){message}"):
        read_checkpoint(run)
