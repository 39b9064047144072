"""Whether a simulated robot can be the robot of a contract."""

from __future__ import annotations

from vla_bringup.sim.simulated_robot import SimulatedRobot, SimulationError
from vla_core.codecs import FLOAT64_ARRAY, JOINT_STATE
from vla_core.contract import Contract

STREAM_TYPES = (JOINT_STATE, FLOAT64_ARRAY)


def check_contract(contract: Contract, robot: SimulatedRobot) -> None:
    """Refuse a contract whose joints the robot lacks or whose streams cannot be made.

    Raises:
        SimulationError: With the names or the type.
    """
    known = robot.positions()
    names = (*contract.measured_names, *contract.action_names)
    unknown = [name for name in dict.fromkeys(names) if name not in known]
    if unknown:
        raise SimulationError(
            "the contract names joints that the simulated robot does not have",
            where=contract.file,
            found=", ".join(unknown),
            allowed=", ".join(known),
            fix="use the contract of the simulated robot, or fake_robot, which takes any",
        )
    for stream in contract.streams:
        if stream.type not in STREAM_TYPES:
            raise SimulationError(
                "streams of this type cannot be simulated",
                where=f"{contract.file}, stream {stream.name}",
                found=stream.type,
                allowed=", ".join(STREAM_TYPES),
            )
