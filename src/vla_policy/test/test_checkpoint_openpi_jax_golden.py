"""Models from openpi's JAX checkpoints give the numbers that JAX gave."""

from __future__ import annotations

from functools import cache

import golden_model_case as golden
import numpy as np
import pytest
import torch

from vla_core.transforms import Formula, Scaling, Unnormalize
from vla_policy.checkpoints import LoadedCheckpoint, load_checkpoint

PREFIX, VELOCITY, SAMPLES, LOSS, UNNORMALIZED = 1e-5, 1e-4, 3e-5, 3e-5, 3e-5
CASES = {"pi0": ("pi0", False), "pi05": ("pi05", False)}
CASES |= {"LoRA merged": ("lora", False), "LoRA kept": ("lora", True)}
each_case = pytest.mark.parametrize("case", CASES)


@cache
def loaded(case: str, dtype: torch.dtype = torch.float32) -> LoadedCheckpoint:
    family, keep_lora = CASES[case]
    return load_checkpoint(golden.GOLDEN / "jax" / family, dtype=dtype, keep_lora=keep_lora)


def computed(case: str, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """What the case recorded, computed here."""
    family, model = f"jax/{CASES[case][0]}", loaded(case, dtype).model
    inputs, actions = golden.inputs(family), golden.given(family, "actions")
    noise, time = golden.given(family, "train_noise"), golden.given(family, "train_time")
    noisy = time[:, None, None] * noise + (1 - time[:, None, None]) * actions
    start = golden.given(family, "noise")
    with torch.no_grad():
        return {
            "sample_actions_10": model.sample_actions(inputs, start, 10),
            "sample_actions_5": model.sample_actions(inputs, start, 5),
            "velocity": model.joint_velocity(inputs, noisy, time),
            "loss": model.loss(inputs, actions, noise, time).mean(-1),
        }


@each_case
def test_the_prefix_is_the_recorded_one(case: str) -> None:
    family = f"jax/{CASES[case][0]}"
    recorded = golden.recorded(family)
    tokens, valid = loaded(case).model.embed_prefix(golden.inputs(family))
    assert golden.rel(tokens[..., :8], recorded["out/prefix_head"]) < PREFIX
    assert golden.rel(tokens.norm(dim=-1), recorded["out/prefix_norm"]) < PREFIX
    assert golden.rel(tokens.mean(-1), recorded["out/prefix_mean"]) < PREFIX
    np.testing.assert_array_equal(valid.numpy(), recorded["out/prefix_pad"])


@each_case
def test_samples_velocity_and_loss_are_the_recorded_ones(case: str) -> None:
    recorded = golden.recorded(f"jax/{CASES[case][0]}")
    limits = {"velocity": VELOCITY, "loss": LOSS}
    for name, tensor in computed(case).items():
        assert golden.rel(tensor, recorded[f"out/{name}"]) < limits.get(name, SAMPLES), name


@each_case
def test_the_statistics_beside_the_weights_unnormalise_as_recorded(case: str) -> None:
    recorded, checkpoint = golden.recorded(f"jax/{CASES[case][0]}"), loaded(case)
    [stats] = checkpoint.stored.norm_stats.values()
    sampled = computed(case)["sample_actions_10"].numpy()
    kinds = {"zscore": Scaling.Z_SCORE, "quantile": Scaling.QUANTILES}
    names = [name for name in kinds if f"out/unnormalized_{name}" in recorded]
    assert names
    for name in names:
        expected = recorded[f"out/unnormalized_{name}"]
        back = Unnormalize(
            stats=stats, scaling={"actions": kinds[name]}, formula=Formula.OPENPI, min_span=0.0
        )
        found = back({"actions": sampled[..., : expected.shape[-1]]})["actions"]
        assert golden.rel(torch.from_numpy(found), expected) < UNNORMALIZED


@each_case
def test_bfloat16_is_as_near_to_float32_as_the_reference_is(case: str) -> None:
    recorded = golden.recorded(f"jax/{CASES[case][0]}")
    for name, tensor in computed(case, torch.bfloat16).items():
        reference = recorded[f"out/{name}"]
        own = golden.rel(torch.from_numpy(recorded[f"out_bf16/{name}"]), reference)
        assert golden.rel(tensor, reference) < max(3 * own, 1e-2), name


def test_merged_and_kept_lora_factors_are_one_function() -> None:
    merged, kept = computed("LoRA merged"), computed("LoRA kept")
    for name, tensor in merged.items():
        limit = 3e-6 if name == "velocity" else 1e-6  # other kernels alone move it by 1.5e-6
        assert golden.rel(kept[name], tensor.numpy()) < limit, name


def test_leaving_out_the_lora_factors_would_be_noticed() -> None:
    model = load_checkpoint(golden.GOLDEN / "jax" / "lora", keep_lora=True).model
    for name, parameter in model.named_parameters():
        if name.endswith("lora_b"):
            parameter.data.zero_()
    start = golden.given("jax/lora", "noise")
    actions = model.sample_actions(golden.inputs("jax/lora"), start, 5)
    assert golden.rel(actions, golden.recorded("jax/lora")["out/sample_actions_5"]) > 100 * SAMPLES
