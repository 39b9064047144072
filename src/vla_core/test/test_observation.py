"""Messages become an observation, the same for rclpy's classes and for plain objects."""

from __future__ import annotations

import array
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from robot_contract import robot
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray

from vla_core.errors import CodecError
from vla_core.observation import build_observation, read_camera, read_stream

CONTRACT = robot()
PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


@dataclass
class PlainJointState:
    name: list[str]
    position: Any
    velocity: Any
    effort: Any


@dataclass
class PlainArray:
    data: Any


@dataclass
class PlainImage:
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


def of_rclpy() -> dict[str, Any]:
    image = Image(height=48, width=64, encoding="rgb8", step=192)
    image.data = array.array("B", PIXELS.tobytes())
    return {
        "arm": JointState(name=["x", "b", "a"], position=[9.0, -0.25, 0.5]),
        "hand": Float64MultiArray(data=[0.03]),
        "top": image,
    }


def of_plain_objects() -> dict[str, Any]:
    empty = np.empty(0)
    return {
        "arm": PlainJointState(["x", "b", "a"], np.array([9.0, -0.25, 0.5]), empty, empty),
        "hand": PlainArray(np.array([0.03])),
        "top": PlainImage(48, 64, "rgb8", 0, 192, PIXELS.reshape(-1)),
    }


@pytest.mark.parametrize("messages", [of_rclpy, of_plain_objects])
def test_an_observation_is_in_the_contracts_order(messages: Any) -> None:
    found = build_observation(CONTRACT, messages(), stamp_ns=7, prompt="fold")
    assert (found.stamp_ns, found.prompt) == (7, "fold")
    assert found.state.dtype == np.float64
    np.testing.assert_array_equal(found.state, [0.5, -0.25, 0.03])
    assert list(found.images) == ["top"]
    np.testing.assert_array_equal(found.images["top"], PIXELS)


def test_live_and_offline_observations_are_identical_bit_for_bit() -> None:
    live, offline = (
        build_observation(CONTRACT, messages, stamp_ns=7, prompt="")
        for messages in (of_rclpy(), of_plain_objects())
    )
    assert live.state.tobytes() == offline.state.tobytes()
    assert live.images["top"].tobytes() == offline.images["top"].tobytes()


def test_building_leaves_the_messages_unchanged_and_keeps_no_state_of_them() -> None:
    messages = of_plain_objects()
    found = build_observation(CONTRACT, messages, stamp_ns=7, prompt="")
    messages["arm"].position[:] = 99.0
    np.testing.assert_array_equal(found.state, [0.5, -0.25, 0.03])
    np.testing.assert_array_equal(messages["top"].data, PIXELS.reshape(-1))


def test_a_stream_is_read_by_contract_name() -> None:
    assert read_stream(CONTRACT.streams[0], of_rclpy()["arm"]) == {"b": -0.25, "a": 0.5}
    assert read_stream(CONTRACT.streams[1], of_rclpy()["hand"]) == {"g": 0.03}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_p1_a_measured_value_that_is_not_finite_is_refused(bad: float) -> None:
    message = of_rclpy()["arm"]
    message.position[1] = bad
    with pytest.raises(CodecError, match="/joint_states"):
        read_stream(CONTRACT.streams[0], message)


def test_an_image_of_another_size_is_refused() -> None:
    message = Image(height=24, width=64, encoding="rgb8", step=192, data=bytes(24 * 192))
    with pytest.raises(CodecError, match="/top"):
        read_camera(CONTRACT.cameras[0], message)


def test_a_joint_that_the_message_lacks_is_never_filled_in() -> None:
    messages = of_rclpy() | {"arm": JointState(name=["a"], position=[0.5])}
    with pytest.raises(CodecError, match="missing: b"):
        build_observation(CONTRACT, messages, stamp_ns=7, prompt="")
