"""The models give the numbers that the public reference gave."""

from __future__ import annotations

import math

import golden_model_case as golden
import numpy as np
import pytest
import torch

from vla_policy.checkpoints.model_config import TOKEN_EMBEDDING, UNUSED_EXPERT_HEAD
from vla_policy.checkpoints.openpi_pytorch import FILE_NAMES
from vla_policy.models.pi0 import embed_time

PREFIX, VELOCITY, SAMPLES, LOSS, GRADIENT = 1e-5, 1e-5, 3e-5, 3e-5, 1e-5
both_families = pytest.mark.parametrize("family", golden.FAMILIES)


@both_families
def test_prefix_embedding_is_the_recorded_one(family: str) -> None:
    case = golden.recorded(family)
    tokens, valid = golden.model(family).embed_prefix(golden.inputs(family))
    assert golden.rel(tokens[..., :8], case["out/prefix_head"]) < PREFIX
    assert golden.rel(tokens.norm(dim=-1), case["out/prefix_norm"]) < PREFIX
    assert golden.rel(tokens.mean(-1), case["out/prefix_mean"]) < PREFIX
    np.testing.assert_array_equal(valid.numpy(), case["out/prefix_pad"])


@both_families
def test_suffix_embedding_is_the_recorded_one(family: str) -> None:
    case = golden.recorded(family)
    tokens, condition = golden.model(family).embed_suffix(
        golden.given(family, "state"), golden.noisy_actions(family), golden.given(family, "time")
    )
    assert golden.rel(tokens, case["out/suffix"]) < PREFIX
    assert (condition is not None) == (family == "pi05")
    if condition is not None:
        assert golden.rel(condition, case["out/adarms_cond"]) < PREFIX


@both_families
def test_velocity_is_the_recorded_one_jointly_and_after_a_cached_prefix(family: str) -> None:
    model, inputs = golden.model(family), golden.inputs(family)
    noisy, time = golden.noisy_actions(family), golden.given(family, "time")
    reference = golden.recorded(family)["out/velocity"]
    cached = model.velocity(model.encode_prefix(inputs), inputs.state, noisy, time)
    assert golden.rel(cached, reference) < VELOCITY
    assert golden.rel(model.joint_velocity(inputs, noisy, time), reference) < VELOCITY


@both_families
@pytest.mark.parametrize("steps", [5, 10])
def test_sampled_actions_are_the_recorded_ones(family: str, steps: int) -> None:
    actions = golden.model(family).sample_actions(
        golden.inputs(family), golden.given(family, "noise"), steps
    )
    assert golden.rel(actions, golden.recorded(family)[f"out/sample_actions_{steps}"]) < SAMPLES


@both_families
def test_loss_and_gradients_are_the_recorded_ones(family: str) -> None:
    case, model = golden.recorded(family), golden.model(family)
    loss = model.loss(
        golden.inputs(family),
        golden.given(family, "actions"),
        golden.given(family, "noise"),
        golden.given(family, "time"),
    )
    assert golden.rel(loss, case["out/loss"]) < LOSS
    loss.mean().backward()
    found = {
        FILE_NAMES.get(name, name): 0.0 if p.grad is None else float(p.grad.norm())
        for name, p in model.named_parameters()
    }
    expected = dict(zip(case["out/grad_names"], case["out/grad_norms"], strict=True))
    assert found.keys() | {UNUSED_EXPERT_HEAD} == expected.keys()
    scale = float(case["out/grad_global_norm"])
    assert math.hypot(*found.values()) == pytest.approx(scale, rel=GRADIENT)
    assert all(abs(found[name] - expected[name]) < GRADIENT * scale for name in found)


@both_families
def test_bfloat16_is_as_near_to_float32_as_the_reference_is(family: str) -> None:
    case, inputs = golden.recorded(family), golden.inputs(family)
    model = golden.model(family, torch.bfloat16)
    noise = golden.given(family, "noise")
    with torch.no_grad():
        actions, time = golden.given(family, "actions"), golden.given(family, "time")
        found = {
            "loss": model.loss(inputs, actions, noise, time),
            "velocity": model.joint_velocity(inputs, golden.noisy_actions(family), time),
            "sample_actions_10": model.sample_actions(inputs, noise, 10),
            "sample_actions_5": model.sample_actions(inputs, noise, 5),
        }
    for name, tensor in found.items():
        reference = case[f"out/{name}"]
        own = golden.rel(torch.from_numpy(case[f"out_bf16/{name}"]), reference)
        assert tensor.dtype == torch.float32
        assert golden.rel(tensor, reference) < max(3 * own, 1e-2), name


def test_time_embedding_is_the_recorded_one() -> None:
    with np.load(golden.GOLDEN / "rtc" / "time_embedding.npz", allow_pickle=False) as recorded:
        time = torch.from_numpy(recorded["time"])
        widths = [name for name in recorded if name != "time"]
        assert widths
        for name in widths:
            reference = recorded[name]
            found = embed_time(time, reference.shape[1]).numpy()
            np.testing.assert_allclose(found, reference, rtol=0, atol=5e-4)


def test_an_exact_instead_of_a_tanh_gelu_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = torch.nn.functional.gelu
    monkeypatch.setattr(torch.nn.functional, "gelu", lambda x, approximate: exact(x))
    tokens, _ = golden.model("pi0").embed_prefix(golden.inputs("pi0"))
    assert golden.rel(tokens[..., :8], golden.recorded("pi0")["out/prefix_head"]) > PREFIX


def test_the_file_keeps_the_embedding_under_its_tied_name() -> None:
    assert TOKEN_EMBEDDING in golden.model("pi0").state_dict()
    assert FILE_NAMES[TOKEN_EMBEDDING] in golden.recorded("pi0")["out/grad_names"]
