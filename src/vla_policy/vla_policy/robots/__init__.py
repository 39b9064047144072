"""Robot adapters, one file per platform; `get` finds one by name."""

from __future__ import annotations

from collections.abc import Mapping

from vla_core.contract import Contract
from vla_core.errors import PolicyError
from vla_policy.robots import trossen
from vla_policy.robots.agilex import AGILEX, AGILEX_ABSOLUTE
from vla_policy.robots.aloha import ALOHA, ALOHA_ABSOLUTE
from vla_policy.robots.droid import DROID, DROID_VELOCITY
from vla_policy.robots.libero import LIBERO, LIBERO_DELTA
from vla_policy.robots.plain import NAME as PLAIN
from vla_policy.robots.plain import plain
from vla_policy.robots.robot import Robot
from vla_policy.robots.ur3 import UR3, UR3_MIXED
from vla_policy.robots.ur5 import UR5

__all__ = ["PLAIN", "ROBOTS", "Robot", "get", "plain"]

#: All but `plain`, which is made from a contract.
ROBOTS = {
    robot.name: robot
    for robot in (
        *(ALOHA, ALOHA_ABSOLUTE),
        *(AGILEX, AGILEX_ABSOLUTE),
        *trossen.VARIANTS,
        *(UR5, UR3, UR3_MIXED),
        *(DROID, DROID_VELOCITY),
        *(LIBERO, LIBERO_DELTA),
    )
}


def get(
    name: str, contract: Contract | None = None, *, slots: Mapping[str, str] | None = None
) -> Robot:
    """The adapter of that name.

    Args:
        name: A platform, or `plain`.
        contract: What `plain` is made from.
        slots: See `vla_policy.robots.plain.plain`; the platforms have their own.

    Raises:
        PolicyError: There is none.
    """
    if name == PLAIN and contract is not None:
        return plain(contract, slots)
    if name not in ROBOTS:
        found = f"{PLAIN} without a contract" if name == PLAIN else name
        raise PolicyError(
            "unknown robot adapter", found=found, allowed=", ".join((*ROBOTS, PLAIN))
        )
    return ROBOTS[name]
