"""The contract's own numbers: state and action in its order and units, cameras by name.

For models that were trained on recordings of this contract without any platform's conventions, as
LeRobot trains them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from vla_core.contract import Contract, Kind
from vla_core.errors import PolicyError
from vla_core.transforms import Array, Data, Group
from vla_policy.robots.robot import (
    FirstActions,
    Quantity,
    Robot,
    actions_and_prompt,
    camera_slots,
    random_images,
)

NAME = "plain"
_MEANINGS = {
    Kind.POSITION: "position to go to",
    Kind.GRIPPER: "gripper to go to",
    Kind.VELOCITY: "velocity",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Cameras to the model's slots; the rest passes.

    Args:
        slots: The model's slot for each camera. A camera that is absent leaves its slot out.
    """

    slots: Mapping[str, str]

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        seen = {slot: data["images"].get(camera) for camera, slot in self.slots.items()}
        present = {slot: image for slot, image in seen.items() if image is not None}
        return {
            **actions_and_prompt(data),
            "state": np.asarray(data["state"]),
            **(camera_slots(present) if present else {"image": {}, "image_mask": {}}),
        }


def plain(contract: Contract, slots: Mapping[str, str] | None = None) -> Robot:
    """The adapter of one contract.

    Args:
        contract: The robot.
        slots: The model's slot for each camera that it sees; None: all, in slots of their names.

    Raises:
        PolicyError: A camera of `slots` is not in the contract.
    """
    cameras = tuple(camera.name for camera in contract.cameras)
    slots = {camera: camera for camera in cameras} if slots is None else dict(slots)
    if missing := set(slots) - set(cameras):
        raise PolicyError(
            "the model sees cameras that the contract does not have",
            where=contract.file,
            found=", ".join(cameras) or "none",
            allowed=", ".join(sorted(missing)),
            fix="name the contract's cameras so",
        )
    dims = len(contract.action_names)
    return Robot(
        name=NAME,
        state=_quantities(contract, contract.state, measured=True),
        action=_quantities(contract, contract.action_names, measured=False),
        cameras=cameras,
        required_cameras=tuple(slots),
        asset_id=contract.robot,
        build=lambda _fast: Group(inputs=(Inputs(slots=slots),), outputs=(FirstActions(dims),)),
        make_example=partial(_make_example, contract),
        hold=partial(_hold, contract),
        pi0_slots=tuple(slots.values()),
        fast_slots=tuple(slots.values()),
    )


def _quantities(
    contract: Contract, names: tuple[str, ...], *, measured: bool
) -> tuple[Quantity, ...]:
    joints = [contract.joints[name] for name in names]
    return tuple(
        Quantity(
            name=joint.name,
            unit=joint.unit,
            meaning="as measured" if measured else _MEANINGS[joint.kind],
        )
        for joint in joints
    )


def _make_example(contract: Contract) -> Data:
    """An observation in contract units: joints in the middle of their ranges."""
    joints = [contract.joints[name] for name in contract.state]
    return {
        "state": np.array([(joint.lower + joint.upper) / 2 for joint in joints]),
        "images": random_images(camera.name for camera in contract.cameras),
        "prompt": "do the task",
    }


def _hold(contract: Contract, state: Array) -> Array:
    """Velocities of zero, positions as measured."""
    place = {name: index for index, name in enumerate(contract.state)}
    action = np.zeros(len(contract.action_names))
    for index, joint in enumerate(contract.action_joints()):
        if joint.kind is Kind.VELOCITY:
            continue
        if joint.name not in place:
            raise PolicyError(
                "an action joint is not in the state, so that it cannot be held",
                where=contract.file,
                found=joint.name,
                allowed=", ".join(contract.state),
                fix="add it to the contract's state",
            )
        action[index] = state[place[joint.name]]
    return action
