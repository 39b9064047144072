"""Vectors of messages: rclpy's own, and dataclasses with numpy fields such as rosbags makes."""

from __future__ import annotations

import array
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from geometry_msgs.msg import PoseStamped, WrenchStamped
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float32MultiArray, Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from vla_core.codecs import (
    JOINT_STATE,
    JOINT_TRAJECTORY,
    Vector,
    check_path,
    decode_vector,
    encode_vector,
)
from vla_core.errors import CodecError

NAMES = ("waist", "shoulder", "elbow")
FLOAT64 = "std_msgs/msg/Float64MultiArray"


def joint_state(names: Sequence[str] = NAMES, **fields: Any) -> JointState:
    return JointState(name=list(names), **fields)


def decode(
    message: Any,
    type_name: str = JOINT_STATE,
    names: Sequence[str] = NAMES,
    path: str = "position",
) -> Vector:
    return decode_vector(
        message, type_name=type_name, field=path, message_names=names, where="/joints"
    )


@given(st.permutations(range(6)), st.permutations(range(6)), st.integers(1, 6))
def test_joint_state_is_read_by_name_in_any_order(
    sent: list[int], asked: list[int], count: int
) -> None:
    names = [f"joint_{i}" for i in sent]
    message = JointState(name=names, position=[i + 0.5 for i in sent])
    wanted = tuple(f"joint_{i}" for i in asked[:count])
    assert decode(message, names=wanted).tolist() == [i + 0.5 for i in asked[:count]]


def test_changed_order_of_the_same_topic_is_followed() -> None:
    first = joint_state(("a", "b"), position=[1.0, 2.0])
    second = joint_state(("b", "a"), position=[2.0, 1.0])
    assert [decode(m, names=("a", "b")).tolist() for m in (first, second, first)] == [[1, 2]] * 3


@pytest.mark.parametrize("path", ["position", "velocity", "effort"])
def test_joint_state_field_is_the_one_asked_for(path: str) -> None:
    fields: dict[str, Any] = {
        "position": [1.0, 2.0, 3.0],
        "velocity": [4.0, 5.0, 6.0],
        "effort": [7.0, 8.0, 9.0],
    }
    assert decode(joint_state(**fields), path=path).tolist() == fields[path]


def test_other_joints_may_hold_anything() -> None:
    message = joint_state(("wheel", *NAMES), position=[math.nan, 1.0, 2.0, 3.0])
    assert decode(message).tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (joint_state(("waist", "elbow"), position=[0.0, 0.0]), "missing: shoulder"),
        (joint_state((*NAMES, "waist"), position=[0.0] * 4), "found: waist; allowed: each name"),
        (joint_state(), "shape (0,)"),
        (joint_state(position=[1.0, 2.0]), "shape (2,)"),
        (joint_state(position=[1.0, 2.0, 3.0, 4.0]), "shape (4,)"),
        (joint_state(position=[1.0, math.nan, 3.0]), "shoulder=nan"),
        (joint_state(position=[1.0, 2.0, -math.inf]), "elbow=-inf"),
        (JointState(), "found: no names"),
        (String(data="joints"), "no field name"),
        (SimpleNamespace(name=[["waist"]], position=[0.0]), "not a list of strings"),
        (SimpleNamespace(name=None, position=[0.0]), "not a list of strings"),
        (SimpleNamespace(name=list(NAMES), position=["1", "2", "3"]), "3 numbers"),
        (SimpleNamespace(name=list(NAMES), position=[[1.0], 2.0, 3.0]), "3 numbers"),
    ],
)
def test_joint_state_that_lacks_something_is_refused(message: Any, words: str) -> None:
    with pytest.raises(CodecError) as error:
        decode(message)
    assert words in str(error.value)
    assert "where: /joints" in str(error.value)


def test_field_that_the_type_does_not_have_is_refused_with_those_it_has() -> None:
    with pytest.raises(CodecError, match="position, velocity, effort"):
        decode(joint_state(position=[0.0] * 3), path="name")


@pytest.mark.parametrize(
    ("cls", "kind"),
    [(Float64MultiArray, FLOAT64), (Float32MultiArray, FLOAT64.replace("64", "32"))],
)
def test_multi_array_is_read_by_position_and_exact_length(cls: Any, kind: str) -> None:
    message = cls(data=[3.0, 1.0, 2.0])
    vector = decode(message, kind, path="data")
    assert vector.tolist() == [3, 1, 2]
    vector[0] = 9.0
    assert message.data[0] == 3.0, "the result must not be a view of the message"
    for wrong in (("a", "b"), ("a", "b", "c", "d"), ()):
        with pytest.raises(CodecError, match="does not hold the expected numbers"):
            decode(message, kind, wrong, "data")


def trajectory(*points: JointTrajectoryPoint) -> JointTrajectory:
    return JointTrajectory(joint_names=["b", "a"], points=list(points))


def test_trajectory_of_one_point_is_read_by_name() -> None:
    point = JointTrajectoryPoint(positions=[2.0, 1.0], velocities=[4.0, 3.0])
    message = trajectory(point)
    assert decode(message, JOINT_TRAJECTORY, ("a", "b"), "positions").tolist() == [1, 2]
    assert decode(message, JOINT_TRAJECTORY, ("a", "b"), "velocities").tolist() == [3, 4]


@pytest.mark.parametrize("count", [0, 2])
def test_trajectory_of_another_number_of_points_is_refused(count: int) -> None:
    point = JointTrajectoryPoint(positions=[1.0, 2.0])
    with pytest.raises(CodecError, match=f"found: {count} points"):
        decode(trajectory(*[point] * count), JOINT_TRAJECTORY, ("a", "b"), "positions")


def test_any_type_is_read_by_field_path() -> None:
    message = PoseStamped()
    message.pose.position.x, message.pose.position.z = 1.0, 3.0
    message.pose.orientation.w = 0.5
    kind = "geometry_msgs/msg/PoseStamped"
    paths = ("position.z", "position.x", "orientation.w")
    assert decode(message, kind, paths, "pose").tolist() == [3, 1, 0.5]
    assert decode(message, kind, ("pose.position.z",), "").tolist() == [3]
    wrench = WrenchStamped()
    wrench.wrench.force.z = -2.0
    assert decode(wrench, "geometry_msgs/msg/WrenchStamped", ("z",), "wrench.force") == [-2]
    assert decode(Bool(data=True), "std_msgs/msg/Bool", ("",), "data").tolist() == [1]


@dataclass
class ArmState:
    q: Vector = field(default_factory=lambda: np.array([1.0, 2.0, 3.0]))
    O_T_EE: npt.NDArray[np.float32] = field(default_factory=lambda: np.array([7.0], np.float32))
    nested: list[Any] = field(default_factory=lambda: [SimpleNamespace(x=1.0)])
    note: str = "12"
    name: list[str] = field(default_factory=lambda: ["q0", "q1", "q2"])
    position: Vector = field(default_factory=lambda: np.array([4.0, 5.0, 6.0]))

    def secret(self) -> float:
        return 1.0


def test_elements_of_arrays_are_read_by_index_from_numpy_backed_messages() -> None:
    assert decode(ArmState(), "arm/msg/State", ("[2]", "[0]"), "q").tolist() == [3, 1]
    assert decode(ArmState(), "arm/msg/State", ("O_T_EE", "q[1]"), "").tolist() == [7, 2]
    assert decode(ArmState(), names=("q2", "q0")).tolist() == [6, 4]


@pytest.mark.parametrize(
    "path",
    [
        *("q", "q[3]", "q[-1]", "q.shape[0]", "q.size", "note", "note[0]", "secret", "missing"),
        *(
            "__class__",
            "q.__len__",
            "_note",
            "q__x",
            "",
            ".q",
            "q.",
            "q[0][0]",
            "q[]",
            "q[0",
            "a b",
        ),
        *("nested", "nested[0].x", "q[9999999]", "q\n", "note.upper", "[0]"),
    ],
)
def test_path_to_anything_but_one_declared_number_is_refused(path: str) -> None:
    with pytest.raises(CodecError, match="where: /joints"):
        decode(ArmState(), "arm/msg/State", (path,), "")


def test_methods_of_real_messages_are_out_of_reach() -> None:
    with pytest.raises(CodecError, match="get_fields_and_field_types"):
        decode(Bool(), "std_msgs/msg/Bool", ("get_fields_and_field_types",), "")


def test_paths_can_be_checked_before_any_message_is_there() -> None:
    check_path("pose.covariance[35]")
    with pytest.raises(CodecError, match=r"contract\.yaml:3"):
        check_path("pose.__dict__", where="contract.yaml:3")


@given(st.text(max_size=30), st.text(max_size=10))
def test_random_paths_never_raise_anything_but_a_codec_error(path: str, prefix: str) -> None:
    try:
        decode(PoseStamped(), "geometry_msgs/msg/PoseStamped", (path,), prefix)
    except CodecError:
        return
    raise AssertionError("no random text is a path to a number of a pose")


COMMANDS = [
    (JointState, JOINT_STATE, "position"),
    (JointState, JOINT_STATE, "velocity"),
    (JointState, JOINT_STATE, "effort"),
    (JointTrajectory, JOINT_TRAJECTORY, "positions"),
    (JointTrajectory, JOINT_TRAJECTORY, "velocities"),
    (Float64MultiArray, FLOAT64, "data"),
]


def encode(
    cls: Any, kind: str, path: str, values: npt.ArrayLike = (1.0, -2.0, 3.5), **changes: Any
) -> Any:
    options = {
        "type_name": kind,
        "field": path,
        "message_names": NAMES,
        "values": values,
        "stamp_ns": 5_000_000_007,
        "time_from_start_ns": 1_500_000_000,
        "point_class": JointTrajectoryPoint,
        "where": "/command",
    }
    return encode_vector(cls, **(options | changes))


@pytest.mark.parametrize(("cls", "kind", "path"), COMMANDS)
def test_command_survives_the_wire_and_is_read_back(cls: Any, kind: str, path: str) -> None:
    sent = deserialize_message(serialize_message(encode(cls, kind, path)), cls)
    assert decode(sent, kind, NAMES, path).tolist() == [1.0, -2.0, 3.5]


def test_command_fills_just_its_field_names_and_times() -> None:
    state = encode(JointState, JOINT_STATE, "velocity")
    assert (state.header.stamp.sec, state.header.stamp.nanosec) == (5, 7)
    assert state.name == list(NAMES)
    assert state.velocity == array.array("d", [1.0, -2.0, 3.5])
    assert not state.position
    assert not state.effort
    message = encode(JointTrajectory, JOINT_TRAJECTORY, "positions", stamp_ns=0)
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (0, 0)
    assert message.joint_names == list(NAMES)
    (point,) = message.points
    assert (point.time_from_start.sec, point.time_from_start.nanosec) == (1, 500_000_000)
    assert not point.velocities


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"values": (1.0, math.nan, 2.0)}, "shoulder=nan"),
        ({"values": (1.0, 2.0, math.inf)}, "elbow=inf"),
        ({"values": (1.0, 2.0)}, "3 numbers"),
        ({"values": ("1", "2", "3")}, "3 numbers"),
        ({"values": [[1.0, 2.0, 3.0]]}, "3 numbers"),
        ({"stamp_ns": -1}, "-1 ns"),
        ({"stamp_ns": 2**31 * 10**9}, "does not fit"),
        ({"time_from_start_ns": -1}, "-1 ns"),
        ({"field": "data"}, "positions, velocities"),
        ({"type_name": "std_msgs/msg/String"}, "sensor_msgs/msg/JointState"),
        ({"point_class": None}, "JointTrajectoryPoint"),
    ],
)
def test_bad_command_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(CodecError) as error:
        encode(JointTrajectory, JOINT_TRAJECTORY, "positions", **changes)
    assert words in str(error.value)
    assert "where: /command" in str(error.value)


@pytest.mark.parametrize(("cls", "kind", "path"), COMMANDS)
def test_no_command_type_carries_a_number_that_is_not_finite(
    cls: Any, kind: str, path: str
) -> None:
    with pytest.raises(CodecError, match="not finite"):
        encode(cls, kind, path, values=(0.0, 0.0, -math.inf))


def test_values_given_are_left_unchanged() -> None:
    values = np.array([1.0, 2.0, 3.0])
    values.flags.writeable = False
    message = encode(Float64MultiArray, FLOAT64, "data", values)
    message.data[0] = 7.0
    assert values.tolist() == [1, 2, 3]
