"""`aloha_sim`: ALOHA in MuJoCo, on the topics of the real robot."""

from __future__ import annotations

import os
import sys

from vla_bringup.sim.parameters import ALOHA_SIM
from vla_bringup.sim.robot_interface import RobotInterface, run
from vla_bringup.sim.simulated_robot import SimulatedRobot, rendering_error


class AlohaSim(RobotInterface):
    """Two ViperX arms, a table and a cube."""

    def __init__(self) -> None:
        super().__init__("aloha_sim", ALOHA_SIM)

    def make_robot(self) -> SimulatedRobot:
        """Build the MuJoCo scene as the parameters say."""
        if not self.values["render"]:
            os.environ["MUJOCO_GL"] = "disable"  # so that OpenGL need not be installed
        try:
            # mujoco loads OpenGL on import, and fails there in many ways where that is missing
            from vla_bringup.sim.aloha_scene import AlohaScene
        except Exception as error:
            raise rendering_error(error) from error
        return AlohaScene(
            seed=int(self.values["seed"]),
            physics_rate_hz=float(self.values["physics_rate_hz"]),
            dressed=bool(self.values["dressed"]),
        )


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to stop."""
    # Both are read when OpenGL is loaded. Mesa's own threads draw no faster and take a third more
    # CPU time.
    os.environ.setdefault("MUJOCO_GL", "egl")
    os.environ.setdefault("LP_NUM_THREADS", "0")
    return run(AlohaSim, args)


if __name__ == "__main__":
    sys.exit(main())
