"""What one forward pass of a pi0-family model looks at.

Shapes: B batch, S image side, L prompt length, A action dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vla_core.errors import PolicyError
from vla_policy.models.config import IMAGE_KEYS, Pi0Config
from vla_policy.models.siglip import pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInputs:
    """A batch of observations in model space, on the model's device.

    Args:
        images: (B, 3, S, S) float32 in [-1, 1] by camera slot (a name in ``IMAGE_KEYS``).
            A slot that is not there counts as masked: the same actions at no cost.
        image_masks: (B,) bool for each of ``images``; False where the camera is absent.
        tokens: (B, L) int64 prompt tokens, 0 where padded.
        token_mask: (B, L) bool, False where padded.
        state: (B, A) float32, normalised and padded with zeros; pi0.5 does not look at it.
    """

    images: Mapping[str, Tensor]
    image_masks: Mapping[str, Tensor]
    tokens: Tensor
    token_mask: Tensor
    state: Tensor

    @classmethod
    def from_numpy(
        cls,
        *,
        images: Mapping[str, NDArray[np.uint8]],
        image_masks: Mapping[str, NDArray[np.bool_]],
        tokens: NDArray[Any],
        token_mask: NDArray[np.bool_],
        state: NDArray[Any],
        device: torch.device | str = "cpu",
    ) -> ModelInputs:
        """From arrays with a batch axis; images (B, S, S, 3) uint8 RGB, scaled on the device."""

        def on_device(array: NDArray[Any], dtype: torch.dtype) -> Tensor:
            return torch.tensor(
                array, dtype=dtype, device=device
            )  # a copy: the caller keeps its own

        return cls(
            images={name: pixels(on_device(image, torch.uint8)) for name, image in images.items()},
            image_masks={name: on_device(m, torch.bool) for name, m in image_masks.items()},
            tokens=on_device(tokens, torch.int64),
            token_mask=on_device(token_mask, torch.bool),
            state=on_device(state, torch.float32),
        )

    def without_masked_cameras(self) -> ModelInputs:
        """The same inputs without the cameras that no row has; waits for the device."""
        kept = [name for name in self.images if bool(self.image_masks[name].any())]
        return replace(
            self,
            images={name: self.images[name] for name in kept},
            image_masks={name: self.image_masks[name] for name in kept},
        )

    def check(self, config: Pi0Config) -> None:
        """Raises PolicyError where names or shapes do not fit the model."""
        batch, side = self.tokens.shape[0], config.siglip.image_size
        expected: dict[str, tuple[Tensor, tuple[int, ...]]] = {
            "tokens": (self.tokens, (batch, self.tokens.shape[-1])),
            "token_mask": (self.token_mask, (batch, self.tokens.shape[-1])),
            "state": (self.state, (batch, config.action_dim)),
        }
        for name, image in self.images.items():
            if name not in IMAGE_KEYS or name not in self.image_masks:
                raise PolicyError(
                    "an image is in no camera slot of the model, or has no mask",
                    where=f"images[{name!r}]",
                    found=f"masks {sorted(self.image_masks)}",
                    allowed=", ".join(IMAGE_KEYS),
                )
            expected[f"images[{name!r}]"] = (image, (batch, 3, side, side))
            expected[f"image_masks[{name!r}]"] = (self.image_masks[name], (batch,))
        for where, (tensor, shape) in expected.items():
            if tuple(tensor.shape) != shape:
                raise PolicyError(
                    "a model input has the wrong shape",
                    where=where,
                    found=tuple(tensor.shape),
                    allowed=shape,
                )
