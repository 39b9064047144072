"""UR5 and UR5e: six joints and a gripper, a base and a wrist camera.

State and action, in the contract as in openpi: six joints (rad), gripper in [0, 1].

Source: openpi, examples/ur5/README.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from vla_core.transforms import AbsoluteActions, Data, DeltaActions, Group, bool_mask
from vla_policy.robots.robot import (
    FirstActions,
    Robot,
    actions_and_prompt,
    base_and_wrist,
    quantities,
    random_images,
)

Outputs = partial(FirstActions, 7)  # six joints and the gripper
CAMERAS = ("base_rgb", "wrist_rgb")
DELTA = bool_mask(6, -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """openpi's UR5 dictionary (`joints` (6,), `gripper` (1,), `base_rgb`, ..) to the model's.

    Args:
        fast: The empty camera slot stays visible, as pi0-FAST is trained.
    """

    fast: bool = False

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        return {
            "state": np.concatenate([data["joints"], data["gripper"]]),
            **base_and_wrist(data["base_rgb"], data["wrist_rgb"], fast=self.fast),
            **actions_and_prompt(data),
        }


@dataclass(frozen=True, slots=True)
class FromContract:
    """The contract's layout to openpi's keys; units are the same."""

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        joints, gripper = np.split(data["state"], [6])
        return {
            "joints": joints,
            "gripper": gripper,
            **{camera: data["images"][camera] for camera in CAMERAS},
            **actions_and_prompt(data),
        }


def make_example() -> Data:
    """An observation in contract units: the arm upright over the table, the gripper open."""
    return {
        "state": np.array([0.0, -1.57, 1.57, -1.57, -1.57, 0.0, 0.0]),
        "images": random_images(CAMERAS),
        "prompt": "pick up the bottle",
    }


def _build(fast: bool) -> Group:
    return Group(
        inputs=(FromContract(), Inputs(fast=fast), DeltaActions(DELTA)),
        outputs=(AbsoluteActions(DELTA), Outputs()),
    )


_JOINTS = (
    "shoulder_pan_joint",
    "shoulder_lift_joint",
    "elbow_joint",
    "wrist_1_joint",
    "wrist_2_joint",
    "wrist_3_joint",
)
UR5 = Robot(
    name="ur5",
    state=(
        *quantities(_JOINTS, "rad", "joint angle"),
        *quantities(("gripper",), "1", "0 open, 1 closed"),
    ),
    action=(
        *quantities(_JOINTS, "rad", "joint angle to go to"),
        *quantities(("gripper",), "1", "0 opens, 1 closes"),
    ),
    cameras=CAMERAS,
    required_cameras=CAMERAS,
    asset_id="ur5e",
    build=_build,
    make_example=make_example,
)
