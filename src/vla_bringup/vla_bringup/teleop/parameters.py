"""The parameters of `teleop`; docs/parameters.md is made from them."""

from __future__ import annotations

from vla_core.parameters import Parameter
from vla_policy.nodes.node_parameters import CONTRACT

TELEOP = (
    CONTRACT,
    Parameter(
        name="source",
        default="expert",
        choices=("expert", "keyboard", "joystick", "leader"),
        description="Who drives: the scripted expert of the ALOHA simulation, or a person.",
    ),
    Parameter(
        name="speed",
        default=0.2,
        low=0.01,
        high=1.0,
        description="Part of each joint's largest rate, for jogging and for the soft start.",
    ),
    Parameter(
        name="episodes",
        default=1,
        low=1,
        high=1_000_000,
        description="expert: How often the task is done, each time with the next seed.",
    ),
    Parameter(
        name="record",
        default=False,
        description="expert: Have each episode recorded and labelled by `episode_recorder`.",
    ),
    Parameter(
        name="joystick_controls",
        default="",
        description="joystick: What moves which joint, `joint=[-]axes[n]` or `buttons[n]`,"
        " separated by spaces; pages by `|`.",
    ),
    Parameter(
        name="joystick_deadman",
        default=4,
        low=0,
        high=99,
        description="joystick: Button without which nothing moves.",
    ),
    Parameter(
        name="joystick_next_page",
        default=5,
        low=0,
        high=99,
        description="joystick: Button for the next page of controls.",
    ),
    Parameter(
        name="leader_topics",
        default="",
        description="leader: JointState topics; `left_=/topic` where the joints of the message"
        " lack this part of the contract's names.",
    ),
    Parameter(
        name="leader_scales",
        default="",
        description="leader: `joint=gain[,offset]`, separated by spaces; others are mirrored as"
        " they are.",
    ),
    Parameter(
        name="soft_start_s",
        default=2.0,
        low=0.0,
        high=60.0,
        unit="s",
        description="leader: Least time in which the robot goes over to the leader's pose.",
    ),
)
