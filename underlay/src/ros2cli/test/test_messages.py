"""Messages as text, and text as messages."""

import pytest
import yaml
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import CameraInfo, JointState
from std_msgs.msg import Bool, Header, Int32
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from ros2cli.interfaces import get_message, get_service, new_message
from ros2cli.text import TextLimits, message_to_csv, message_to_yaml

ALL = TextLimits()
FLOATS = st.lists(st.floats(allow_nan=False, width=64), max_size=4)
WORDS = st.lists(st.text(st.characters(categories=["L", "N", "P", "Zs"])), max_size=4)


def joints() -> JointState:
    return JointState(header=Header(frame_id="base"), name=["waist"], position=[0.5, -1.0])


@given(WORDS, FLOATS, st.integers(-(2**31), 2**31 - 1))
def test_yaml_of_a_message_fills_an_equal_message(names, values, sec):
    point = JointTrajectoryPoint(positions=values)
    message = JointTrajectory(joint_names=names, points=[point, JointTrajectoryPoint()])
    message.header.stamp.sec = sec
    found, _ = new_message(JointTrajectory, yaml.safe_load(message_to_yaml(message, ALL)))
    assert found == message


def test_fixed_arrays_are_filled_and_printed():
    message, _ = new_message(CameraInfo, {"k": range(9), "d": [0.5], "roi": {"width": 3}})
    assert message.roi.width == 3
    assert message.k.tolist() == [float(i) for i in range(9)]
    assert yaml.safe_load(message_to_yaml(message, ALL))["k"] == list(range(9))
    assert "k: '<array type: double[9]>'\n" in message_to_yaml(message, TextLimits(no_arr=True))


def test_yaml_is_truncated_abbreviated_and_flowing_on_demand():
    text = message_to_yaml(joints(), TextLimits(truncate_length=1))
    assert "frame_id: b...\nname:\n- w...\nposition:\n- 0.5\n- '...'\n" in text
    text = message_to_yaml(joints(), TextLimits(no_arr=True, no_str=True))
    assert "frame_id: '<string length: <4>>'" in text
    assert "name: '<sequence type: string, length: 1>'" in text
    assert "position: [0.5, -1.0]\n" in message_to_yaml(joints(), ALL, flow_style=True)


def test_csv_holds_the_leaves_in_order():
    assert message_to_csv(joints(), ALL) == "0,0,base,waist,0.5,-1.0,,"
    assert message_to_csv(joints(), TextLimits(truncate_length=1)) == "0,0,b...,w...,0.5,...,,"


def test_auto_and_now_leave_stamps_to_the_caller():
    message, (set_stamp,) = new_message(JointState, {"header": "auto"}, expand_stamps=True)
    set_stamp(Time(sec=5))
    assert message.header.stamp.sec == 5
    header, (set_stamp,) = new_message(Header, {"stamp": "now"}, expand_stamps=True)
    set_stamp(Time(sec=6))
    assert header.stamp.sec == 6
    with pytest.raises(RuntimeError, match="expected to be a dictionary"):
        new_message(Header, {"stamp": "now"})


@pytest.mark.parametrize(
    ("message_type", "values"),
    [
        (Int32, {"data": "many"}),
        (Int32, {"data": 2**40}),
        (Int32, {"date": 1}),
        (JointState, {"position": 3}),
        (JointState, {"header": [1]}),
        (Bool, "true"),
        (CameraInfo, {"k": [1.0]}),
    ],
)
def test_unfit_value_is_refused(message_type, values):
    with pytest.raises(RuntimeError, match="Failed to populate field"):
        new_message(message_type, values)


def test_types_are_found_by_long_and_short_name():
    assert get_message("sensor_msgs/msg/JointState") is get_message("sensor_msgs/JointState")
    assert get_service("std_srvs/SetBool").Request().data is False
    for name in ("std_msgs/msg/Nope", "nope/msg/A", "A", "std_srvs/srv/SetBool", "", "//"):
        with pytest.raises(RuntimeError, match="invalid"):
            get_message(name)
    with pytest.raises(RuntimeError, match="not a service"):
        get_service("std_msgs/msg/String")
