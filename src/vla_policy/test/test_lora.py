"""LoRA factors beside the weights and merged into them are the same function."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vla_core.errors import CheckpointError
from vla_policy.checkpoints.merge_lora import merge_lora
from vla_policy.checkpoints.stored import CheckpointFormat, StoredCheckpoint
from vla_policy.models.config import GemmaConfig, Pi0Config
from vla_policy.models.lora import Addition, Heads, LoraConfig, LoraLinear, add_lora
from vla_policy.models.pi0 import Pi0
from vla_policy.processing import Processing

GEMMA = GemmaConfig(width=24, depth=2, mlp_dim=40, num_heads=4, num_kv_heads=2, head_dim=8)
CONFIG = Pi0Config.tiny(pi05=False, vocab_size=32, paligemma=GEMMA, action_expert=GEMMA)
LORA = {
    "paligemma": LoraConfig(rank=3, alpha=6.0),
    "action_expert": LoraConfig(rank=5, alpha=5.0, targets=("attn",)),
}


def with_lora() -> Pi0:
    torch.manual_seed(0)
    model = Pi0(CONFIG)
    add_lora(model, LORA)
    return model


def stored(model: Pi0, dtype: torch.dtype = torch.float32) -> StoredCheckpoint:
    state = model.state_dict()
    factors_first = sorted(state, key=lambda name: "lora_" not in name)
    return StoredCheckpoint(
        format=CheckpointFormat.OPENPI_JAX,
        path=__file__,
        config=CONFIG,
        processing=Processing.openpi(CONFIG),
        shapes={name: tuple(tensor.shape) for name, tensor in state.items()},
        dtypes={n: torch.float32 if "lora_" in n else dtype for n in state},
        stream=lambda: (
            (n, state[n] if "lora_" in n else state[n].to(dtype)) for n in factors_first
        ),
        lora=LORA,
    )


@pytest.mark.parametrize("side", Heads)
@pytest.mark.parametrize("heads", [1, 3])
def test_an_addition_beside_a_map_is_the_addition_to_its_weight(side: Heads, heads: int) -> None:
    torch.manual_seed(0)
    base = torch.nn.Linear(12, 18, bias=False)
    addition = Addition(rank=2, scale=0.5, heads=heads, side=side)
    beside = LoraLinear(base, addition)
    torch.nn.init.normal_(beside.lora_a)
    torch.nn.init.normal_(beside.lora_b)
    x = torch.randn(2, 5, 12)
    added = addition.weight(beside.lora_a, beside.lora_b)
    merged = torch.nn.functional.linear(x, base.weight + added)
    torch.testing.assert_close(beside(x), merged, rtol=1e-5, atol=1e-5)
    assert added.abs().max() > 0.1


def test_each_head_on_the_way_in_has_a_pair_of_its_own() -> None:
    """Written out after openpi: q[n] += A[n] B[n]."""
    a, b = torch.randn(4, 2, 6), torch.randn(4, 8, 2)  # (N, R, D), (N, K, R)
    addition = Addition(rank=2, scale=3.0, heads=4)
    found = addition.weight(a.flatten(0, 1), b.flatten(0, 1)).unflatten(0, (4, 8))
    for head in range(4):
        torch.testing.assert_close(found[head], 3.0 * b[head] @ a[head])


def test_heads_on_the_way_out_share_the_sum_of_the_second_factors() -> None:
    """Written out after openpi: attn_vec[n] += A[n] (sum over m of B[m])."""
    a, b = torch.randn(4, 8, 2), torch.randn(4, 2, 6)  # (N, K, R), (N, R, D)
    addition = Addition(rank=2, scale=3.0, heads=4, side=Heads.IN)
    found = addition.weight(a.flatten(0, 1).T, b.permute(2, 0, 1).flatten(1))
    for head in range(4):
        own = found[:, head * 8 : (head + 1) * 8].T
        torch.testing.assert_close(own, 3.0 * a[head] @ b.sum(0))


def test_only_the_targets_get_factors_and_attention_alone_is_scaled() -> None:
    model = with_lora()
    language = model.get_submodule("paligemma_with_expert.paligemma.model.language_model.layers.1")
    expert = model.get_submodule("paligemma_with_expert.gemma_expert.model.layers.0")
    assert language.self_attn.q_proj.addition.scale == 2.0
    assert language.mlp.down_proj.addition.scale == 1.0
    assert tuple(language.self_attn.k_proj.lora_a.shape) == (2 * 3, 24)
    assert isinstance(expert.self_attn.o_proj, LoraLinear)
    assert not isinstance(expert.mlp.down_proj, LoraLinear)
    assert float(language.self_attn.q_proj.lora_b.detach().std()) == pytest.approx(0.01, rel=0.3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_merged_checkpoint_is_the_same_function_without_factors(dtype: torch.dtype) -> None:
    model = with_lora()
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype).float()  # what the files can hold
    merged = merge_lora(stored(model, dtype))
    assert merged.lora == {}
    assert merged.notes == (
        "LoRA factors merged into the weights (paligemma rank 3, action_expert rank 5)",
    )
    tensors = dict(merged.stream())
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == merged.shapes
    assert {name: tensor.dtype for name, tensor in tensors.items()} == merged.dtypes
    modules = dict(model.named_modules())
    for name, tensor in tensors.items():
        module = modules[name.rpartition(".")[0]]
        expected = model.get_parameter(name)
        if isinstance(module, LoraLinear):
            expected = expected + module.addition.weight(module.lora_a, module.lora_b)
        torch.testing.assert_close(tensor.float(), expected, rtol=0, atol=1e-7)


def test_a_checkpoint_without_factors_is_left_as_it_is() -> None:
    plain = replace(stored(Pi0(CONFIG)), lora={})
    assert merge_lora(plain) is plain


@pytest.mark.parametrize(
    "wrong", [{"rank": 0}, {"alpha": float("nan")}, {"alpha": 0.0}, {"targets": ("vision",)}]
)
def test_an_impossible_configuration_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(CheckpointError, match="LoRA configuration is out of range"):
        LoraConfig(**({"rank": 4, "alpha": 4.0} | wrong))  # type: ignore[arg-type]
