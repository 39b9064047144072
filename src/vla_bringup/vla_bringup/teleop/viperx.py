"""Where ALOHA's ViperX 300 arms have to stand for their fingers to be somewhere: closed form.

The hand always points away from the waist's axis, so that the forearm does not roll and the arm
moves in a vertical plane. Lengths in m, of the model of gym-aloha 0.1.5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from vla_bringup.sim.aloha_robot import START_ARM_RAD
from vla_core.errors import VlaError

BASE_X_M, BASE_Y_M = {"left": -0.469, "right": 0.469}, 0.5  # the arms face each other along x
SHOULDER_Z_M = 0.079 + 0.04805
_UPPER_ARM = math.hypot(0.05955, 0.3)
_UPPER_ARM_RISE = math.atan2(0.3, 0.05955)  # of the line shoulder - elbow, at shoulder angle 0
_FOREARM = 0.3
_HAND = 0.069744 + 0.135  # wrist to the middle of what the finger tips hold


class UnreachableError(VlaError):
    """A pose that an arm cannot take."""

    code = "UNREACHABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """A pose of the finger tips.

    Attributes:
        position: (x, y, z) in the scene, m.
        pitch: Below the horizontal, rad.
        roll: About the direction of the fingers, rad; at 0 they close sideways.
    """

    position: tuple[float, float, float]
    pitch: float
    roll: float = 0.0


def arm_angles(side: str, hand: Hand) -> tuple[float, ...]:
    """The six joint angles (rad) that bring the hand there, elbow up.

    Source: the law of cosines in the triangle of shoulder, elbow and wrist.

    Raises:
        UnreachableError: The wrist would be too far from, or too close to, the shoulder.
    """
    facing = 1.0 if side == "left" else -1.0
    forward = facing * (hand.position[0] - BASE_X_M[side])
    sideways = facing * (hand.position[1] - BASE_Y_M)
    out = math.hypot(forward, sideways) - _HAND * math.cos(hand.pitch)
    up = hand.position[2] - SHOULDER_Z_M + _HAND * math.sin(hand.pitch)
    distance = math.hypot(out, up)
    if not abs(_UPPER_ARM - _FOREARM) < distance < _UPPER_ARM + _FOREARM:
        raise UnreachableError(
            "the arm does not reach",
            where=f"{side} arm",
            found=f"wrist {distance:.3f} m from the shoulder, for {hand}",
            allowed=f"less than {_UPPER_ARM + _FOREARM:.3f} m",
        )
    cosine = (_UPPER_ARM**2 + distance**2 - _FOREARM**2) / (2 * _UPPER_ARM * distance)
    upper = math.atan2(up, out) + math.acos(cosine)
    fore = math.atan2(up - _UPPER_ARM * math.sin(upper), out - _UPPER_ARM * math.cos(upper))
    shoulder = _UPPER_ARM_RISE - upper
    elbow = -fore - shoulder
    waist = math.atan2(sideways, forward)
    return waist, shoulder, elbow, 0.0, hand.pitch - shoulder - elbow, hand.roll


def start_hand(side: str) -> Hand:
    """Where the hand is at ALOHA's start pose."""
    _, shoulder, elbow, _, wrist, _ = START_ARM_RAD
    upper, fore = _UPPER_ARM_RISE - shoulder, -(shoulder + elbow)
    pitch = shoulder + elbow + wrist
    reach = _UPPER_ARM * math.cos(upper) + _FOREARM * math.cos(fore) + _HAND * math.cos(pitch)
    height = _UPPER_ARM * math.sin(upper) + _FOREARM * math.sin(fore) - _HAND * math.sin(pitch)
    facing = 1.0 if side == "left" else -1.0
    position = (BASE_X_M[side] + facing * reach, BASE_Y_M, SHOULDER_Z_M + height)
    return Hand(position=position, pitch=pitch)
