"""LeRobot's policies: the same actions as LeRobot itself gave, from every way they are stored."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import golden_lerobot_case as golden
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from vla_core.errors import CheckpointError
from vla_core.scaling import Formula, Scaling
from vla_policy.checkpoints import CheckpointFormat, convert, load_checkpoint, read_checkpoint
from vla_policy.checkpoints.model_config import TIED_EMBEDDING, TOKEN_EMBEDDING, UNUSED_EXPERT_HEAD
from vla_policy.models.config import FastLayout, Pi0FastConfig
from vla_policy.processing import Resize
from vla_policy.tokenizers.prompts import PromptFormat

FAST_FOLDER = golden.GOLDEN / "transforms" / "fast"
Tensors = dict[str, torch.Tensor]


@pytest.fixture
def policy(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a writable copy of a recorded policy with its tokenizers beside it."""

    def copy(name: str) -> Path:
        directory = tmp_path / name
        shutil.copytree(golden.LEROBOT / name, directory)
        shutil.copyfile(golden.TOKENIZER, directory / "tokenizer.model")
        if name == "pi0_fast":
            (directory / "action_tokenizer").mkdir()
            for file in ("tokenizer.json", "processor_config.json"):
                shutil.copyfile(FAST_FOLDER / file, directory / "action_tokenizer" / file)
        if name == "pi0_peft":
            shutil.copytree(golden.LEROBOT / "pi0_peft_base", tmp_path / "pi0_peft_base")
        return directory

    return copy


def edit_json(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def edit_config(directory: Path, **values: object) -> None:
    edit_json(directory / "config.json", lambda config: config.update(values))


def edit_tensors(path: Path, change: Callable[[Tensors], Any]) -> None:
    tensors = load_file(path)
    changed = change(tensors)
    save_file(tensors if changed is None else changed, path)


def state_file(directory: Path, of: str = "policy_pre") -> Path:
    return next(directory.glob(f"{of}*_step_*.safetensors"))


@pytest.mark.parametrize("name", golden.CASES)
def test_a_policy_answers_as_lerobot_does(name: str, policy: Callable[[str], Path]) -> None:
    case = golden.recorded(name)
    answered = golden.answered(policy(name), case)
    assert golden.rel(answered, case["out/actions"]) <= 1e-4


def test_what_lerobot_does_around_its_model_is_stated(policy: Callable[[str], Path]) -> None:
    stored = read_checkpoint(policy("pi0"))
    assert stored.format is CheckpointFormat.LEROBOT
    assert not stored.missing
    assert stored.config.image_keys == ("base_0_rgb", "wrist")  # without the empty camera
    assert (stored.config.action_dim, stored.config.action_horizon) == (9, 8)
    processing = stored.processing
    assert processing.formula is Formula.LEROBOT
    assert processing.scaling == {"state": Scaling.Z_SCORE, "actions": Scaling.Z_SCORE}
    assert processing.prompt is PromptFormat.LEROBOT_PI0
    assert processing.resize is Resize.LEROBOT
    assert processing.robot == "plain"
    assert processing.cameras == {"front": "base_0_rgb"}
    assert processing.action_names == ("waist", "elbow", "Left_Gripper", "wrist", "gripper")
    assert processing.relative_actions == (True, True, False, True, False)
    assert stored.norm_stats["lerobot"]["state"].mean.size == 5


def test_modes_and_layout_of_pi0_fast_are_stated(policy: Callable[[str], Path]) -> None:
    stored = read_checkpoint(policy("pi0_fast"))
    assert isinstance(stored.config, Pi0FastConfig)
    assert stored.config.layout is FastLayout.LEROBOT
    assert (stored.config.action_dim, stored.config.action_horizon) == (3, 6)
    assert stored.config.max_token_len == 64
    assert stored.processing.scaling == {
        "state": Scaling.QUANTILES,
        "actions": Scaling.QUANTILES_10_90,
    }
    assert stored.fast_tokenizer == stored.path / "action_tokenizer"


def bare(tensors: Tensors) -> Tensors:
    return {name.removeprefix("model."): tensor for name, tensor in tensors.items()}


def only(kept: str, dropped: str) -> Callable[[Tensors], Tensors]:
    def change(tensors: Tensors) -> Tensors:
        tied = tensors.pop(f"model.{kept}", None)
        tied = tensors.pop(f"model.{dropped}", tied) if tied is None else tied
        tensors.pop(f"model.{dropped}", None)
        assert tied is not None
        return tensors | {f"model.{kept}": tied}

    return change


def both(tensors: Tensors) -> Tensors:
    tied = only(TIED_EMBEDDING, TOKEN_EMBEDDING)(tensors)[f"model.{TIED_EMBEDDING}"]
    return tensors | {f"model.{name}": tied.clone() for name in (TIED_EMBEDDING, TOKEN_EMBEDDING)}


def newest_names(tensors: Tensors) -> Tensors:
    """transformers 5.6 and later."""
    return {
        n.replace("vision_tower.vision_model.", "vision_tower."): t for n, t in tensors.items()
    }


@pytest.mark.parametrize(
    "change",
    [
        bare,
        only(TIED_EMBEDDING, TOKEN_EMBEDDING),
        only(TOKEN_EMBEDDING, TIED_EMBEDDING),
        both,
        newest_names,
        lambda tensors: {n: t for n, t in tensors.items() if not n.endswith(UNUSED_EXPERT_HEAD)},
    ],
)
def test_every_way_to_store_the_weights_gives_the_same_model(
    change: Callable[[Tensors], Tensors], policy: Callable[[str], Path]
) -> None:
    directory = policy("pi0")
    original = load_checkpoint(directory).model.state_dict()
    edit_tensors(directory / "model.safetensors", change)
    again = load_checkpoint(directory).model.state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in original.items())


def test_types_may_be_mixed(policy: Callable[[str], Path]) -> None:
    directory = policy("pi05")
    edit_tensors(
        directory / "model.safetensors",
        lambda tensors: {n: t.bfloat16() if "mlp" in n else t for n, t in tensors.items()},
    )
    stored = read_checkpoint(directory)
    assert set(stored.dtypes.values()) == {torch.float32, torch.bfloat16}


def test_time_layers_of_the_other_model_are_renamed_as_lerobot_does(
    policy: Callable[[str], Path],
) -> None:
    directory = policy("pi05")
    edit_tensors(
        directory / "model.safetensors",
        lambda tensors: (
            {n.replace("time_mlp", "action_time_mlp"): t for n, t in bare(tensors).items()}
            | {"state_proj.weight": torch.zeros(32, 9), "state_proj.bias": torch.zeros(32)}
        ),
    )
    assert "time_mlp_in.weight" in read_checkpoint(directory).shapes


def test_absent_keys_have_lerobots_defaults_and_unknown_ones_are_named(
    policy: Callable[[str], Path],
) -> None:
    directory = policy("pi05")
    for file in directory.glob("policy_*"):
        file.unlink()

    def shorten(config: dict[str, Any]) -> None:
        for key in ("normalization_mapping", "empty_cameras", "tokenizer_max_length"):
            del config[key]
        config |= {"brand_new": 1}

    edit_json(directory / "config.json", shorten)
    stored = read_checkpoint(directory)
    assert stored.config.max_token_len == 200
    assert stored.processing.scaling["state"] is Scaling.QUANTILES
    assert any("brand_new" in note for note in stored.notes)
    assert "normalisation statistics" in stored.missing[0]


def test_an_empty_normaliser_is_reported_as_missing_statistics(
    policy: Callable[[str], Path],
) -> None:
    directory = policy("pi0")

    def empty(content: dict[str, Any]) -> None:
        for step in content["steps"]:
            step.pop("state_file", None)

    for name in ("policy_preprocessor.json", "policy_postprocessor.json"):
        edit_json(directory / name, empty)
    stored = read_checkpoint(directory)
    assert not stored.norm_stats
    assert "its normaliser is empty" in stored.missing[0]


def test_policies_of_lerobot_0_4_keep_its_padded_prompt_and_bars(
    policy: Callable[[str], Path],
) -> None:
    directory = policy("pi05")
    edit_tensors(directory / "model.safetensors", only(TIED_EMBEDDING, TOKEN_EMBEDDING))

    def before_relative(content: dict[str, Any]) -> None:
        content["steps"] = [
            step
            for step in content["steps"]
            if step["registry_name"]
            not in ("relative_actions_processor", "absolute_actions_processor")
        ]

    for name in ("policy_preprocessor.json", "policy_postprocessor.json"):
        edit_json(directory / name, before_relative)
    edit_json(directory / "config.json", lambda config: config.pop("use_relative_actions"))
    stored = read_checkpoint(directory)
    assert stored.processing.prompt_state_dims == 9
    assert stored.processing.resize is Resize.LEROBOT_0_4
    assert any("0.4" in note for note in stored.notes)


def test_statistics_carry_the_name_of_the_data_set(policy: Callable[[str], Path]) -> None:
    directory = policy("pi05")
    training = directory / "train_config.json"
    training.write_text(json.dumps({"dataset": {"repo_id": "lab/cups"}}))
    assert set(read_checkpoint(directory).norm_stats) == {"lab/cups"}
    training.write_text(json.dumps({"dataset": {"repo_id": "../../etc"}}))
    assert set(read_checkpoint(directory).norm_stats) == {"lerobot"}


@pytest.mark.parametrize("name", golden.CASES)
def test_a_policy_goes_through_openpis_layout_and_back(
    name: str, policy: Callable[[str], Path], tmp_path: Path
) -> None:
    case, directory = golden.recorded(name), policy(name)
    source = read_checkpoint(directory)
    through = convert(source, tmp_path / "openpi", CheckpointFormat.OPENPI_PYTORCH)
    back = convert(through, tmp_path / "lerobot", CheckpointFormat.LEROBOT)
    assert back.config == source.config
    assert back.processing == source.processing
    direct = golden.answered(directory, case)
    for copy in (through, back):
        np.testing.assert_array_equal(golden.answered(copy.path, case), direct)


def test_a_policy_of_openpi_has_no_place_in_lerobots_layout(tmp_path: Path) -> None:
    stored = read_checkpoint(golden.GOLDEN / "pi0")
    with pytest.raises(CheckpointError, match="LeRobot cannot carry out"):
        convert(stored, tmp_path / "lerobot", CheckpointFormat.LEROBOT)
    assert not (tmp_path / "lerobot").exists()
