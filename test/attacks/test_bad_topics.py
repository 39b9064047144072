"""Topics that never arrive or carry what the contract does not say: told once, nothing moves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from vla_system_tests.stand_in_robot import StandInRobot
from vla_system_tests.system import EXECUTOR, POLICY, SMALL_ROBOT, System


def test_without_a_robot_the_executor_holds_and_both_nodes_say_what_is_missing(
    system: System,
) -> None:
    launch = system.launch(
        "ur5.launch.py", checkpoint="hold:", contract=SMALL_ROBOT, prompt="wave"
    )
    at = system.wait_state("HOLDING")
    cause = system.status.messages[at].values[0].value
    assert "arm: no message has arrived" in cause
    assert "gripper: no message has arrived" in cause
    system.wait_output(launch, "no observation at this tick")
    system.wait_output(launch, "base_rgb: no message has arrived")
    system.wait_ticks(100)
    assert len(system.commanded) == 0
    assert system.state() == "HOLDING"
    assert "Traceback" not in launch.output


def test_one_camera_that_never_arrives_is_named(system: System, robot: StandInRobot) -> None:
    robot.silent.add("wrist_rgb")
    system.start_executor()
    policy = system.start_faulty_policy("sway")
    system.wait_output(policy, "where: wrist_rgb; found: wrist_rgb: no message has arrived")
    system.wait_ticks(100)
    assert len(system.commanded) == 0


def _encoding(robot: StandInRobot) -> None:
    robot.encoding = "bgr8"


def _unknown_encoding(robot: StandInRobot) -> None:
    robot.encoding = "no_such_encoding"


def _size(robot: StandInRobot) -> None:
    robot.image_size = (32, 24)


@pytest.mark.parametrize(
    ("lie", "found", "allowed"),
    [
        (_encoding, "bgr8", "rgb8"),
        (_unknown_encoding, "no_such_encoding", "rgb8"),
        (_size, "32", "64"),
    ],
)
def test_an_image_that_is_not_the_contracts_is_refused(
    system: System,
    robot: StandInRobot,
    lie: Callable[[StandInRobot], None],
    found: str,
    allowed: str,
) -> None:
    lie(robot)
    system.start_executor()
    policy = system.start_faulty_policy("sway")
    system.wait_output(policy, "[CODEC]")
    line = next(line for line in policy.output.splitlines() if "[CODEC]" in line)
    for word in ("camera/image_raw", found, allowed):
        assert word in line
    system.wait_counter(POLICY, "errors")
    system.wait_ticks(100)
    assert not any(chunk.points for chunk in system.chunks.messages)
    assert len(system.commanded) == 0
    assert "Traceback" not in policy.output


def test_joint_states_with_other_names_are_refused(system: System, robot: StandInRobot) -> None:
    robot.renamed = {"elbow_joint": "elbow"}
    executor = system.start_executor()
    system.wait_output(executor, "[CODEC]")
    assert system.wait_counter(EXECUTOR, "measurements_refused") > 0
    robot.send(robot.chunk())
    system.wait_ticks(100)
    assert len(system.commanded) == 0
    assert system.state() == "HOLDING"
    line = next(line for line in executor.output.splitlines() if "[CODEC]" in line)
    assert "elbow_joint" in line
    assert "Traceback" not in executor.output
