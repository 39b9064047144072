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
from vla_policy.models.config import ModelConfig, Pi0Config
from vla_policy.models.siglip import pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInputs:
    """A batch of observations in model space, on the model's device.

    Args:
        images: (B, 3, S, S) float32 by camera slot (one of the model's ``image_keys``), in
            [-1, 1] or as the checkpoint normalises them. A slot that is not there counts as
            masked: the same actions at no cost.
        image_masks: (B,) bool for each of ``images``; False where the camera is absent.
        tokens: (B, L) int64 prompt tokens, 0 where padded.
        token_mask: (B, L) bool, False where padded.
        state: (B, A) float32, normalised and padded with zeros; only pi0 looks at it.
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
        images: Mapping[str, NDArray[np.uint8] | NDArray[np.float32]],
        image_masks: Mapping[str, NDArray[np.bool_]],
        tokens: NDArray[Any],
        token_mask: NDArray[np.bool_],
        state: NDArray[Any],
        device: torch.device | str = "cpu",
    ) -> ModelInputs:
        """From arrays with a batch axis.

        Images are (B, S, S, 3) RGB, uint8, which is scaled on the device, or float32, which is
        in the model's range already.

        Raises:
            PolicyError: An image is of another type.
        """

        def on_device(array: NDArray[Any], dtype: torch.dtype) -> Tensor:
            # A copy: the caller keeps its own.
            return torch.tensor(array, dtype=dtype, device=device)

        def image(name: str, array: NDArray[Any]) -> Tensor:
            if array.dtype == np.uint8:
                return pixels(on_device(array, torch.uint8))
            if array.dtype == np.float32:
                return on_device(array, torch.float32).permute(0, 3, 1, 2)
            raise PolicyError(
                "an image of an unknown type",
                where=f"images[{name!r}]",
                found=array.dtype,
                allowed="uint8, or float32 in the model's range",
            )

        return cls(
            images={name: image(name, array) for name, array in images.items()},
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

    def check(self, config: ModelConfig) -> None:
        """Raises PolicyError where names or shapes do not fit the model."""
        batch, side = self.tokens.shape[0], config.siglip.image_size
        expected: dict[str, tuple[Tensor, tuple[int, ...]]] = {
            "tokens": (self.tokens, (batch, self.tokens.shape[-1])),
            "token_mask": (self.token_mask, (batch, self.tokens.shape[-1])),
        }
        if isinstance(config, Pi0Config):  # pi0-FAST has the state in its prompt, unpadded
            expected["state"] = (self.state, (batch, config.action_dim))
        for name, image in self.images.items():
            if name not in config.image_keys or name not in self.image_masks:
                raise PolicyError(
                    "an image is in no camera slot of the model, or has no mask",
                    where=f"images[{name!r}]",
                    found=f"masks {sorted(self.image_masks)}",
                    allowed=", ".join(config.image_keys),
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
