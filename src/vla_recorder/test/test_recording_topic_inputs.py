"""Messages of the network as the recorder's monitors read them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from rclpy.serialization import serialize_message
from recording_rig import topics
from sensor_msgs.msg import JointState

from vla_core.errors import CodecError
from vla_recorder.nodes.topic_inputs import _check

WHOLE = serialize_message(JointState(name=["elbow"], position=[0.5]))


def check(data: bytes) -> Mapping[str, float]:
    return _check(topics()["arm"][1], JointState)(data)


def test_a_message_is_read_as_a_policy_would() -> None:
    assert check(WHOLE) == {"elbow": 0.5}


@pytest.mark.parametrize("data", [b"", WHOLE[:3], WHOLE[:-20], WHOLE[:12] + b"\xff" * 40])
def test_bytes_that_are_no_message_are_refused_and_not_a_fault_of_the_recorder(
    data: bytes,
) -> None:
    with pytest.raises(CodecError, match="not a message of its type"):
        check(data)
