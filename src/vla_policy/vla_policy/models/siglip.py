"""SigLIP image tower: patches to tokens. Module names are those of openpi's PyTorch checkpoints.

Shapes: N images, C 3, L image tokens, D tower width, H heads, K head width, W language width.
Source: big_vision SigLIP So400m/14 as used by openpi (src/openpi/models/siglip.py).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vla_policy.models.config import SiglipConfig
from vla_policy.models.gemma import embedding

LAYER_NORM_EPS = 1e-6


class Embeddings(nn.Module):
    """Non-overlapping patches, each projected and given a learned position; always float32."""

    def __init__(self, config: SiglipConfig) -> None:
        super().__init__()
        self.patch_embedding = nn.Conv2d(
            3, config.width, kernel_size=config.patch_size, stride=config.patch_size
        )
        self.position_embedding = embedding(config.num_tokens, config.width)

    def forward(self, image_NCHW: Tensor) -> Tensor:
        patches_NDhw = self.patch_embedding(image_NCHW.to(self.patch_embedding.weight.dtype))
        return patches_NDhw.flatten(2).transpose(1, 2) + self.position_embedding.weight


class Attention(nn.Module):
    """Full multi-head self-attention with biases."""

    def __init__(self, config: SiglipConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.q_proj = nn.Linear(config.width, config.width)
        self.k_proj = nn.Linear(config.width, config.width)
        self.v_proj = nn.Linear(config.width, config.width)
        self.out_proj = nn.Linear(config.width, config.width)

    def forward(self, x_NLD: Tensor) -> Tensor:
        q_NHLK, k_NHLK, v_NHLK = (
            proj(x_NLD).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed_NHLK = F.scaled_dot_product_attention(q_NHLK, k_NHLK, v_NHLK)
        return self.out_proj(mixed_NHLK.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, config: SiglipConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.width, config.mlp_dim)
        self.fc2 = nn.Linear(config.mlp_dim, config.width)

    def forward(self, x_NLD: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x_NLD), approximate="tanh"))


class Layer(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, config: SiglipConfig) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)
        self.self_attn = Attention(config)
        self.layer_norm2 = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)
        self.mlp = Mlp(config)

    def forward(self, x_NLD: Tensor) -> Tensor:
        x_NLD = x_NLD + self.self_attn(self.layer_norm1(x_NLD))
        return x_NLD + self.mlp(self.layer_norm2(x_NLD))


class Encoder(nn.Module):
    def __init__(self, config: SiglipConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.depth))


class VisionModel(nn.Module):
    """The tower without a pooling head: (N, 3, S, S) in [-1, 1] to (N, L, D)."""

    def __init__(self, config: SiglipConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.post_layernorm = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)

    def forward(self, image_NCHW: Tensor) -> Tensor:
        x_NLD = self.embeddings(image_NCHW).to(self.post_layernorm.weight.dtype)
        for layer in self.encoder.layers:
            x_NLD = layer(x_NLD)
        return self.post_layernorm(x_NLD)


class VisionTower(nn.Module):
    """Only a level of names."""

    def __init__(self, config: SiglipConfig) -> None:
        super().__init__()
        self.vision_model = VisionModel(config)

    def forward(self, image_NCHW: Tensor) -> Tensor:
        return self.vision_model(image_NCHW)


class Projector(nn.Module):
    """Linear map from tower width to language width, with bias and without scaling."""

    def __init__(self, config: SiglipConfig, language_width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(config.width, language_width)

    def forward(self, x_NLD: Tensor) -> Tensor:
        return self.linear(x_NLD)


def pixels(image_NHWC: Tensor) -> Tensor:
    """Camera pixels to model input: (N, H, W, 3) uint8 to (N, 3, H, W) float32 in [-1, 1]."""
    return image_NHWC.permute(0, 3, 1, 2).to(torch.float32) / 255.0 * 2.0 - 1.0
