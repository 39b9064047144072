"""Topics that never arrive or carry what the contract does not say: told once, nothing moves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sensor_msgs.msg import JointState
from vla_system_tests.stand_in_robot import StandInRobot
from vla_system_tests.system import EXECUTOR, POLICY, SMALL_ROBOT, System


def test_without_a_robot_the_executor_holds_and_both_nodes_say_what_is_missing(
    system: System,
) -> None:
    launch = system.launch(
        "ur5.launch.py",
        checkpoint="hold:",
        contract=SMALL_ROBOT,
        prompt="wave",
        preflight="false",
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
    assert system.wait_counter(EXECUTOR, "refused/arm") > 0
    robot.send(robot.chunk())
    system.wait_ticks(100)
    assert len(system.commanded) == 0
    assert system.state() == "HOLDING"
    line = next(line for line in executor.output.splitlines() if "[CODEC]" in line)
    assert "elbow_joint" in line
    assert "Traceback" not in executor.output


def test_P2_joint_states_whose_stamp_is_no_time_are_refused(
    system: System, robot: StandInRobot
) -> None:
    robot.silent.add("arm")
    nodes = {EXECUTOR: system.start_executor(), POLICY: system.start_faulty_policy("sway")}
    [arm] = [stream for stream in robot.contract.streams if stream.name == "arm"]
    publisher = system.node.create_publisher(JointState, arm.topic, 1)
    system.wait(lambda: publisher.get_subscription_count() >= 2, "both nodes hear joint states")
    message = JointState(name=list(arm.joints.values()), position=[0.0] * len(arm.joints))
    message.header.stamp.nanosec = 4 * 10**9

    def is_refused_by_both() -> (
        bool
    ):  # the first ones may be lost: the nodes subscribe best-effort
        publisher.publish(message)
        return all(system.counter(name, "refused/arm") > 0 for name in nodes)

    system.wait(is_refused_by_both, "both nodes have refused a joint state")
    for process in nodes.values():
        assert "header stamp is not a time" in process.output
        assert "Traceback" not in process.output
    assert system.state() == "HOLDING"
    assert len(system.commanded) == 0
