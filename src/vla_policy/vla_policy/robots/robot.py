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
from vla_core.types import Observation
from vla_policy.models.config import IMAGE_KEYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One element of a state or an action, as the contract knows it.

    Attributes:
        name: The contract's name.
        unit: The contract's unit: rad, m, rad/s, m/s, or 1 for a share of a range.
        meaning: Of the number, one clause.
    """

    name: str
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Robot:
    """One platform as a policy sees it.

    Attributes:
        name: Key in the registry.
        state: The S quantities of the state, in order.
        action: The A quantities of the action, in order.
        cameras: Contract cameras that are understood.
        required_cameras: Those without which the policy does not run; the others may be absent.
        asset_id: Default folder of its statistics in a checkpoint.
        build: See `transforms`.
        make_example: An observation in contract units, as `transforms` takes it.
        hold: State (S,) to the action (A,) that keeps the robot there.
        pi0_slots: Camera slots of a pi0 or pi0.5 model of this platform, in the model's order.
        fast_slots: The same of pi0-FAST.
        model_dims: Size to which state and action grow on the way to the model; 0: they do not.
        step_s: Time that one action stands for, where the numbers depend on it; 0: they do not.
    """

    name: str
    state: tuple[Quantity, ...]
    action: tuple[Quantity, ...]
    cameras: tuple[str, ...]
    required_cameras: tuple[str, ...]
    asset_id: str
    build: Callable[[bool], Group]
    make_example: Callable[[], Data]
    hold: Callable[[Array], Array] = np.array
    pi0_slots: tuple[str, ...] = IMAGE_KEYS
    fast_slots: tuple[str, ...] = IMAGE_KEYS
    model_dims: int = 0
    step_s: float = 0.0

    @property
    def state_names(self) -> tuple[str, ...]:
        return tuple(quantity.name for quantity in self.state)

    @property
    def action_names(self) -> tuple[str, ...]:
        return tuple(quantity.name for quantity in self.action)

    @property
    def state_dim(self) -> int:
        return len(self.state)

    @property
    def action_dim(self) -> int:
        return len(self.action)

    @property
    def model_state_dim(self) -> int:
        """Size of the state that is normalised, and of its statistics."""
        return max(self.state_dim, self.model_dims)

    @property
    def model_action_dim(self) -> int:
        """Size of the action that is normalised, and of its statistics."""
        return max(self.action_dim, self.model_dims)

    def transforms(self, *, fast: bool = False) -> Group:
        """Steps between the contract and a model, without normalisation.

        In: `{"state": (S,) float64, "images": {camera: (H, W, 3) uint8 RGB}, "prompt": str}`, with
        `"actions"` (H, A) in training, becomes openpi's `state`, `image`, `image_mask`, `prompt`.
        Out: `{"actions": (H, D), "state": (D,)}` becomes `{"actions": (H, A)}` in contract units.

        Args:
            fast: Camera slots of pi0-FAST instead of those of pi0 and pi0.5.
        """
        return self.build(fast)

    def make_observation(self, prompt: str = "") -> Observation:
        """The example as an observation; a prompt takes the place of its own."""
        example = self.make_example()
        return Observation(stamp_ns=0, **(example | ({"prompt": prompt} if prompt else {})))

    def slots(self, *, fast: bool = False) -> tuple[str, ...]:
        """Camera slots that `transforms` fills, in the model's order."""
        return self.fast_slots if fast else self.pi0_slots

    def check(
        self,
        *,
        state_names: Iterable[str],
        action_names: Iterable[str],
        cameras: Iterable[str],
        units: Mapping[str, str] | None = None,
        policy_rate_hz: float | None = None,
    ) -> None:
        """Compare with a contract.

        Args:
            state_names: The contract's.
            action_names: The contract's.
            cameras: Names of the contract's.
            units: By name, of the contract's joints; None: not compared.
            policy_rate_hz: The contract's; None: not compared.

        Raises:
            PolicyError: Names, their order or units differ, a camera is missing or not
                understood, or actions come at another rate than the one that they are made for.
        """
        self._check_names("state", tuple(state_names), self.state, units)
        self._check_names("action", tuple(action_names), self.action, units)
        present = set(cameras)
        if not set(self.required_cameras) <= present <= set(self.cameras):
            raise PolicyError(
                f"the contract's cameras do not fit robot {self.name}",
                where="contract, cameras",
                found=", ".join(sorted(present)) or "none",
                allowed=f"{', '.join(self.cameras)}; needed: {', '.join(self.required_cameras)}",
                fix="name the contract's cameras so",
            )
        if policy_rate_hz and self.step_s and not np.isclose(policy_rate_hz * self.step_s, 1):
            raise PolicyError(
                f"the contract's rate does not fit robot {self.name}",
                where="policy_rate_hz",
                found=policy_rate_hz,
                allowed=f"{1 / self.step_s:g}: one action is a motion of {self.step_s:.4g} s",
                fix="set policy_rate_hz so, or choose another robot adapter",
            )

    def _check_names(
        self,
        what: str,
        names: tuple[str, ...],
        own: tuple[Quantity, ...],
        units: Mapping[str, str] | None,
    ) -> None:
        found, expected = list(names), [quantity.name for quantity in own]
        if units is not None:
            found = [f"{name} [{units.get(name, '?')}]" for name in names]
            expected = [f"{quantity.name} [{quantity.unit}]" for quantity in own]
        if found != expected:
            raise PolicyError(
                f"the contract's {what} does not fit robot {self.name}",
                where=f"contract, {what}",
                found=f"{len(found)} ({', '.join(found)})",
                allowed=f"{len(expected)} ({', '.join(expected)})",
                fix="use a checkpoint for this robot, another adapter, or name the joints so",
            )


def quantities(names: Iterable[str], unit: str, meaning: str) -> tuple[Quantity, ...]:
    """Several of one kind."""
    return tuple(Quantity(name=name, unit=unit, meaning=meaning) for name in names)


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


def base_and_wrist(base: Array, wrist: Array, *, fast: bool) -> Data:
    """Slots of an arm with two cameras; pi0-FAST was trained seeing the black third one."""
    images = {"base_0_rgb": base, "left_wrist_0_rgb": wrist, "right_wrist_0_rgb": None}
    return camera_slots(images, mask_missing=not fast)


@dataclass(frozen=True, slots=True)
class FirstActions:
    """Model actions (H, D) to the first of them, (H, dims): the others are padding."""

    dims: int

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        return {"actions": np.asarray(data["actions"])[..., : self.dims]}


def actions_and_prompt(data: Mapping[str, Any]) -> Data:
    """What passes an adapter's inputs unchanged, where it is there."""
    return {key: data[key] for key in ("actions", "prompt") if key in data}


def random_images(cameras: Iterable[str], seed: int = 0) -> dict[str, Array]:
    """(224, 224, 3) uint8 noise for examples."""
    rng = np.random.default_rng(seed)
    return {name: rng.integers(256, size=(224, 224, 3), dtype=np.uint8) for name in cameras}
