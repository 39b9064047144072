"""The scripted expert: from where the objects lie to a joint trajectory that does the task.

Open loop, as a plan for both hands: poses and openings at times, in between smooth in space.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vla_bringup.sim.aloha_robot import (
    ARM_JOINTS,
    SIDES,
    START_FINGER_M,
    gripper_from_finger,
)
from vla_bringup.sim.aloha_tasks import TASKS, Layout, Setup
from vla_bringup.teleop.viperx import Hand, arm_angles, start_hand
from vla_core.types import FloatArray

NAMES = tuple(f"{side}_{joint}" for side in SIDES for joint in (*ARM_JOINTS, "gripper"))

_OPEN_M, _CLOSED_M = 0.055, 0.021  # finger positions; closed is on whatever is between them
_PITCH = 1.0  # rad; steep enough for both hands to meet, flat enough to reach far


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A hand at a time."""

    t_s: float
    hand: Hand
    finger_m: float


def plan(setup: Setup, names: Sequence[str], rate_hz: float) -> FloatArray:
    """The expert's trajectory for a scene.

    Args:
        setup: What lies where.
        names: Joints of the columns, a selection of `NAMES`.
        rate_hz: Rows per second.

    Returns:
        (T, A) float64, rad; the first row is ALOHA's start pose.
    """
    keys = _PLANS[setup.task](TASKS[setup.task].layout(setup.seed))
    end_s = max(key.t_s for side in SIDES for key in keys[side])
    columns = [NAMES.index(name) for name in names]
    rows = [_joints(keys, step / rate_hz) for step in range(math.ceil(end_s * rate_hz) + 1)]
    return np.array(rows)[:, columns]


def _joints(keys: Mapping[str, Sequence[Key]], t_s: float) -> list[float]:
    """All of `NAMES` at a time."""
    values: list[float] = []
    for side in SIDES:
        hand, finger_m = _between(keys[side], t_s)
        values += [*arm_angles(side, hand), gripper_from_finger(finger_m)]
    return values


def _between(keys: Sequence[Key], t_s: float) -> tuple[Hand, float]:
    """On the way from one key to the next: at rest at both.

    Source: the cubic Hermite step, 3 u^2 - 2 u^3.
    """
    after = next((key for key in keys if key.t_s > t_s), keys[-1])
    before = next((key for key in reversed(keys) if key.t_s <= t_s), keys[0])
    span_s = after.t_s - before.t_s
    u = (t_s - before.t_s) / span_s if span_s > 0 else 0.0
    u = u * u * (3 - 2 * u)

    def mix(a: float, b: float) -> float:
        return a + u * (b - a)

    x, y, z = map(mix, before.hand.position, after.hand.position)
    hand = Hand(
        position=(x, y, z),
        pitch=mix(before.hand.pitch, after.hand.pitch),
        roll=mix(before.hand.roll, after.hand.roll),
    )
    return hand, mix(before.finger_m, after.finger_m)


def _keys(side: str, *keys: tuple[float, Hand, float]) -> list[Key]:
    """From the start pose on: (time s, pose, finger m)."""
    rows = [(0.0, start_hand(side), START_FINGER_M), *keys]
    return [Key(t_s=t_s, hand=hand, finger_m=finger_m) for t_s, hand, finger_m in rows]


def _at(x: float, y: float, z: float) -> Hand:
    return Hand(position=(x, y, z), pitch=_PITCH)


def _pick(x: float, y: float, z: float) -> list[tuple[float, Hand, float]]:
    """From above, down, close, and up again."""
    return [
        (1.8, _at(x, y, 0.1), _OPEN_M),
        (2.6, _at(x, y, z), _OPEN_M),
        (3.2, _at(x, y, z), _CLOSED_M),
        (3.8, _at(x, y, 0.1), _CLOSED_M),
    ]


def _transfer_cube(layout: Layout) -> dict[str, list[Key]]:
    """The right hand lifts the cube to the middle, the left one takes it, level, fingers up."""
    x, y, _ = layout["cube"]
    meet_x, meet_z = 0.05, 0.25

    def taking(offset_x: float) -> Hand:
        return Hand(position=(meet_x + offset_x, 0.5, meet_z), pitch=0.0, roll=math.pi / 2)

    meet = _at(meet_x, 0.5, meet_z)
    return {
        "right": _keys(
            "right",
            *_pick(x, y, 0.015),
            (5.0, meet, _CLOSED_M),
            (6.3, meet, _CLOSED_M),
            (6.8, meet, _OPEN_M),
            (7.6, _at(meet_x, 0.5, meet_z + 0.12), _OPEN_M),
        ),
        "left": _keys(
            "left",
            (2.6, taking(-0.15), _OPEN_M),
            (5.0, taking(-0.12), _OPEN_M),
            (5.7, taking(0.0), _OPEN_M),
            (6.3, taking(0.0), _CLOSED_M),
            (6.8, taking(0.0), _CLOSED_M),
            (7.6, taking(-0.08), _CLOSED_M),
            (8.0, taking(-0.08), _CLOSED_M),
        ),
    }


def _insertion(layout: Layout) -> dict[str, list[Key]]:
    """Each hand lifts its part, both come to one line, and the right one pushes the peg in.

    A part hangs as far below the finger tips as it was taken: the peg 14 mm lower than the socket.
    """
    (peg_x, peg_y, _), (socket_x, socket_y, _) = layout["peg"], layout["socket"]
    z = 0.2
    socket = _at(-0.06, 0.5, z - 0.014)
    return {
        "right": _keys(
            "right",
            *_pick(peg_x, peg_y, 0.018),
            (5.2, _at(0.09, 0.5, z), _CLOSED_M),
            (5.6, _at(0.09, 0.5, z), _CLOSED_M),
            (7.4, _at(0.035, 0.5, z), _CLOSED_M),
            (8.0, _at(0.035, 0.5, z), _CLOSED_M),
        ),
        "left": _keys(
            "left",
            *_pick(socket_x, socket_y, 0.018),
            (5.2, socket, _CLOSED_M),
            (8.0, socket, _CLOSED_M),
        ),
    }


_PLANS: Mapping[str, Callable[[Layout], dict[str, list[Key]]]] = {
    "transfer_cube": _transfer_cube,
    "insertion": _insertion,
}
