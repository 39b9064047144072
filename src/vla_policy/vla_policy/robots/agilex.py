"""Mobile ALOHA by AgileX: two Piper arms with grippers, up to four cameras.

State and action, in the contract as in the model: six left joints (rad), left gripper (m), six
right joints, right gripper. The base is not commanded.

These run models that were fine-tuned on their own data, so the grippers pass as they are.
Statistics of another robot do not fit them, whatever the asset is called.

Source: openpi, src/openpi/policies/aloha_policy.py (`adapt_to_pi=False`); FluxVLA,
configs/pi0/pi0_paligemma_aloha_full_finetune.py, whose actions are the states that follow.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from vla_core.transforms import Data, Group
from vla_policy.robots.aloha import CAMERAS, Inputs, Outputs, example, two_arms, with_delta
from vla_policy.robots.robot import Quantity, Robot


def make_example() -> Data:
    """An observation in contract units: the arms folded, the grippers half open."""
    return example([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.04], "pick up the toy")


def _build(_fast: bool, *, delta: bool) -> Group:
    group = Group(inputs=(Inputs(adapt_to_pi=False),), outputs=(Outputs(adapt_to_pi=False),))
    return with_delta(group, delta)


_JOINTS = tuple(f"joint{i}" for i in range(1, 7))
AGILEX = Robot(
    name="aloha_agilex",
    state=two_arms(_JOINTS, Quantity(name="gripper", unit="m", meaning="opening"), "joint angle"),
    action=two_arms(
        _JOINTS, Quantity(name="gripper", unit="m", meaning="opening to go to"), "angle to go to"
    ),
    cameras=CAMERAS,
    required_cameras=("cam_high",),
    asset_id="aloha_agilex",
    build=partial(_build, delta=True),
    make_example=make_example,
)
AGILEX_ABSOLUTE = replace(AGILEX, name="aloha_agilex_absolute", build=partial(_build, delta=False))
