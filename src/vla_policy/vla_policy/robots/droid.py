"""Franka in the DROID convention: seven joints and a gripper, an exterior and a wrist camera.

State and action, in the contract as in openpi: seven joints (rad), gripper in [0, 1], 1 closed.
Actions are joint positions. Two kinds of model lead to them:

- `droid`: differences of joint positions to the current ones.
- `droid_velocity`: joint velocities, as the released pi0_droid, pi05_droid and pi0_fast_droid.
  DROID's robot clips each to [-1, 1] and goes on, 15 times a second, to the measured joint angle
  plus 0.2 rad times the velocity. A chunk that is executed here becomes positions at once: the
  steps are summed from the measured pose, as if the arm reached each one in time.

The gripper is closed above 0.5 and open otherwise, as DROID's robot runs these models.

Source: openpi, src/openpi/policies/droid_policy.py, src/openpi/training/config.py and
examples/droid/main.py; droid-dataset/droid, droid/robot_ik/robot_ik_solver.py
(`joint_velocity_to_delta`) and droid/franka/robot.py (`update_joints`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from vla_core.transforms import AbsoluteActions, Data, DeltaActions, Group, bool_mask
from vla_policy.models.config import FAST_IMAGE_KEYS
from vla_policy.robots.robot import (
    FirstActions,
    Robot,
    actions_and_prompt,
    base_and_wrist,
    camera_slots,
    quantities,
    random_images,
)

Outputs = partial(FirstActions, 8)  # seven joints and the gripper
CAMERAS = ("exterior_image_1_left", "wrist_image_left")
DELTA = bool_mask(7, -1)
GRIPPER = 7
LARGEST_STEP_RAD = 0.2  # at velocity 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """openpi's DROID dictionary (keys `observation/..`) to the model's.

    Args:
        fast: Camera slots of pi0-FAST, which sees the empty one.
    """

    fast: bool = False

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        base, wrist = (data[f"observation/{camera}"] for camera in CAMERAS)
        images = base_and_wrist(base, wrist, fast=False)
        if self.fast:
            slots = {"base_0_rgb": base, "base_1_rgb": None, "wrist_0_rgb": wrist}
            images = camera_slots(slots, mask_missing=False)
        gripper = np.atleast_1d(data["observation/gripper_position"])
        result = {
            "state": np.concatenate([data["observation/joint_position"], gripper]),
            **images,
            **actions_and_prompt(data),
        }
        if isinstance(prompt := result.get("prompt"), bytes):
            result["prompt"] = prompt.decode()
        return result


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


@dataclass(frozen=True, slots=True)
class ToContract:
    """The gripper open (0) or closed (1), nothing between."""

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        actions = np.array(data["actions"])
        actions[..., GRIPPER] = np.where(actions[..., GRIPPER] > 0.5, 1.0, 0.0)
        return {**data, "actions": actions}


@dataclass(frozen=True, slots=True)
class PositionsFromVelocities:
    """Joint velocities (shares of the largest step) to positions (rad), from the state."""

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        actions, start = np.array(data["actions"]), np.asarray(data["state"])[..., None, :GRIPPER]
        velocity = np.clip(actions[..., :GRIPPER], -1.0, 1.0)
        actions[..., :GRIPPER] = start + np.cumsum(LARGEST_STEP_RAD * velocity, axis=-2)
        return {**data, "actions": actions}


@dataclass(frozen=True, slots=True)
class VelocitiesFromPositions:
    """Inverse of `PositionsFromVelocities`, for training."""

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        if "actions" not in data:
            return dict(data)
        actions, start = np.array(data["actions"]), np.asarray(data["state"])[..., None, :GRIPPER]
        steps = np.diff(actions[..., :GRIPPER], axis=-2, prepend=start)
        actions[..., :GRIPPER] = steps / LARGEST_STEP_RAD
        return {**data, "actions": actions}


def make_example() -> Data:
    """An observation in contract units: Franka's ready pose, the gripper open."""
    return {
        "state": np.array([0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785, 0.0]),
        "images": random_images(CAMERAS),
        "prompt": "put the marker in the cup",
    }


def _build(fast: bool, *, velocity: bool) -> Group:
    group = Group(inputs=(FromContract(), Inputs(fast=fast)), outputs=(Outputs(), ToContract()))
    if velocity:
        return group.push(inputs=[VelocitiesFromPositions()], outputs=[PositionsFromVelocities()])
    return group.push(inputs=[DeltaActions(DELTA)], outputs=[AbsoluteActions(DELTA)])


_JOINTS = tuple(f"fr3_joint{i}" for i in range(1, 8))
DROID = Robot(
    name="droid",
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
    asset_id="droid",
    build=partial(_build, velocity=False),
    make_example=make_example,
    fast_slots=FAST_IMAGE_KEYS,
)
DROID_VELOCITY = replace(
    DROID, name="droid_velocity", build=partial(_build, velocity=True), step_s=1 / 15
)
