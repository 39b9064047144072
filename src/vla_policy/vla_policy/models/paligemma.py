"""PaliGemma: image tower, projection and language model, shared by the whole family.

Module names are those of openpi's PyTorch checkpoints.

Shapes: B batch, P prefix tokens, W width of the language model.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vla_policy.models.config import ModelConfig
from vla_policy.models.gemma import Gemma
from vla_policy.models.inputs import ModelInputs
from vla_policy.models.siglip import Projector, VisionTower

#: Parameters under ``paligemma_with_expert`` that stay float32 when the model is bfloat16.
#: Source: openpi src/openpi/models_pytorch/gemma_pytorch.py.
FLOAT32_PARTS = (
    "vision_model.embeddings.",
    "input_layernorm",
    "post_attention_layernorm",
    "model.norm.",  # of both experts
)


def parameter_dtype(name: str, dtype: torch.dtype) -> torch.dtype:
    """The type in which a model of type ``dtype`` keeps the parameter ``name``."""
    narrow = name.startswith("paligemma_with_expert.") and not any(
        p in name for p in FLOAT32_PARTS
    )
    return dtype if narrow else torch.float32


class PaligemmaBody(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.vision_tower = VisionTower(config.siglip)
        self.multi_modal_projector = Projector(config.siglip, config.paligemma.width)
        self.language_model = Gemma(config.paligemma, vocab_size=config.vocab_size, adaptive=False)

    def embed(self, inputs: ModelInputs, image_keys: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Cameras in the order of ``image_keys``, then the prompt.

        Returns:
            Tokens (B, P, W), and (B, P) bool, True where they are valid.
        """
        batch = inputs.tokens.shape[0]
        parts: list[Tensor] = []
        masks: list[Tensor] = []
        names = [name for name in image_keys if name in inputs.images]
        if names:  # one pass for all cameras
            images = torch.cat([inputs.images[name] for name in names])
            tokens = self.multi_modal_projector(self.vision_tower(images))
            parts.extend(tokens.split(batch))
            masks.extend(inputs.image_masks[n][:, None].expand(parts[0].shape[:2]) for n in names)
        parts.append(self.language_model.embed(inputs.tokens))
        masks.append(inputs.token_mask)
        return torch.cat(parts, dim=1), torch.cat(masks, dim=1)


class Paligemma(nn.Module):
    """Only a level of names."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.model = PaligemmaBody(config)
