"""Low-rank additions to the linear maps of the Gemma experts, as openpi trains them.

Attention's factors are per head. On the way in (q, k, v) each head has a pair of its own. On the
way out openpi sums over the heads between the two factors, so that every head's first factor
meets the sum of all second ones. The feed-forward's factors are plain.

Letters: D width of the input, O of the output, N heads, K head width, R rank.
Source: openpi src/openpi/models/lora.py; LoRA, arXiv 2106.09685.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vla_core.errors import CheckpointError
from vla_policy.models.config import GemmaConfig, ModelConfig
from vla_policy.models.pi0 import Pi0
from vla_policy.models.pi0_fast import Pi0Fast

START_DEVIATION = 0.01  # of both factors, so an untrained addition is not zero
A, B = "lora_a", "lora_b"
#: The linear maps of a layer, by openpi's name for the group.
TARGETS: Mapping[str, tuple[str, ...]] = {
    "attn": tuple(f"self_attn.{name}_proj" for name in "qkvo"),
    "ffn": tuple(f"mlp.{name}_proj" for name in ("gate", "up", "down")),
}
EXPERTS: Mapping[str, str] = {
    "paligemma": "paligemma_with_expert.paligemma.model.language_model",
    "action_expert": "paligemma_with_expert.gemma_expert.model",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraConfig:
    """The additions to one expert.

    Args:
        rank: Of each pair of factors.
        alpha: Attention's additions are scaled by alpha / rank; openpi scales the
            feed-forward's by nothing.
        targets: Keys of `TARGETS`.
    """

    rank: int
    alpha: float
    targets: tuple[str, ...] = tuple(TARGETS)

    def __post_init__(self) -> None:
        known = self.targets and set(self.targets) <= TARGETS.keys()
        if not (known and 1 <= self.rank <= 4096 and 0 < self.alpha < float("inf")):
            raise CheckpointError(
                "a LoRA configuration is out of range",
                found=self,
                allowed=f"rank 1 to 4096, a positive alpha, targets of {', '.join(TARGETS)}",
            )


class Heads(Enum):
    """The side of a linear map that consists of heads."""

    OUT = "each head has its own pair"
    IN = "all heads share the sum of the second factors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """How two factors, 2-D as PyTorch's weights, form an addition to a weight (O, D).

    OUT: A is (N*R, D), B is (N*K, R). IN: A is (R, N*K), B is (O, N*R). With one head both are
    the usual (R, D) and (O, R).
    """

    rank: int
    scale: float
    heads: int
    side: Heads = Heads.OUT

    def shapes(self, out_features: int, in_features: int) -> dict[str, tuple[int, int]]:
        """Shapes of the factors, by name."""
        many = self.heads * self.rank
        if self.side is Heads.OUT:
            return {A: (many, in_features), B: (out_features, self.rank)}
        return {A: (self.rank, in_features), B: (out_features, many)}

    def apply(self, x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """What is added to the map's output (..., O), without ever forming the weight."""
        inner = F.linear(x, a)
        if self.side is Heads.IN:
            return self.scale * F.linear(inner, self._summed(b))
        own = b.unflatten(0, (self.heads, -1))
        inner = inner.unflatten(-1, (self.heads, -1))
        return self.scale * torch.einsum("...nr,nkr->...nk", inner, own).flatten(-2)

    def weight(self, a: Tensor, b: Tensor) -> Tensor:
        """What is added to the map's weight: (O, D)."""
        if self.side is Heads.IN:
            return self.scale * (self._summed(b) @ a)
        pairs = b.unflatten(0, (self.heads, -1)) @ a.unflatten(0, (self.heads, -1))
        return self.scale * pairs.flatten(0, 1)

    def _summed(self, b: Tensor) -> Tensor:
        return b.unflatten(1, (self.heads, -1)).sum(1)


class LoraLinear(nn.Linear):
    """The linear map ``base``, which has no bias, with an addition beside its weight."""

    lora_a: nn.Parameter
    lora_b: nn.Parameter

    def __init__(self, base: nn.Linear, addition: Addition) -> None:
        super().__init__(base.in_features, base.out_features, bias=False, device="meta")
        self.weight = base.weight
        self.addition = addition
        for name, shape in addition.shapes(base.out_features, base.in_features).items():
            factor = base.weight.new_empty(shape)
            if not factor.is_meta:  # there it does nothing, and imports a compiler for it
                factor.normal_(std=START_DEVIATION)
            self.register_parameter(name, nn.Parameter(factor))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.addition.apply(x, self.lora_a, self.lora_b)


def additions(config: ModelConfig, lora: Mapping[str, LoraConfig]) -> dict[str, Addition]:
    """The addition to each linear map of a model that has one, by the name of its module."""
    found = {}
    for block, block_lora in lora.items():
        sizes: GemmaConfig = getattr(config, block)
        rank, scale = block_lora.rank, block_lora.alpha / block_lora.rank
        key_value = Addition(rank=rank, scale=scale, heads=sizes.num_kv_heads)
        query = replace(key_value, heads=sizes.num_heads)
        attention = (query, key_value, key_value, replace(query, side=Heads.IN))
        plain = Addition(rank=rank, scale=1.0, heads=1)
        kinds = {"attn": attention, "ffn": (plain, plain, plain)}
        for layer in range(sizes.depth):
            for target in block_lora.targets:
                for name, addition in zip(TARGETS[target], kinds[target], strict=True):
                    found[f"{EXPERTS[block]}.layers.{layer}.{name}"] = addition
    return found


def add_lora(model: Pi0 | Pi0Fast, lora: Mapping[str, LoraConfig]) -> None:
    """Gives a model's linear maps additions in place, with random factors.

    Args:
        model: On the meta device its factors are there too.
        lora: By expert: ``paligemma``, ``action_expert``.
    """
    for name, addition in additions(model.config, lora).items():
        owner, _, attribute = name.rpartition(".")
        base = model.get_submodule(name)
        setattr(model.get_submodule(owner), attribute, LoraLinear(base, addition))
