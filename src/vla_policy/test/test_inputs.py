"""What a node takes from a contract's topic, over real DDS."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState

from vla_core.contract import Stream
from vla_core.observation import read_stream
from vla_core.sampling import Sample
from vla_policy.nodes.messages import Input, reception

ARM = Stream(
    name="arm",
    topic="/joint_states",
    type="sensor_msgs/msg/JointState",
    field="position",
    joints={"elbow": "elbow_joint"},
    rate_hz=50,
    max_age_s=0.1,
)


@pytest.fixture
def spinning() -> Iterator[SingleThreadedExecutor]:
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=110 + os.getpid() % 50)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(rclpy.create_node("inputs", context=context))
    yield executor
    executor.get_nodes()[0].destroy_node()
    rclpy.shutdown(context=context)


def joint_state(node: rclpy.node.Node, name: str) -> JointState:
    message = JointState(name=[name], position=[0.5])
    message.header.stamp = node.get_clock().now().to_msg()
    return message


def test_joints_of_another_driver_on_the_same_topic_are_passed_over(
    spinning: SingleThreadedExecutor,
) -> None:
    node = spinning.get_nodes()[0]
    samples: list[Sample[Any]] = []
    source = Input(node, ARM, samples.append, partial(read_stream, ARM))
    arm, gripper = (
        node.create_publisher(JointState, ARM.topic, QoSProfile(depth=10)) for _ in "12"
    )
    deadline = time.monotonic() + 30
    while (len(samples) < 3 or source.refused < 3) and time.monotonic() < deadline:
        gripper.publish(joint_state(node, "gripper_joint"))
        arm.publish(joint_state(node, "elbow_joint"))
        spinning.spin_once(timeout_sec=0.1)
        spinning.spin_once(timeout_sec=0.1)
    assert {tuple(sample.payload.items()) for sample in samples} == {(("elbow", 0.5),)}
    assert source.refused >= 3
    assert source.losses.received == len(samples) + source.refused
    assert reception({"arm": source})["lost/arm"] == "unknown: several publishers"
    source.destroy()
