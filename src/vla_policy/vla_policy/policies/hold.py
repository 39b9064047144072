"""A policy that keeps the robot where it is, to test all plumbing without a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from vla_core.rtc import Committed
from vla_core.types import FloatArray, Observation
from vla_policy.robots.robot import Robot


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldPolicy:
    """Repeats the measured pose for a whole chunk."""

    robot: Robot
    horizon: int
    needs_prompt: ClassVar[bool] = False

    @property
    def action_names(self) -> tuple[str, ...]:
        return self.robot.action_names

    def reset(self) -> None:
        """Nothing to forget."""

    def infer(
        self,
        observation: Observation,
        *,
        noise: npt.NDArray[np.floating] | None = None,
        previous: Committed | None = None,
    ) -> FloatArray:
        return np.tile(self.robot.hold(observation.state), (self.horizon, 1))
