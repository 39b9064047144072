"""Messages that end too early are refused like any other that cannot be read."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState, Joy
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from vla_core.contract_safety import Deadman
from vla_core.errors import CodecError
from vla_policy.nodes.executor_node import ExecutorNode
from vla_policy.nodes.messages import Input, deserialized
from vla_policy.nodes.people_inputs import PeopleInputs

CUTS = (0, 1, 3, 4, 14, 30)


def silent_log() -> Any:
    return SimpleNamespace(warning=lambda *_, **__: None)


@pytest.mark.parametrize("size", CUTS)
def test_a_message_that_is_cut_off_cannot_be_read(size: int) -> None:
    whole = serialize_message(JointState(name=["a", "b"], position=[0.0, 1.0]))
    assert deserialized(whole, JointState, where="/arm").name == ["a", "b"]
    with pytest.raises(CodecError, match="cannot be read; where: /arm"):
        deserialized(whole[:size], JointState, where="/arm")


@pytest.mark.parametrize("size", CUTS)
def test_a_chunk_that_is_cut_off_is_refused_and_counted(size: int) -> None:
    points = [JointTrajectoryPoint(positions=[0.0])] * 2
    whole = serialize_message(JointTrajectory(joint_names=["a"], points=points))
    node = SimpleNamespace(
        _execution=SimpleNamespace(counts=Counter()),
        _refuse_company=lambda: None,
        get_logger=silent_log,
    )
    node._report = lambda error: ExecutorNode._report(node, error)  # type: ignore[arg-type]
    ExecutorNode._on_chunk(node, whole[:size])  # type: ignore[arg-type]
    assert node._execution.counts == {
        "chunks_received": 1,
        "chunks_refused": 1,
        "refused: the message cannot be read": 1,
    }


@pytest.mark.parametrize("size", CUTS)
def test_a_deadman_that_is_cut_off_is_not_pressed(size: int) -> None:
    pressed: list[bool] = []
    people = SimpleNamespace(
        _deadman=Deadman(
            topic="/joy", type="sensor_msgs/msg/Joy", field="buttons[0]", max_age_s=1
        ),
        _node=SimpleNamespace(get_logger=silent_log),
        counts=Counter(),
        interlocks=SimpleNamespace(press=lambda is_pressed, _ns: pressed.append(is_pressed)),
    )
    people._read = lambda serialized: PeopleInputs._read(people, serialized)  # type: ignore[arg-type]
    whole = serialize_message(Joy(buttons=[1]))
    PeopleInputs._on_deadman(people, whole)  # type: ignore[arg-type]
    PeopleInputs._on_deadman(people, whole[:size])  # type: ignore[arg-type]
    assert pressed == [True, False]
    assert people.counts == {"deadman_unreadable": 1}


@pytest.mark.parametrize("size", CUTS)
def test_joints_that_are_cut_off_are_refused_and_counted(size: int) -> None:
    receive: list[Any] = []
    node = SimpleNamespace(
        create_subscription=lambda _cls, _topic, callback, *_, **__: receive.append(callback),
        get_logger=silent_log,
    )
    source: Any = SimpleNamespace(type="sensor_msgs/msg/JointState", topic="/arm")
    arrived: list[object] = []
    joints = Input(node, source, arrived.append, lambda message: message)
    whole = serialize_message(JointState(name=["a"], position=[0.0]))
    receive[0](whole[:size], {"publication_sequence_number": 1})
    assert (arrived, joints.refused) == ([], 1)
    receive[0](whole, {"publication_sequence_number": 2})
    assert len(arrived) == 1
