"""Gemma experts that attend jointly, layer by layer, and the cache of a finished prefix.

Shapes: B batch, L tokens of one expert, Q query tokens of all experts, S key tokens (cached + Q),
D width, N query heads, G key/value heads, K head width, C width of the condition.
Source: openpi src/openpi/models/gemma.py; adaptive norms after "adaRMS" of pi0.5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vla_policy.models.config import GemmaConfig

RMS_NORM_EPS = 1e-6
ROPE_BASE = 10_000.0


def embedding(rows: int, width: int) -> nn.Embedding:
    """A table of zeros. To draw normal numbers on the meta device, torch imports its compiler."""
    return nn.Embedding.from_pretrained(torch.zeros(rows, width), freeze=False)


class RMSNorm(nn.Module):
    """Root-mean-square norm in float32.

    Plain: scaled by (1 + weight). Adaptive (``adaptive`` set): no learned scale; a linear map of
    the condition gives scale, shift and the gate of the sub-layer that follows, in this order.
    """

    def __init__(self, width: int, *, adaptive: bool) -> None:
        super().__init__()
        self.dense = nn.Linear(width, 3 * width) if adaptive else None
        self.weight = None if adaptive else nn.Parameter(torch.zeros(width))

    def forward(self, x_BLD: Tensor, cond_BC: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Returns the normed tokens and the gate (B, 1 or L, D), None for a plain norm.

        The condition is (B, C), or (B, L, C) where each token has its own.
        """
        wide_BLD = x_BLD.to(torch.float32)
        normed_BLD = wide_BLD * torch.rsqrt(
            wide_BLD.square().mean(-1, keepdim=True) + RMS_NORM_EPS
        )
        if self.dense is None:
            return (normed_BLD * (1.0 + self.weight.to(torch.float32))).to(x_BLD.dtype), None
        modulation_BLD3 = self.dense(cond_BC.to(self.dense.weight.dtype))
        if cond_BC.ndim == 2:
            modulation_BLD3 = modulation_BLD3[:, None]
        scale_BLD, shift_BLD, gate_BLD = modulation_BLD3.to(torch.float32).chunk(3, dim=-1)
        modulated_BLD = normed_BLD * (1.0 + scale_BLD) + shift_BLD
        return modulated_BLD.to(x_BLD.dtype), gate_BLD.to(x_BLD.dtype)


class Attention(nn.Module):
    """The projections of one expert; the attention itself is joint and lives in ``attend``."""

    def __init__(self, config: GemmaConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        query_width = config.num_heads * config.head_dim
        kv_width = config.num_kv_heads * config.head_dim
        self.q_proj = nn.Linear(config.width, query_width, bias=False)
        self.k_proj = nn.Linear(config.width, kv_width, bias=False)
        self.v_proj = nn.Linear(config.width, kv_width, bias=False)
        self.o_proj = nn.Linear(query_width, config.width, bias=False)

    def heads(self, x_BLD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, N, L, K), keys and values (B, G, L, K)."""
        q, k, v = (
            proj(x_BLD).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        return q, k, v


class Mlp(nn.Module):
    """GeGLU."""

    def __init__(self, config: GemmaConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.width, config.mlp_dim, bias=False)
        self.up_proj = nn.Linear(config.width, config.mlp_dim, bias=False)
        self.down_proj = nn.Linear(config.mlp_dim, config.width, bias=False)

    def forward(self, x_BLD: Tensor) -> Tensor:
        gate = F.gelu(self.gate_proj(x_BLD), approximate="tanh")
        return self.down_proj(gate * self.up_proj(x_BLD))


class Layer(nn.Module):
    def __init__(self, config: GemmaConfig, *, adaptive: bool) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.width, adaptive=adaptive)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.width, adaptive=adaptive)
        self.mlp = Mlp(config)


class Gemma(nn.Module):
    """The weights of one expert; ``vocab_size`` None leaves out the token embedding."""

    def __init__(self, config: GemmaConfig, *, vocab_size: int | None, adaptive: bool) -> None:
        super().__init__()
        self.config = config
        if vocab_size is not None:
            self.embed_tokens = embedding(vocab_size, config.width)
        self.layers = nn.ModuleList(Layer(config, adaptive=adaptive) for _ in range(config.depth))
        self.norm = RMSNorm(config.width, adaptive=adaptive)

    def embed(self, tokens_BL: Tensor) -> Tensor:
        """Token embeddings times sqrt(width); image tokens must not be scaled so."""
        return self.embed_tokens(tokens_BL) * math.sqrt(self.config.width)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the activations."""
        return self.layers[0].self_attn.q_proj.weight.dtype


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The tokens (B, L, D) of one expert, and the condition of its adaptive norms.

    That is (B, C), or (B, L, C) where each token has its own.
    """

    expert: Gemma
    x_BLD: Tensor
    cond_BC: Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixCache:
    """Keys and values (B, G, P, K) of each layer of a finished prefix; read, never written.

    ``valid_BP`` marks the positions that may be attended to.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    valid_BP: Tensor

    def join(self, index: int, k_BGQK: Tensor, v_BGQK: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of one layer with the new ones behind them."""
        return (
            torch.cat((self.keys[index], k_BGQK), dim=2),
            torch.cat((self.values[index], v_BGQK), dim=2),
        )


class GrowingCache:
    """Room for the keys and values of ``size`` tokens; what a run computes is appended.

    ``length`` is how many tokens it holds.
    """

    def __init__(self, expert: Gemma, *, batch: int, size: int) -> None:
        config, weight = expert.config, expert.layers[0].self_attn.k_proj.weight
        self._buffer = weight.new_empty(
            config.depth, 2, batch, config.num_kv_heads, size, config.head_dim
        )
        self.length = 0

    def join(self, index: int, k_BGQK: Tensor, v_BGQK: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of one layer with the new ones behind them; the last layer is last."""
        end = self.length + k_BGQK.shape[2]
        keys, values = self._buffer[index]
        keys[:, :, self.length : end] = k_BGQK
        values[:, :, self.length : end] = v_BGQK
        if index + 1 == len(self._buffer):
            self.length = end
        return keys[:, :, :end], values[:, :, :end]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Projected:
    q_BNQK: Tensor
    k_BGQK: Tensor
    v_BGQK: Tensor
    gates: tuple[Tensor | None, ...]


def rotations(positions_BQ: Tensor, head_dim: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine (B, 1, Q, K/2) float32 of the rotary embedding, for all layers at once."""
    half = torch.arange(0, head_dim, 2, dtype=torch.float32, device=positions_BQ.device)
    angles = positions_BQ[:, None, :, None].to(torch.float32) / ROPE_BASE ** (half / head_dim)
    return angles.cos(), angles.sin()


def rotate(x_BNQK: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary embedding in float32; the halves of a head form the pairs."""
    cos, sin = rotation
    x1, x2 = x_BNQK.to(torch.float32).chunk(2, dim=-1)
    return torch.cat((x1 * cos - x2 * sin, x2 * cos + x1 * sin), dim=-1).to(x_BNQK.dtype)


def attend(q_BNQK: Tensor, k_BGSK: Tensor, v_BGSK: Tensor, mask_B1QS: Tensor) -> Tensor:
    """Softmax attention, True in the mask means visible; returns (B, Q, N*K)."""
    group = q_BNQK.shape[1] // k_BGSK.shape[1]
    k_BNSK = k_BGSK.repeat_interleave(group, dim=1)
    v_BNSK = v_BGSK.repeat_interleave(group, dim=1)
    mixed = F.scaled_dot_product_attention(q_BNQK, k_BNSK, v_BNSK, attn_mask=mask_B1QS)
    return mixed.transpose(1, 2).flatten(2)


def _add(x_BLD: Tensor, y_BLD: Tensor, gate: Tensor | None) -> Tensor:
    return x_BLD + (y_BLD if gate is None else y_BLD * gate)


def _project(streams: Sequence[Stream], index: int, rotation: tuple[Tensor, Tensor]) -> _Projected:
    heads, gates = [], []
    for stream in streams:
        layer = stream.expert.layers[index]
        normed_BLD, gate = layer.input_layernorm(stream.x_BLD, stream.cond_BC)
        heads.append(layer.self_attn.heads(normed_BLD))
        gates.append(gate)
    q, k, v = (torch.cat(parts, dim=2) for parts in zip(*heads, strict=True))
    return _Projected(
        q_BNQK=rotate(q, rotation), k_BGQK=rotate(k, rotation), v_BGQK=v, gates=tuple(gates)
    )


def _finish(
    streams: Sequence[Stream], index: int, mixed_BQD: Tensor, gates: Sequence[Tensor | None]
) -> list[Stream]:
    """Output projection, residuals and feed-forward of each expert on its own tokens."""
    finished = []
    shares = mixed_BQD.split([stream.x_BLD.shape[1] for stream in streams], dim=1)
    for stream, mixed_BLD, gate in zip(streams, shares, gates, strict=True):
        layer = stream.expert.layers[index]
        x_BLD = _add(stream.x_BLD, layer.self_attn.o_proj(mixed_BLD), gate)
        normed_BLD, gate = layer.post_attention_layernorm(x_BLD, stream.cond_BC)
        x_BLD = _add(x_BLD, layer.mlp(normed_BLD), gate)
        finished.append(Stream(expert=stream.expert, x_BLD=x_BLD, cond_BC=stream.cond_BC))
    return finished


def run_experts(
    streams: Sequence[Stream],
    *,
    positions_BQ: Tensor,
    mask_B1QS: Tensor,
    cache: PrefixCache | GrowingCache | None = None,
) -> list[Tensor]:
    """Runs all layers of all streams jointly, after the cached tokens if there are any.

    Args:
        streams: One per expert, in the order of the joint sequence.
        positions_BQ: Position of each token of the joint sequence.
        mask_B1QS: True where a query may see a key; keys are the cached, then the streams'.
        cache: Keys and values to look back at; only a growing one takes up the new ones.

    Returns:
        The final-normed tokens (B, L, D) of each stream.
    """
    streams = list(streams)
    config = streams[0].expert.config
    rotation = rotations(positions_BQ, config.head_dim)
    for index in range(config.depth):
        projected = _project(streams, index, rotation)
        k, v = projected.k_BGQK, projected.v_BGQK
        if cache is not None:
            k, v = cache.join(index, k, v)
        mixed_BQD = attend(projected.q_BNQK, k, v, mask_B1QS)
        streams = _finish(streams, index, mixed_BQD, projected.gates)
    return [stream.expert.norm(stream.x_BLD, stream.cond_BC)[0] for stream in streams]


def fill_cache(stream: Stream, *, valid_BP: Tensor, positions_BP: Tensor) -> PrefixCache:
    """Runs a prefix of which all tokens see all valid ones, and keeps its keys and values.

    What the last layer makes of its attention is nobody's input, so it is not computed.
    """
    depth = stream.expert.config.depth
    rotation = rotations(positions_BP, stream.expert.config.head_dim)
    keys, values = [], []
    for index in range(depth):
        projected = _project([stream], index, rotation)
        keys.append(projected.k_BGQK)
        values.append(projected.v_BGQK)
        if index + 1 < depth:
            mixed = attend(
                projected.q_BNQK, projected.k_BGQK, projected.v_BGQK, valid_BP[:, None, None, :]
            )
            [stream] = _finish([stream], index, mixed, projected.gates)
    return PrefixCache(keys=tuple(keys), values=tuple(values), valid_BP=valid_BP)
