"""The fake robot moves as its contract allows, and draws where it is."""

import numpy as np
import pytest
import sim_contract
from hypothesis import given
from hypothesis import strategies as st

from vla_bringup.sim.fake_robot import FakeRobot, rest_value
from vla_bringup.sim.simulated_robot import SimulationError
from vla_core.contract import load_contract, parse_contract

CONTRACT = parse_contract(sim_contract.SMALL)


@pytest.mark.parametrize("path", sim_contract.FILES, ids=lambda path: path.stem)
def test_every_contract_has_a_fake_robot_that_starts_inside_its_limits(path: object) -> None:
    contract = load_contract(str(path))
    positions = FakeRobot(contract).positions()
    assert set(positions) == set(contract.joints)
    for name, joint in contract.joints.items():
        assert joint.lower <= positions[name] <= joint.upper


def test_joint_starts_at_zero_or_amid_a_range_without_zero() -> None:
    assert rest_value(CONTRACT.joints["shoulder"]) == 0.0
    assert rest_value(CONTRACT.joints["elbow"]) == pytest.approx(-1.5)


def test_joint_reaches_its_target() -> None:
    robot = FakeRobot(CONTRACT)
    robot.command({"shoulder": 0.5})
    for _ in range(100):
        robot.step(0.02)
    assert robot.positions()["shoulder"] == pytest.approx(0.5, abs=1e-6)
    assert robot.positions()["elbow"] == pytest.approx(-1.5)


@given(
    st.lists(
        st.tuples(st.floats(min_value=-100, max_value=100), st.floats(min_value=0, max_value=0.2)),
        max_size=30,
    )
)
def test_no_joint_leaves_its_range_or_exceeds_its_rate(steps: list[tuple[float, float]]) -> None:
    robot, joint = FakeRobot(CONTRACT), CONTRACT.joints["elbow"]
    for target, dt_s in steps:
        before = robot.positions()["elbow"]
        robot.command({"elbow": target})
        robot.step(dt_s)
        after = robot.positions()["elbow"]
        assert joint.lower - 1e-9 <= after <= joint.upper + 1e-9
        assert abs(after - before) <= joint.max_rate * dt_s + 1e-9
        assert abs(robot.velocities()["elbow"]) <= joint.max_rate + 1e-9


@pytest.mark.parametrize("targets", [{"shoulder": float("nan")}, {"tail": 0.0}])
def test_command_that_cannot_be_followed_is_refused(targets: dict[str, float]) -> None:
    with pytest.raises(SimulationError, match=next(iter(targets))):
        FakeRobot(CONTRACT).command(targets)


def test_picture_changes_with_time_camera_and_joints() -> None:
    robot = FakeRobot(CONTRACT)
    snapshot = robot.snapshot()
    first = robot.render("front", 160, 120, snapshot)
    assert first.shape == (120, 160, 3)
    assert first.dtype == np.uint8
    other = FakeRobot(CONTRACT).render("wrist", 160, 120, snapshot)
    later = FakeRobot(CONTRACT).render("front", 160, 120, np.add(snapshot, (1, 0, 0, 0)))
    moved = FakeRobot(CONTRACT).render("front", 160, 120, np.add(snapshot, (0, 0.3, 0, 0)))
    for changed in (other, later, moved, robot.render("front", 160, 120, snapshot)):
        assert not np.array_equal(changed, first)
