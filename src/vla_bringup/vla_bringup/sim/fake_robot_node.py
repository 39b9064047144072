"""`fake_robot`: any robot, made of its contract alone."""

from __future__ import annotations

import sys

from vla_bringup.sim.fake_robot import FakeRobot
from vla_bringup.sim.parameters import FAKE_ROBOT
from vla_bringup.sim.robot_interface import RobotInterface, run
from vla_bringup.sim.simulated_robot import SimulatedRobot


class FakeRobotNode(RobotInterface):
    """Joints that follow commands within the contract's limits, and test patterns for cameras."""

    def __init__(self) -> None:
        super().__init__("fake_robot", FAKE_ROBOT)

    def make_robot(self) -> SimulatedRobot:
        """Build the robot; it takes no parameters of its own."""
        return FakeRobot(self.contract)


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to stop."""
    return run(FakeRobotNode, args)


if __name__ == "__main__":
    sys.exit(main())
