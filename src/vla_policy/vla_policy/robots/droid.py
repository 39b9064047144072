"""Franka in the DROID convention: seven joints and a gripper, an exterior and a wrist camera.

State and action, in the contract as in openpi: seven joints (rad), gripper in [0, 1], 1 closed.
Actions are joint positions, which the model predicts as differences. The released `pi0_droid` and
`pi05_droid` predict joint velocities instead: their numbers mean nothing here.

Source: openpi, src/openpi/policies/droid_policy.py and src/openpi/training/config.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_core.transforms import AbsoluteActions, Data, DeltaActions, Group, bool_mask
from vla_policy.robots.robot import Robot, actions_and_prompt, camera_slots, random_images

CAMERAS = ("exterior_image_1_left", "wrist_image_left")
DELTA = bool_mask(7, -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """openpi's DROID dictionary (keys `observation/..`) to the model's.

    Args:
        fast: Camera slots of pi0-FAST, which sees the empty one.
    """

    fast: bool = False

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        base, wrist = (data[f"observation/{camera}"] for camera in CAMERAS)
        if self.fast:
            slots = {"base_0_rgb": base, "base_1_rgb": None, "wrist_0_rgb": wrist}
        else:
            slots = {"base_0_rgb": base, "left_wrist_0_rgb": wrist, "right_wrist_0_rgb": None}
        gripper = np.atleast_1d(data["observation/gripper_position"])
        result = {
            "state": np.concatenate([data["observation/joint_position"], gripper]),
            **camera_slots(slots, mask_missing=not self.fast),
            **actions_and_prompt(data),
        }
        if isinstance(prompt := result.get("prompt"), bytes):
            result["prompt"] = prompt.decode()
        return result


@dataclass(frozen=True, slots=True)
class Outputs:
    """Model actions (H, D) to seven joints and the gripper (H, 8)."""

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        return {"actions": np.asarray(data["actions"])[..., :8]}


@dataclass(frozen=True, slots=True)
class FromContract:
    """The contract's layout to openpi's keys; units are the same."""

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        joints, gripper = np.split(data["state"], [7])
        return {
            "observation/joint_position": joints,
            "observation/gripper_position": gripper,
            **{f"observation/{camera}": data["images"][camera] for camera in CAMERAS},
            **actions_and_prompt(data),
        }


def make_example() -> Data:
    """An observation in contract units: Franka's ready pose, the gripper open."""
    return {
        "state": np.array([0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785, 0.0]),
        "images": random_images(CAMERAS),
        "prompt": "put the marker in the cup",
    }


def _build(fast: bool) -> Group:
    return Group(
        inputs=(FromContract(), Inputs(fast=fast), DeltaActions(DELTA)),
        outputs=(AbsoluteActions(DELTA), Outputs()),
    )


_NAMES = (*(f"fr3_joint{i}" for i in range(1, 8)), "gripper")
DROID = Robot(
    name="droid",
    state_names=_NAMES,
    action_names=_NAMES,
    cameras=CAMERAS,
    required_cameras=CAMERAS,
    asset_id="droid",
    build=_build,
)
