"""ALOHA: two six-joint arms with grippers, up to four cameras.

Order of state and actions, in the contract as in openpi: six left joints (rad), left gripper, six
right joints, right gripper. The grippers are where the dialects differ:

- contract: state is the joint `left_finger` (m), action the joint `left_gripper` (rad).
- openpi's ALOHA data: state is the finger's share of its stroke, action the gripper joint's share
  of its range, both 0 closed and 1 open.
- pi's own robots, on which the base models were trained: the angle of the gripper motor's horn.

Source: openpi, src/openpi/policies/aloha_policy.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from vla_core.errors import PolicyError
from vla_core.transforms import AbsoluteActions, Array, Data, DeltaActions, Group, bool_mask
from vla_policy.robots.robot import (
    Quantity,
    Robot,
    actions_and_prompt,
    camera_slots,
    quantities,
    random_images,
)

CAMERAS = ("cam_high", "cam_low", "cam_left_wrist", "cam_right_wrist")
DIMS = 14
GRIPPERS = [6, 13]
FLIP = np.tile([1, -1, -1, 1, 1, 1, 1], 2)  # shoulders and elbows turn the other way in pi's frame
DELTA = bool_mask(6, -1, 6, -1)
Span: TypeAlias = tuple[float, float]

FINGER_M = (0.01844, 0.05800)  # left_finger: closed, open
COMMAND_RAD = (-0.6213, 1.4910)  # gripper joint: closed, open
PI_RAD = (0.5476, 1.6296)  # encoder counts 2405 and 3110 of 4096, zero at 2048
HORN_M, LINK_M = 0.022, 0.036  # the crank that moves the fingers


def _share(value: Array, span: Span) -> Array:
    return (value - span[0]) / (span[1] - span[0])


def _value(share: Array, span: Span) -> Array:
    return share * (span[1] - span[0]) + span[0]


def _grippers(vector: Array, convert: Callable[[Array, Span], Array], span: Span) -> Array:
    result = np.array(vector)
    result[..., GRIPPERS] = convert(result[..., GRIPPERS], span)
    return result


def _horn_angle(finger: Array) -> Array:
    """Finger position (m) to gripper joint (rad), by the law of cosines."""
    with np.errstate(divide="ignore"):  # a finger at 0 m ends at the clip
        sine = (HORN_M**2 + finger**2 - LINK_M**2) / (2 * HORN_M * finger)
    return np.asarray(np.arcsin(np.clip(sine, -1.0, 1.0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """openpi's ALOHA dictionary (`state` (14,), `images`, `actions` (H, 14)) to the model's.

    Args:
        adapt_to_pi: Turn joints and grippers into the frame of the base models.
    """

    adapt_to_pi: bool = True

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        images = data["images"]
        if set(images) - set(CAMERAS) or "cam_high" not in images:
            raise PolicyError(
                "cameras of another robot", found=list(images), allowed=f"cam_high, of {CAMERAS}"
            )
        result = {**actions_and_prompt(data), "state": np.asarray(data["state"])}
        if self.adapt_to_pi:
            result["state"] = FLIP * result["state"]
            angle = _horn_angle(_value(result["state"][GRIPPERS], FINGER_M))
            result["state"][GRIPPERS] = _share(angle, PI_RAD)
        if self.adapt_to_pi and "actions" in data:
            actions = _grippers(FLIP * data["actions"], _value, COMMAND_RAD)
            actions[..., GRIPPERS] -= PI_RAD[0]
            result["actions"] = actions
        return result | camera_slots(
            {
                "base_0_rgb": images["cam_high"],
                "left_wrist_0_rgb": images.get("cam_left_wrist"),
                "right_wrist_0_rgb": images.get("cam_right_wrist"),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Model actions (H, D) to openpi's ALOHA actions (H, 14); argument as `Inputs`.

    pi's action gripper is an angle from its own zero, not a share of pi's range: this map is on
    purpose not the inverse of the one for the state.
    """

    adapt_to_pi: bool = True

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        actions = np.asarray(data["actions"])[..., :DIMS]
        if self.adapt_to_pi:
            actions = FLIP * actions
            actions[..., GRIPPERS] = _share(actions[..., GRIPPERS] + PI_RAD[0], COMMAND_RAD)
        return {"actions": actions}


@dataclass(frozen=True, slots=True)
class FromContract:
    """Interbotix fingers (m) and, in training, gripper joints (rad) to shares."""

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        result = {**data, "state": _grippers(data["state"], _share, FINGER_M)}
        if "actions" in data:
            result["actions"] = _grippers(data["actions"], _share, COMMAND_RAD)
        return result


@dataclass(frozen=True, slots=True)
class ToContract:
    """Gripper actions from shares to joint angles (rad)."""

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        return {**data, "actions": _grippers(data["actions"], _value, COMMAND_RAD)}


def _hold(state: Array) -> Array:
    action = np.array(state)
    # A finger measured below 0 m would have the angle of an open one.
    fingers = np.clip(action[GRIPPERS], *FINGER_M)
    action[GRIPPERS] = np.clip(_horn_angle(fingers), *COMMAND_RAD)
    return action


def make_example() -> Data:
    """An observation in contract units: the arms at rest, the grippers half open."""
    return example([0.0, -0.96, 1.16, 0.0, -0.3, 0.0, 0.04], "transfer the cube")


def example(arm: list[float], prompt: str) -> Data:
    """An observation of two arms in the same pose."""
    cameras = ("cam_high", "cam_left_wrist", "cam_right_wrist")
    return {"state": np.array(arm * 2), "images": random_images(cameras), "prompt": prompt}


def with_delta(group: Group, delta: bool) -> Group:
    """Joints, not grippers, as differences to the current state, where a model predicts that."""
    if not delta:
        return group
    return group.push(inputs=[DeltaActions(DELTA)], outputs=[AbsoluteActions(DELTA)])


def _build(_fast: bool, *, delta: bool) -> Group:
    group = Group(inputs=(FromContract(), Inputs()), outputs=(Outputs(), ToContract()))
    return with_delta(group, delta)


def two_arms(joints: Iterable[str], gripper: Quantity, meaning: str) -> tuple[Quantity, ...]:
    """Six joints (rad) and a gripper, left and right."""
    arm = (*quantities(joints, "rad", meaning), gripper)
    return tuple(
        replace(quantity, name=f"{side}_{quantity.name}")
        for side in ("left", "right")
        for quantity in arm
    )


_VIPERX = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")
ALOHA = Robot(
    name="aloha",
    state=two_arms(
        _VIPERX, Quantity(name="finger", unit="m", meaning="finger from the middle"), "joint angle"
    ),
    action=two_arms(
        _VIPERX,
        Quantity(name="gripper", unit="rad", meaning="gripper joint to go to"),
        "joint angle to go to",
    ),
    cameras=CAMERAS,
    required_cameras=("cam_high",),
    asset_id="trossen",  # openpi's name for the statistics of Interbotix ALOHA
    build=partial(_build, delta=True),
    make_example=make_example,
    hold=_hold,
)
# Models that predict joint angles instead of differences, as openpi's pi0_aloha_sim.
ALOHA_ABSOLUTE = replace(ALOHA, name="aloha_absolute", build=partial(_build, delta=False))
