"""What a platform adapter offers, and the pieces that all of them share.

An adapter has two halves. `Inputs` and `Outputs` speak the platform's dialect in openpi, whose
numbers the public checkpoints know. `FromContract` and `ToContract` translate between that dialect
and the contract: joints by name, radians and metres.

Shape letters: S state dims, A action dims, H horizon, D model dims (32 as a rule).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_core.errors import PolicyError
from vla_core.images import as_uint8_hwc
from vla_core.transforms import Array, Data, Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Robot:
    """One platform as a policy sees it.

    Attributes:
        name: Key in the registry.
        state_names: The S contract names of the state, in order.
        action_names: The A contract names of the action, in order.
        cameras: Contract cameras that are understood.
        required_cameras: Those without which the policy does not run; the others may be absent.
        asset_id: Default folder of its statistics in a checkpoint.
        build: See `transforms`.
        hold: State (S,) to the action (A,) that keeps the robot there.
    """

    name: str
    state_names: tuple[str, ...]
    action_names: tuple[str, ...]
    cameras: tuple[str, ...]
    required_cameras: tuple[str, ...]
    asset_id: str
    build: Callable[[bool], Group]
    hold: Callable[[Array], Array] = np.array

    @property
    def state_dim(self) -> int:
        return len(self.state_names)

    @property
    def action_dim(self) -> int:
        return len(self.action_names)

    def transforms(self, *, fast: bool = False) -> Group:
        """Steps between the contract and a model, without normalisation.

        In: `{"state": (S,) float64, "images": {camera: (H, W, 3) uint8 RGB}, "prompt": str}`, with
        `"actions"` (H, A) in training, becomes openpi's `state`, `image`, `image_mask`, `prompt`.
        Out: `{"actions": (H, D), "state": (D,)}` becomes `{"actions": (H, A)}` in contract units.

        Args:
            fast: Camera slots of pi0-FAST instead of those of pi0 and pi0.5.
        """
        return self.build(fast)

    def check(
        self, *, state_names: Iterable[str], action_names: Iterable[str], cameras: Iterable[str]
    ) -> None:
        """Compare with a contract.

        Raises:
            PolicyError: Names or their order differ, a camera is missing or not understood.
        """
        for what, found, expected in (
            ("state", tuple(state_names), self.state_names),
            ("action", tuple(action_names), self.action_names),
        ):
            if found != expected:
                raise PolicyError(
                    f"the contract's {what} does not fit robot {self.name}",
                    found=f"{len(found)} ({', '.join(found)})",
                    allowed=f"{len(expected)} ({', '.join(expected)})",
                    fix="choose another robot adapter, or name the contract's joints so",
                )
        present = set(cameras)
        if not set(self.required_cameras) <= present <= set(self.cameras):
            raise PolicyError(
                f"the contract's cameras do not fit robot {self.name}",
                found=", ".join(sorted(present)) or "none",
                allowed=f"{', '.join(self.cameras)}; needed: {', '.join(self.required_cameras)}",
                fix="name the contract's cameras so",
            )


def camera_slots(images: Mapping[str, Array | None], *, mask_missing: bool = True) -> Data:
    """Pictures for the model's slots; a slot without a camera is black.

    Args:
        images: Slot to picture, uint8 or float in [0, 1], channels first or last; at least one.
        mask_missing: Hide black slots from the model. FAST checkpoints were trained seeing them.

    Returns:
        `image` {slot: (H, W, 3) uint8} and `image_mask` {slot: bool}.
    """
    pictures = {k: as_uint8_hwc(v) for k, v in images.items() if v is not None}
    black = np.zeros_like(next(iter(pictures.values())))
    return {
        "image": {k: pictures.get(k, black) for k in images},
        "image_mask": {k: np.bool_(k in pictures or not mask_missing) for k in images},
    }


def actions_and_prompt(data: Mapping[str, Any]) -> Data:
    """What passes an adapter's inputs unchanged, where it is there."""
    return {key: data[key] for key in ("actions", "prompt") if key in data}


def random_images(cameras: Iterable[str], seed: int = 0) -> dict[str, Array]:
    """(224, 224, 3) uint8 noise for examples."""
    rng = np.random.default_rng(seed)
    return {name: rng.integers(256, size=(224, 224, 3), dtype=np.uint8) for name in cameras}
