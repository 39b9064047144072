"""Trossen AI stationary: two WidowX AI arms with grippers, up to four cameras.

State and action, in the contract as in the data: six left joints (rad), left gripper (m), six
right joints, right gripper. Two ways to train pi0 on them are in use, and a policy of one drives
the other's arm the wrong way:

- plain: the numbers of the data.
- flipped: the second joint of each arm turns the other way, as in the frame of the base models.

The fork that flips also trains on the middle of the pictures, and corrects what a policy trained
in simulation sends to the real right arm.

Source: TrossenRobotics/openpi, branch trossen-ai, src/openpi/training/config.py;
anredlich/openpi, src/openpi/policies/aloha_policy.py (`adapt_trossen_to_pi`),
src/openpi/training/config.py and examples/trossen_ai/main.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from vla_core.transforms import Array, CenterCrop, Data, Group
from vla_policy.robots.aloha import CAMERAS, DIMS, Inputs, Outputs, example, two_arms
from vla_policy.robots.robot import Quantity, Robot

SIGNS = np.tile([1, -1, 1, 1, 1, 1, 1], 2)
CROP = CenterCrop(cameras=("cam_high", "wrist"), size=480)


@dataclass(frozen=True, slots=True)
class Flip:
    """Second joints the other way round, in state and actions; its own inverse."""

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        return {**data, **{k: _flip(data[k]) for k in ("state", "actions") if k in data}}


def _flip(vector: Array) -> Array:
    return np.concatenate([vector[..., :DIMS] * SIGNS, vector[..., DIMS:]], axis=-1)


@dataclass(frozen=True, slots=True)
class SimToReal:
    """Offsets (rad) of the right arm for policies that were trained in simulation."""

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        actions = np.array(data["actions"])
        actions[..., 7] = 1.05 * (actions[..., 7] + 0.01)
        actions[..., 8] -= 0.025
        actions[..., 9] += 0.025
        return {**data, "actions": actions}


def make_example() -> Data:
    """An observation in contract units: the arms at home, the grippers open."""
    return example([0.0, 0.261799, 0.261799, 0.0, 0.0, 0.0, 0.044], "transfer the cube")


def _build(_fast: bool, *, flipped: bool, cropped: bool, sim_to_real: bool) -> Group:
    flip = (Flip(),) if flipped else ()
    return Group(
        inputs=(*((CROP,) if cropped else ()), Inputs(adapt_to_pi=False), *flip),
        outputs=(*flip, Outputs(adapt_to_pi=False), *((SimToReal(),) if sim_to_real else ())),
    )


_JOINTS = tuple(f"joint_{i}" for i in range(6))


def _variant(
    name: str, *, flipped: bool = False, cropped: bool = False, sim_to_real: bool = False
) -> Robot:
    gripper = Quantity(name="gripper", unit="m", meaning="carriage position")
    return Robot(
        name=name,
        state=two_arms(_JOINTS, gripper, "joint angle"),
        action=two_arms(_JOINTS, gripper, "joint angle to go to"),
        cameras=CAMERAS,
        required_cameras=("cam_high",),
        asset_id="trossen",
        build=partial(_build, flipped=flipped, cropped=cropped, sim_to_real=sim_to_real),
        make_example=make_example,
    )


VARIANTS = (
    _variant("aloha_trossen"),
    _variant("aloha_trossen_sim_to_real", sim_to_real=True),
    _variant("aloha_trossen_flipped", flipped=True),
    _variant("aloha_trossen_flipped_cropped", flipped=True, cropped=True),
    _variant("aloha_trossen_flipped_sim_to_real", flipped=True, sim_to_real=True),
)
