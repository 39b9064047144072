"""Jogging: joints that move as fast as a person asks, from a keyboard or a joystick.

Shape letters: H horizon, A action dimension.
"""

from __future__ import annotations

import numpy as np

from vla_core.contract import Contract
from vla_core.safety import Limits
from vla_core.types import FloatArray

HORIZON_S = 0.2  # a driver that dies is followed no longer than this
_LEAD = 0.5  # of how far a chunk may begin from the measured pose


class Jog:
    """A target that follows the asked rates and does not run away from the robot.

    Args:
        contract: The robot.
        speed: Fraction of each joint's largest rate that a full wish stands for.
    """

    def __init__(self, contract: Contract, speed: float) -> None:
        self._limits = Limits.of(contract)
        self._step_s = 1.0 / contract.policy_rate_hz
        self._steps = max(2, round(HORIZON_S * contract.policy_rate_hz))
        self.speed = speed
        self._target: FloatArray | None = None

    def forget(self) -> None:
        """Begin from where the robot is measured next."""
        self._target = None

    def actions(self, measured: FloatArray, wish: FloatArray) -> FloatArray:
        """What to do from now on, should nothing more be heard: (H, A).

        Args:
            measured: (A,) where the joints are.
            wish: (A,) from -1 to 1, the part of `speed` that each joint is asked to move with.
        """
        limits, lead = self._limits, _LEAD * self._limits.start_offset
        target = measured if self._target is None else self._target
        target = np.clip(target, measured - lead, measured + lead)
        rate = np.clip(wish, -1, 1) * self.speed * limits.rate
        times_s = self._step_s * np.arange(self._steps)[:, None]
        positions = np.clip(target + rate * times_s, limits.lower, limits.upper)
        fastest = np.where(wish > 0, limits.upper, -limits.lower)  # of a joint that is a velocity
        velocities = np.broadcast_to(np.clip(wish, -1, 1) * self.speed * fastest, positions.shape)
        actions = np.where(limits.is_velocity, velocities, positions)
        self._target = actions[1]
        return actions
