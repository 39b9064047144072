"""transformers' own pi0: the same actions as its model gave, under each of its names."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import golden_lerobot_case as golden
import pytest
import torch
from test_checkpoint_lerobot import Tensors, edit_config, edit_tensors

from vla_core.errors import CheckpointError
from vla_policy.checkpoints import CheckpointFormat, load_checkpoint, read_checkpoint
from vla_policy.checkpoints.model_config import EXPERT, PALIGEMMA
from vla_policy.models.config import IMAGE_KEYS
from vla_policy.models.inputs import ModelInputs
from vla_policy.models.pi0 import Pi0

INNER = PALIGEMMA + "model.language_model.model."


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return Path(shutil.copytree(golden.LEROBOT / "transformers", tmp_path / "transformers"))


def test_the_model_gives_the_actions_of_transformers(checkpoint: Path) -> None:
    case, model = golden.recorded("transformers"), load_checkpoint(checkpoint).model
    assert isinstance(model, Pi0)
    tokens = torch.tensor(case["in/tokens"])[None]
    pictures = {key: case["in/images"][i][None] for i, key in enumerate(IMAGE_KEYS)}
    inputs = ModelInputs.from_numpy(
        images=pictures,
        image_masks={key: torch.ones(1, dtype=torch.bool).numpy() for key in pictures},
        tokens=tokens.numpy(),
        token_mask=torch.ones_like(tokens).bool().numpy(),
        state=case["in/state"],
    )
    with torch.inference_mode():
        actions = model.sample_actions(inputs, torch.tensor(case["in/noise"]), 10)
    assert golden.rel(actions.numpy(), case["out/actions"]) <= 1e-4


def modules(tensors: Tensors) -> Tensors:
    """The names of transformers' modules."""
    prefixes = {
        INNER: "model.vlm.language_model.",
        PALIGEMMA + "model.": "model.vlm.",
        EXPERT + "model.": "model.dit.",
        "state_proj": "embed_action_time.state_proj",
        "action_in_proj": "embed_action_time.action_in_proj",
        "action_time_mlp": "embed_action_time.action_time_mlp",
    }
    renamed: Tensors = {}
    for name, tensor in tensors.items():
        old = next((prefix for prefix in prefixes if name.startswith(prefix)), "")
        renamed[prefixes.get(old, "") + name.removeprefix(old)] = tensor
    return renamed


def newest(tensors: Tensors) -> Tensors:
    """As transformers 5.23 writes it."""
    return {
        name.replace("vision_tower.vision_model.", "vision_tower.").replace(
            EXPERT + "model.embed_tokens", EXPERT + "lm_head"
        ): tensor
        for name, tensor in tensors.items()
    }


@pytest.mark.parametrize("change", [modules, newest, lambda tensors: modules(newest(tensors))])
def test_each_of_its_namings_gives_the_same_model(
    change: Callable[[Tensors], Tensors], checkpoint: Path
) -> None:
    original = load_checkpoint(checkpoint).model.state_dict()
    edit_tensors(checkpoint / "model.safetensors", change)
    again = load_checkpoint(checkpoint).model.state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in original.items())


def test_sizes_are_stated_and_statistics_are_missing(checkpoint: Path) -> None:
    stored = read_checkpoint(checkpoint)
    assert stored.format is CheckpointFormat.TRANSFORMERS
    assert (stored.config.action_dim, stored.config.action_horizon) == (9, 8)
    assert stored.config.paligemma.num_heads == 8
    assert "normalisation statistics" in stored.missing[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "paligemma"}, "does not read.*paligemma"),
        ({"max_period": 8.0}, "cannot be run.*8.0"),
        ({"dit_config": [1]}, "no block of sizes"),
        ({"chunk_size": "8"}, "wrong type"),
    ],
)
def test_what_cannot_be_run_is_refused(
    values: dict[str, object], message: str, checkpoint: Path
) -> None:
    edit_config(checkpoint, **values)
    with pytest.raises(CheckpointError, match=f"(?s){message}"):
        read_checkpoint(checkpoint)
