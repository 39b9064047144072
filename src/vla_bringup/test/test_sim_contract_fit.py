"""A contract that the simulated robot cannot play is refused before anything is published."""

import pytest
import sim_contract

from vla_bringup.sim.contract_fit import check_contract
from vla_bringup.sim.fake_robot import FakeRobot
from vla_bringup.sim.simulated_robot import SimulationError
from vla_core.contract import load_contract, parse_contract

SMALL = parse_contract(sim_contract.SMALL)


@pytest.mark.parametrize("path", sim_contract.FILES, ids=lambda path: path.stem)
def test_fake_robot_fits_every_contract(path: object) -> None:
    contract = load_contract(str(path))
    check_contract(contract, FakeRobot(contract))


def test_joint_that_the_robot_lacks_is_named() -> None:
    renamed = parse_contract(sim_contract.SMALL.replace("elbow", "knee"))
    with pytest.raises(SimulationError, match=r"found: knee; allowed: shoulder, elbow, gripper"):
        check_contract(renamed, FakeRobot(SMALL))


def test_stream_of_a_type_that_cannot_be_made_is_refused() -> None:
    text = sim_contract.SMALL.replace(
        "/arm/state, type: sensor_msgs/msg/JointState", "/arm/state, type: nav_msgs/msg/Odometry"
    )
    contract = parse_contract(text)
    with pytest.raises(SimulationError, match=r"stream arm; found: nav_msgs/msg/Odometry"):
        check_contract(contract, FakeRobot(contract))
