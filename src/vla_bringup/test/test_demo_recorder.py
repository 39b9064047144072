"""The demo's node on real topics."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from rclpy.node import Node
from sensor_msgs.msg import JointState
from sim_contract import SMALL

from vla_bringup.demo import recorder as module
from vla_bringup.demo.observed import Observed
from vla_bringup.demo.recorder import COMMANDED, DemoError, Recorder
from vla_core.contract import parse_contract

WAIT_S = 30
COUNT = 50


@pytest.fixture
def observed() -> Observed:
    return Observed(parse_contract(SMALL), "")


@pytest.fixture
def recorder(observed: Observed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    monkeypatch.setattr(module, "LOOK_AROUND_S", 0.2)
    with Recorder(observed) as recorder:
        yield recorder


@pytest.fixture
def robot(recorder: Recorder) -> Iterator[Node]:
    node = Node("robot")  # the recorder has initialised rclpy
    yield node
    node.destroy_node()


def test_all_that_has_arrived_is_taken_at_once(
    recorder: Recorder, robot: Node, observed: Observed
) -> None:
    publisher = robot.create_publisher(JointState, COMMANDED, COUNT)
    recorder.listen()
    deadline = time.monotonic() + WAIT_S
    while not publisher.get_subscription_count() and time.monotonic() < deadline:
        time.sleep(0.01)
    for _ in range(COUNT):
        publisher.publish(JointState(position=[0.0, 0.0, 0.0]))
    flow, takes = observed.flow(COMMANDED), 0
    while flow.count < COUNT and time.monotonic() < deadline:
        before = flow.count
        recorder.take()
        takes += flow.count > before
    assert flow.count == COUNT
    assert flow.losses.lost == 0
    assert takes < COUNT / 2


def test_a_demo_does_not_start_beside_another_robot(recorder: Recorder, robot: Node) -> None:
    topic = "/arm/state"
    publisher = robot.create_publisher(JointState, topic, 1)
    with pytest.raises(DemoError, match=f"already on this ROS domain; found: {topic};"):
        recorder.refuse_company()
    robot.destroy_publisher(publisher)


def test_a_demo_does_not_start_where_somebody_takes_commands(
    recorder: Recorder, robot: Node
) -> None:
    robot.create_subscription(JointState, "/shoulder/command", print, 1)
    with pytest.raises(DemoError, match="found: /shoulder/command;"):
        recorder.refuse_company()


def test_a_free_domain_is_taken(recorder: Recorder) -> None:
    recorder.refuse_company()
