"""Boxes of end effectors: kinematics computed a second way, and no command that leads out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from executor_rig import Rig
from guard_rig import wish
from hypothesis import given, settings
from hypothesis import strategies as st
from robot_contract import TEXT
from urdf_robot import URDF

from vla_core.contract import Contract, load_contract
from vla_core.errors import ContractError
from vla_core.execution import Execution
from vla_core.safety import Limits, at_rest, brake, guard, start
from vla_core.strategies import make_strategy
from vla_core.urdf import UrdfJoint, chain_of, parse_urdf
from vla_core.workspace import Chain, Workspace

WORKSPACE = """\
  workspace:
    hand: {urdf: robot.urdf, tip: arm_end, joints: {a: pan, b: lift},
      x: [-1, 0.3], y: [-0.4, 0.52], z: [0.1, 0.6]}
"""
TWO_JOINTS = URDF.replace(
    '<joint name="reach" type="prismatic">', '<joint name="reach" type="fixed">'
)
TWO_JOINTS = TWO_JOINTS.replace('child link="slide"', 'child link="arm_end"')


def contract(tmp_path: Path, workspace: str = WORKSPACE, urdf: str = TWO_JOINTS) -> Contract:
    (tmp_path / "robot.urdf").write_text(urdf)
    (tmp_path / "robot.yaml").write_text(TEXT + workspace)
    return load_contract(tmp_path / "robot.yaml")


# --- kinematics ---


def matrix(joint: UrdfJoint, value: float) -> np.ndarray:
    """(4, 4): the joint's frame, then its motion, by quaternions."""

    def turn(axis: Any, angle: float) -> np.ndarray:
        x, y, z = np.asarray(axis, float) * np.sin(angle / 2)
        w = np.cos(angle / 2)
        rows = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w), 0],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w), 0],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y), 0],
            [0, 0, 0, 1],
        ]
        return np.array(rows)

    def shift(offset: Any) -> np.ndarray:
        moved = np.eye(4)
        moved[:3, 3] = offset
        return moved

    roll, pitch, yaw = joint.rpy
    fixed = turn([0, 0, 1], yaw) @ turn([0, 1, 0], pitch) @ turn([1, 0, 0], roll)
    if joint.kind == "prismatic":
        motion = shift(np.array(joint.axis) * value)
    else:
        motion = turn(joint.axis, value)
    return np.asarray(shift(joint.xyz) @ fixed @ motion)


numbers = st.floats(-3, 3)
vectors = st.tuples(numbers, numbers, numbers)


@st.composite
def joints(draw: Any) -> list[tuple[UrdfJoint, float]]:
    made = []
    for k in range(draw(st.integers(1, 8))):
        axis = np.array(draw(vectors.filter(lambda v: np.linalg.norm(v) > 0.1)))
        joint = UrdfJoint(
            name=f"j{k}",
            kind=draw(st.sampled_from(["revolute", "continuous", "prismatic", "fixed"])),
            parent=f"l{k}",
            child=f"l{k + 1}",
            xyz=draw(vectors),
            rpy=draw(vectors),
            axis=tuple(axis / np.linalg.norm(axis)),
            lower=None,
            upper=None,
            velocity=None,
            is_mimic=False,
        )
        made.append((joint, 0.0 if joint.kind == "fixed" else draw(numbers)))
    return made


@settings(max_examples=150, deadline=None)
@given(joints())
def test_the_tip_is_where_homogeneous_matrices_put_it(made: list[tuple[UrdfJoint, float]]) -> None:
    expected = np.eye(4)
    for joint, value in made:
        expected = expected @ matrix(joint, value)
    values = np.array([value for joint, value in made if joint.kind != "fixed"])
    found = Chain([joint for joint, _ in made]).tip(values[None])[0]
    np.testing.assert_allclose(found, expected[:3, 3], atol=1e-10)


def test_the_tip_of_a_known_pose() -> None:
    upright = URDF.replace('rpy="0.1 -0.2 0.3"', "")
    chain = Chain(chain_of(parse_urdf(upright.encode()), "", "tool", ""))
    assert chain.movable == ("pan", "lift", "reach")
    np.testing.assert_allclose(chain.tip(np.zeros((1, 3)))[0], [0.55, 0.02, 0.3])
    np.testing.assert_allclose(chain.tip(np.array([[np.pi / 2, 0, 0.1]]))[0], [-0.02, 0.65, 0.3])
    np.testing.assert_allclose(
        chain.tip(np.array([[0, np.pi / 2, 0]]))[0], [0.1, 0.02, 0.3 - 0.45], atol=1e-12
    )


# --- the box ---


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(-2, 2), st.floats(-1, 1)), min_size=1, max_size=6))
def test_p1_no_wish_leads_the_tip_out_of_its_box(
    tmp_path_factory: pytest.TempPathFactory, goals: list[tuple[float, float]]
) -> None:
    robot = contract(tmp_path_factory.mktemp("robot"))
    limits, space = Limits.of(robot), Workspace.of(robot)
    region = space._regions[0]
    last = start(limits, np.array([1.5, 0.0, 0.03]))
    assert region.outside_m(last.position[None]) == 0.0
    rates = [last.rate]
    for goal in goals:
        for _ in range(40):
            proposed = guard(limits, last, wish([*goal, 0.0]), 0.01).command
            last, _ = space.confine(limits, last, proposed, 0.01)
            rates.append(last.rate)
            assert region.outside_m(last.position[None]) < 1e-4  # between two of the judged poses
    changes = np.abs(np.diff(np.stack(rates), axis=0)) / 0.01
    assert (changes <= limits.acceleration * (1 + 1e-9)).all()
    while not at_rest(limits, last):
        last = brake(limits, last, 0.01)
        assert region.outside_m(last.position[None]) < 1e-4


def test_a_robot_that_stands_outside_may_only_come_back(tmp_path: Path) -> None:
    robot = contract(tmp_path)
    limits, space = Limits.of(robot), Workspace.of(robot)
    region = space._regions[0]
    for goal, comes_back in (([1.5, 0.0], True), ([-0.3, 0.0], False)):
        last = start(limits, np.array([0.2, 0.0, 0.03]))
        outside = region.outside_m(last.position[None])
        assert outside > 0.1
        for _ in range(300):
            proposed = guard(limits, last, wish([*goal, 0.0]), 0.01).command
            last, _ = space.confine(limits, last, proposed, 0.01)
            assert region.outside_m(last.position[None]) <= outside + 1e-9
        assert (region.outside_m(last.position[None]) == 0.0) is comes_back


def test_without_a_box_every_command_passes(tmp_path: Path) -> None:
    robot = contract(tmp_path, workspace="")
    limits = Limits.of(robot)
    first = start(limits, np.zeros(3))
    proposed = replace(first, rate=np.ones(3))
    assert Workspace.of(robot).confine(limits, first, proposed, 0.01) == (proposed, True)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("robot.urdf", "none.urdf", "cannot read the URDF"),
        ("tip: arm_end", "tip: hand", "does not hang"),
        ("{a: pan, b: lift}", "{a: pan}", "not those between base and tip"),
        ("{a: pan, b: lift}", "{a: pan, b: elbow}", "not those between base and tip"),
        ("{a: pan, b: lift}", "{z: pan, b: lift}", "unknown joint"),
        ("x: [-1, 0.3], ", "", "missing key"),
        ("x: [-1, 0.3]", "x: [0.3, -1]", "lower is not below upper"),
        ("tip: arm_end", "tip: arm_end, w: [0, 1]", "unknown key"),
    ],
)
def test_a_workspace_that_does_not_fit_is_refused(
    tmp_path: Path, old: str, new: str, what: str
) -> None:
    assert old in WORKSPACE
    with pytest.raises(ContractError, match=what):
        Workspace.of(contract(tmp_path, WORKSPACE.replace(old, new)))


def test_a_joint_in_another_unit_than_the_urdfs_is_refused(tmp_path: Path) -> None:
    sliding = TWO_JOINTS.replace('name="lift" type="revolute"', 'name="lift" type="prismatic"')
    with pytest.raises(ContractError, match=r"commands in the URDF's unit.*found: b: rad"):
        Workspace.of(contract(tmp_path, urdf=sliding))


def test_the_executor_brakes_at_the_box_and_counts_it(tmp_path: Path) -> None:
    rig = Rig()
    rig.execution = Execution(contract(tmp_path), make_strategy("receding_horizon", rig.limits))
    rig.pose = np.array([1.5, 0.0, 0.03])
    rig.tick()
    rig.accept(to=[0.6, 0.0, 0.03], steps=40)
    assert rig.ticks(190)[-1].limited
    assert rig.execution.counts["commands_outside_workspace"] > 0
    region = Workspace.of(contract(tmp_path))._regions[0]
    assert region.outside_m(np.stack(rig.published)) < 1e-4
    assert region.outside_m(rig.pose[None] - np.array([0.05, 0, 0])) > 0  # as far as it may
