"""PEFT's LoRA adapters: merged as the library merges them, refused where they are more."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import golden_lerobot_case as golden
import pytest
import torch
from safetensors.torch import load_file
from test_checkpoint_lerobot import edit_json, edit_tensors

from vla_core.errors import CheckpointError
from vla_policy.checkpoints import load_checkpoint, read_checkpoint

CHANGED = "state_proj"
A = f"base_model.model.model.{CHANGED}.lora_A.weight"
B = f"base_model.model.model.{CHANGED}.lora_B.weight"
Damage = Callable[[Path], Any]


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A writable copy of the recorded adapter, its base beside it."""
    shutil.copytree(golden.LEROBOT / "pi0_peft_base", tmp_path / "pi0_peft_base")
    return Path(shutil.copytree(golden.LEROBOT / "pi0_peft", tmp_path / "adapter"))


def base(adapter: Path) -> dict[str, torch.Tensor]:
    tensors = load_file(adapter.parent / "pi0_peft_base" / "model.safetensors")
    return {name.removeprefix("model."): tensor for name, tensor in tensors.items()}


def edit_adapter(adapter: Path, **values: object) -> None:
    edit_json(adapter / "adapter_config.json", lambda config: config.update(values))


def weight(adapter: Path, name: str = f"{CHANGED}.weight") -> torch.Tensor:
    return load_checkpoint(adapter).model.state_dict()[name]


def test_factors_are_added_in_float32(adapter: Path) -> None:
    factors = load_file(adapter / "adapter_model.safetensors")
    rank = factors[A].shape[0]
    before = base(adapter)[f"{CHANGED}.weight"]
    edit_adapter(adapter, lora_alpha=5)
    expected = before + factors[B] @ factors[A] * (5 / rank)
    torch.testing.assert_close(weight(adapter), expected)
    edit_adapter(adapter, use_rslora=True)
    expected = before + factors[B] @ factors[A] * (5 / math.sqrt(rank))
    torch.testing.assert_close(weight(adapter), expected)


def test_a_scale_of_its_own_is_found_by_the_modules_name(adapter: Path) -> None:
    plain, before = weight(adapter), base(adapter)[f"{CHANGED}.weight"]
    edit_adapter(adapter, lora_alpha=8, alpha_pattern={CHANGED: 16, "q_proj": 1})
    factors = load_file(adapter / "adapter_model.safetensors")
    expected = before + factors[B] @ factors[A] * (16 / factors[A].shape[0])
    torch.testing.assert_close(weight(adapter), expected)
    assert not torch.allclose(plain, expected)


def test_weights_stored_the_other_way_round_are_turned(adapter: Path) -> None:
    name = "action_time_mlp_out"  # square, so that both ways fit
    a, b = (f"base_model.model.model.{name}.lora_{f}.weight" for f in "AB")
    factors = load_file(adapter / "adapter_model.safetensors")
    edit_tensors(
        adapter / "adapter_model.safetensors",
        lambda tensors: {n: t for n, t in tensors.items() if n in (a, b)},
    )
    edit_adapter(adapter, fan_in_fan_out=True, lora_alpha=3)
    before = base(adapter)[f"{name}.weight"]
    expected = before + (factors[b] @ factors[a]).T * (3 / factors[a].shape[0])
    torch.testing.assert_close(weight(adapter, f"{name}.weight"), expected)


def test_whole_modules_replace_those_of_the_base(adapter: Path) -> None:
    new = torch.full((32,), 0.25)
    edit_tensors(
        adapter / "adapter_model.safetensors",
        lambda tensors: tensors.update(
            {"base_model.model.model.action_time_mlp_in.base_layer.bias": new}
        ),
    )
    torch.testing.assert_close(weight(adapter, "action_time_mlp_in.bias"), new)


def test_only_what_changes_becomes_float32(adapter: Path) -> None:
    edit_tensors(
        adapter.parent / "pi0_peft_base" / "model.safetensors",
        lambda tensors: {name: tensor.bfloat16() for name, tensor in tensors.items()},
    )
    stored = read_checkpoint(adapter)
    assert stored.dtypes[f"{CHANGED}.weight"] is torch.float32
    assert stored.dtypes[f"{CHANGED}.bias"] is torch.bfloat16
    types = {name: tensor.dtype for name, tensor in stored.stream()}
    assert types == dict(stored.dtypes)


def test_the_base_may_lie_in_the_same_directory(adapter: Path) -> None:
    merged = weight(adapter)
    shutil.move(adapter.parent / "pi0_peft_base" / "model.safetensors", adapter)
    shutil.rmtree(adapter.parent / "pi0_peft_base")
    torch.testing.assert_close(weight(adapter), merged)


def drop(pattern: str) -> Damage:
    return lambda adapter: edit_tensors(
        adapter / "adapter_model.safetensors",
        lambda tensors: {n: t for n, t in tensors.items() if pattern not in n},
    )


def add(name: str, tensor: torch.Tensor) -> Damage:
    return lambda adapter: edit_tensors(
        adapter / "adapter_model.safetensors", lambda tensors: tensors.update({name: tensor})
    )


DAMAGES: dict[str, tuple[Damage, str]] = {
    "no base": (
        lambda a: edit_adapter(a, base_model_name_or_path="gone"),
        "base of an adapter is not here.*gone",
    ),
    "no name of a base": (
        lambda a: edit_adapter(a, base_model_name_or_path=None),
        "base of an adapter is not here",
    ),
    "itself as base": (
        lambda a: edit_adapter(a, base_model_name_or_path="adapter"),
        "base of an adapter is not here",
    ),
    "DoRA": (lambda a: edit_adapter(a, use_dora=True), "more than LoRA.*use_dora"),
    "what nobody knows": (lambda a: edit_adapter(a, twist={"by": 2}), "more than LoRA.*twist"),
    "PiSSA": (lambda a: edit_adapter(a, init_lora_weights="pissa"), "changes the base.*pissa"),
    "IA3": (lambda a: edit_adapter(a, peft_type="IA3"), "another kind.*IA3"),
    "a lost factor": (drop(f"{CHANGED}.lora_B"), "do not fit each other"),
    "no weights": (drop("lora"), "without weights"),
    "another rank": (lambda a: edit_adapter(a, r=7), "another rank"),
    "a magnitude": (
        add("base_model.model.model.state_proj.lora_magnitude_vector", torch.ones(32)),
        "not linear",
    ),
    "a layer that is not there": (
        add("base_model.model.model.third_arm.weight", torch.ones(3)),
        "does not fit its base.*third_arm",
    ),
    "a pattern that is code for a slow search": (
        lambda a: edit_adapter(a, alpha_pattern={"(a+)+$": 2}),
        "a pattern other than a name",
    ),
    "pickled": (
        lambda a: (a / "adapter_model.safetensors").write_bytes(b"\x80\x04\x95" + bytes(64)),
        "pickled weights are refused",
    ),
    "no adapter": (lambda a: (a / "adapter_model.safetensors").unlink(), "cannot be read"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_a_plain_adapter_is_refused(damage: str, adapter: Path) -> None:
    spoil, message = DAMAGES[damage]
    spoil(adapter)
    with pytest.raises(CheckpointError, match=f"(?s){message}"):
        read_checkpoint(adapter)
