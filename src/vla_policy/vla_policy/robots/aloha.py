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

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from vla_core.errors import PolicyError
from vla_core.transforms import AbsoluteActions, Array, Data, DeltaActions, Group, bool_mask
from vla_policy.robots.robot import Robot, actions_and_prompt, camera_slots, random_images

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
    action[GRIPPERS] = np.clip(_horn_angle(action[GRIPPERS]), *COMMAND_RAD)
    return action


def make_example() -> Data:
    """An observation in contract units: the arms at rest, the grippers half open."""
    arm = [0.0, -0.96, 1.16, 0.0, -0.3, 0.0, 0.04]
    return {
        "state": np.array(arm * 2),
        "images": random_images(("cam_high", "cam_left_wrist", "cam_right_wrist")),
        "prompt": "transfer the cube",
    }


def _build(_fast: bool, *, adapt_to_pi: bool, delta: bool, interbotix_grippers: bool) -> Group:
    group = Group()
    if interbotix_grippers:
        group = group.push(inputs=[FromContract()], outputs=[ToContract()])
    group = group.push(
        inputs=[Inputs(adapt_to_pi=adapt_to_pi)], outputs=[Outputs(adapt_to_pi=adapt_to_pi)]
    )
    if delta:
        group = group.push(inputs=[DeltaActions(DELTA)], outputs=[AbsoluteActions(DELTA)])
    return group


def _both_arms(*names: str) -> tuple[str, ...]:
    return tuple(f"{side}_{name}" for side in ("left", "right") for name in names)


_VIPERX = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")
_PIPER = _both_arms(*(f"joint{i}" for i in range(1, 7)), "gripper")
_WIDOWX = _both_arms(*(f"joint_{i}" for i in range(6)), "gripper")

ALOHA = Robot(
    name="aloha",
    state_names=_both_arms(*_VIPERX, "finger"),
    action_names=_both_arms(*_VIPERX, "gripper"),
    cameras=CAMERAS,
    required_cameras=("cam_high",),
    asset_id="trossen",  # openpi's name for the statistics of Interbotix ALOHA
    build=partial(_build, adapt_to_pi=True, delta=True, interbotix_grippers=True),
    hold=_hold,
)
# The two below run models that were fine-tuned on their own data, so the grippers (m) pass as they
# are. Statistics of another robot do not fit them, whatever the asset is called.
AGILEX = Robot(
    name="aloha_agilex",
    state_names=_PIPER,
    action_names=_PIPER,
    cameras=CAMERAS,
    required_cameras=("cam_high",),
    asset_id="aloha_agilex",
    build=partial(_build, adapt_to_pi=False, delta=True, interbotix_grippers=False),
)
TROSSEN = Robot(
    name="aloha_trossen",
    state_names=_WIDOWX,
    action_names=_WIDOWX,
    cameras=CAMERAS,
    required_cameras=("cam_high",),
    asset_id="trossen",
    build=partial(_build, adapt_to_pi=False, delta=False, interbotix_grippers=False),
)
