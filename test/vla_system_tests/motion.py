"""When a robot that moved steadily began to brake, by the stamps of its commands."""

from __future__ import annotations

from typing import Any

from vla_system_tests.stand_in_robot import StandInRobot
from vla_system_tests.system import System

STEP = 0.01  # rad of joint 1 from action to action
SETTLED = 15  # commands until the motion is steady
SLOWER = 0.6  # of the steady rate: the next command after a late one comes 0.75 of a period later


def stamp_s(message: Any) -> float:
    """The header stamp in seconds."""
    return float(message.header.stamp.sec + message.header.stamp.nanosec * 1e-9)


def start_steady_motion(system: System, robot: StandInRobot) -> None:
    """Move joint 1 towards zero and beyond; return when it has its rate."""
    name = robot.contract.action_names[0]
    robot.send(robot.chunk(step=-STEP if robot.pose[name] > 0 else STEP))
    system.wait_commands(SETTLED)


def wait_braking(system: System, robot: StandInRobot, since: int, fault_s: float) -> float:
    """System time (s) of the first command after a fault that is slower than the motion.

    Args:
        since: Number of a command before the fault, not the first.
    """
    steady = STEP * robot.contract.policy_rate_hz / robot.contract.control_rate_hz
    recording = system.commanded

    def braking_s() -> float | None:
        for at in range(since, len(recording)):
            one, other = recording.messages[at - 1 : at + 1]
            is_next = recording.numbers[at] == recording.numbers[at - 1] + 1
            is_slower = abs(other.position[0] - one.position[0]) < SLOWER * steady
            if stamp_s(other) > fault_s and is_next and is_slower:
                return stamp_s(other)
        return None

    return float(system.wait(braking_s, "a command that brakes"))
