"""What a simulated robot is, seen from its ROS side: joints that follow commands, and cameras."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vla_core.errors import VlaError

Snapshot = NDArray[np.float64]


class SimulationError(VlaError):
    """A simulation that cannot start or cannot go on."""

    code = "SIMULATION"


def rendering_error(cause: Exception) -> SimulationError:
    """The one message for an OpenGL that is absent or does not work."""
    return SimulationError(
        "rendering cannot start",
        where=f"MuJoCo with MUJOCO_GL={os.environ.get('MUJOCO_GL', '')}",
        found=f"{type(cause).__name__}: {cause}",
        allowed="MUJOCO_GL=egl, in software or on a GPU",
        fix="apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri libgles2, "
        "or run with render:=false",
    )


class SimulatedRobot(Protocol):
    """A robot whose joints are named as the contract names them.

    Everything is called from one thread, except `render`, which has a thread of its own and sees
    the robot only through snapshots.
    """

    def command(self, targets: Mapping[str, float]) -> None:
        """Set new targets, in the contract's units; joints not named keep theirs."""
        ...

    def step(self, dt_s: float) -> int:
        """Advance simulated time by `dt_s` and return how many physics steps that took."""
        ...

    def positions(self) -> Mapping[str, float]:
        """Where each joint is, by name."""
        ...

    def velocities(self) -> Mapping[str, float]:
        """How fast each joint moves, by name."""
        ...

    def snapshot(self) -> Snapshot:
        """Copy all that `render` needs to draw this moment."""
        ...

    def render(
        self, camera: str, width: int, height: int, snapshot: Snapshot
    ) -> NDArray[np.uint8]:
        """Draw a moment as a camera sees it: (height, width, 3) uint8 RGB."""
        ...

    def close_renderer(self) -> None:
        """Free what `render` holds; called in the thread that rendered."""
        ...
