"""Robot adapters, one file per platform; `get` finds one by name."""

from __future__ import annotations

from vla_core.errors import PolicyError
from vla_policy.robots.aloha import AGILEX, ALOHA, TROSSEN
from vla_policy.robots.droid import DROID
from vla_policy.robots.robot import Robot
from vla_policy.robots.ur5 import UR5

ROBOTS = {robot.name: robot for robot in (ALOHA, AGILEX, TROSSEN, UR5, DROID)}


def get(name: str) -> Robot:
    """The adapter of that name.

    Raises:
        PolicyError: There is none.
    """
    if name not in ROBOTS:
        raise PolicyError("unknown robot adapter", found=name, allowed=", ".join(ROBOTS))
    return ROBOTS[name]
