"""LIBERO: a simulated Panda with a gripper, a view of the table and one from the wrist.

State, in the contract as in openpi: position of the end effector (m), its orientation as a
rotation vector (rad), the two fingers (m).
Action, in the contract as in openpi: what the simulator takes, shares of the largest step of its
operational space controller: translation, rotation, then the gripper from -1 (open) to 1 (closed).

The simulator renders upside down. The data that models are trained on is turned by 180 degrees,
and so is what comes here from a camera; recordings that were turned already need `Inputs` alone.

Source: openpi, src/openpi/policies/libero_policy.py, src/openpi/training/config.py and
examples/libero/main.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from vla_core.transforms import AbsoluteActions, Array, Data, DeltaActions, Group, bool_mask
from vla_policy.robots.robot import (
    FirstActions,
    Robot,
    actions_and_prompt,
    base_and_wrist,
    quantities,
    random_images,
)

Outputs = partial(FirstActions, 7)  # what the simulator takes
CAMERAS = ("image", "wrist_image")
DELTA = bool_mask(6, -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """openpi's LIBERO dictionary (keys `observation/..`) to the model's.

    Args:
        fast: The empty camera slot stays visible, as pi0-FAST is trained.
    """

    fast: bool = False

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        return {
            "state": np.asarray(data["observation/state"]),
            **base_and_wrist(
                data["observation/image"], data["observation/wrist_image"], fast=self.fast
            ),
            **actions_and_prompt(data),
        }


@dataclass(frozen=True, slots=True)
class FromContract:
    """The contract's layout to openpi's keys, pictures turned by 180 degrees."""

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        turned = {camera: data["images"][camera][::-1, ::-1] for camera in CAMERAS}
        return {
            "observation/state": data["state"],
            **{f"observation/{camera}": image.copy() for camera, image in turned.items()},
            **actions_and_prompt(data),
        }


def make_example() -> Data:
    """An observation in contract units: the arm over the table, pointing down."""
    return {
        "state": np.array([-0.05, 0.0, 0.95, np.pi, 0.0, 0.0, 0.04, -0.04]),
        "images": random_images(CAMERAS),
        "prompt": "put the bowl on the plate",
    }


def _hold(_state: Array) -> Array:
    return np.zeros(7)  # the simulator leaves the gripper where it is


def _build(fast: bool, *, extra_delta: bool) -> Group:
    group = Group(inputs=(FromContract(), Inputs(fast=fast)), outputs=(Outputs(),))
    if not extra_delta:
        return group
    return group.push(inputs=[DeltaActions(DELTA)], outputs=[AbsoluteActions(DELTA)])


_AXES = ("x", "y", "z")
LIBERO = Robot(
    name="libero",
    state=(
        *quantities((f"eef_{axis}" for axis in _AXES), "m", "end effector, from the base"),
        *quantities((f"eef_r{axis}" for axis in _AXES), "rad", "its rotation vector"),
        *quantities(("finger_left", "finger_right"), "m", "finger from the middle"),
    ),
    action=(
        *quantities((f"step_{axis}" for axis in _AXES), "1", "translation, 1 is the largest"),
        *quantities((f"step_r{axis}" for axis in _AXES), "1", "rotation, 1 is the largest"),
        *quantities(("gripper",), "1", "-1 opens, 1 closes"),
    ),
    cameras=CAMERAS,
    required_cameras=CAMERAS,
    asset_id="physical-intelligence/libero",
    build=partial(_build, extra_delta=False),
    make_example=make_example,
    hold=_hold,
)
# openpi's older checkpoints subtract the state from these actions, which are steps already.
LIBERO_DELTA = replace(LIBERO, name="libero_delta", build=partial(_build, extra_delta=True))
