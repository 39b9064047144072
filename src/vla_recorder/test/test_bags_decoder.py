"""Messages are decoded by the definitions in the bag, and by nothing else that it holds."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from bag_files import CAMERA, JOINTS, definition, messages, write_mcap, write_rosbags
from rosbags.rosbag2 import StoragePlugin
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from vla_recorder.bags import BagError, Decoder, Topic, open_bag

GRIPPER = """\
# A driver's own type.
uint8 OPEN=0
string MODE='__import__("os").abort()'
my_driver/Finger[2] fingers
string[<=3] names
float32[] forces
================================================================================
MSG: my_driver/Finger
float64 width 0.5
std_msgs/Header header
"""
GRIPPER_IDL = """\
================================================================================
IDL: my_driver/msg/Gripper
#include "my_driver/msg/Finger.idl"
module my_driver {
  module msg {
    module Gripper_Constants {
      const uint8 OPEN = 0;
    };
    typedef my_driver::msg::Finger my_driver__msg__Finger__2[2];
    @verbatim (language="comment", text="1 << 2")
    struct Gripper {
      my_driver__msg__Finger__2 fingers;
      sequence<string, 3> names;
      sequence<float> forces;
    };
  };
};
================================================================================
IDL: my_driver/msg/Finger
#include "std_msgs/msg/Header.idl"
module my_driver {
  module msg {
    struct Finger {
      double width;
      std_msgs::msg::Header header;
    };
  };
};
"""


def _topic(text: str, *, kind: str = "my_driver/msg/Gripper", form: str = "ros2msg") -> Topic:
    return Topic(name="/gripper", type=kind, definition=text, definition_format=form)


def _gripper() -> bytes:
    """A message of the type above, serialised by hand: little endian, aligned."""
    finger = struct.pack("<d", 0.25) + struct.pack("<iI", 3, 4) + struct.pack("<I2sxx", 2, b"f\0")
    body = finger + b"\0" * (-len(finger) % 8) + finger
    body += struct.pack("<II2sxx", 1, 2, b"n\0") + struct.pack("<Iff", 2, 1.5, -2.0)
    return b"\0\1\0\0" + body


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_messages_have_the_values_that_were_written(
    tmp_path: Path, storage: StoragePlugin
) -> None:
    write_rosbags(tmp_path / "bag", messages(), storage=storage)
    with open_bag(tmp_path / "bag") as bag:
        decoder = Decoder(bag.topics)
        found = [decoder.decode(m.topic, m.data) for m in bag.messages({JOINTS})]
        picture = decoder.decode(CAMERA, next(bag.messages({CAMERA})).data)
    assert [m.header.stamp.sec for m in found[:3]] == [1_700_000_001, 1_700_000_002, 1_700_000_004]
    assert found[0].name == ["a", "b"]
    assert found[0].position.shape == (2,)
    assert (picture.encoding, picture.data.dtype, picture.data.size) == ("rgb8", np.uint8, 3000)


@pytest.mark.parametrize(("form", "text"), [("ros2msg", GRIPPER), ("ros2idl", GRIPPER_IDL)])
def test_a_type_of_a_driver_is_decoded_by_its_embedded_definition(form: str, text: str) -> None:
    message = Decoder({"/gripper": _topic(text, form=form)}).decode("/gripper", _gripper())
    assert [finger.width for finger in message.fingers] == [0.25, 0.25]
    assert message.fingers[1].header.frame_id == "f"
    assert message.names == ["n"]
    assert message.forces.tolist() == [1.5, -2.0]


def test_a_type_of_jazzy_needs_no_definition(tmp_path: Path) -> None:
    topic = Topic(name=JOINTS, type="sensor_msgs/msg/JointState")
    data = next(data for name, _, data in messages() if name == JOINTS)
    assert Decoder({JOINTS: topic}).decode(JOINTS, data).name == ["a", "b"]


def test_the_embedded_definition_wins_over_that_of_jazzy() -> None:
    topic = _topic("int32 other\n", kind="sensor_msgs/msg/JointState")
    data = b"\0\1\0\0" + struct.pack("<i", 7)
    assert Decoder({"/gripper": topic}).decode("/gripper", data).other == 7


@pytest.mark.parametrize("text", ["", "my_driver/Absent part\n"])
def test_a_type_without_definition_is_named(text: str) -> None:
    with pytest.raises(BagError, match="has no definition") as error:
        Decoder({"/gripper": _topic(text)}).decode("/gripper", _gripper())
    assert "my_driver/msg/" in str(error.value)


def test_bytes_that_are_no_such_message_are_one_clear_error() -> None:
    decoder = Decoder({"/gripper": _topic(GRIPPER)})
    sound = _gripper()
    for data in (b"", b"\0", sound[:-5], sound + bytes(8), b"\xff" * 40):
        with pytest.raises(BagError) as error:
            decoder.decode("/gripper", data)
        assert "/gripper" in str(error.value)


def test_a_topic_of_another_encoding_is_refused(tmp_path: Path) -> None:
    topic = Topic(name="/x", type="std_msgs/msg/String", encoding="json")
    with pytest.raises(BagError, match="json"):
        Decoder({"/x": topic}).decode("/x", b"{}")
    with pytest.raises(BagError, match="no such topic"):
        Decoder({}).decode("/x", b"{}")


HOSTILE = {
    "field name": "int32 a b\n",
    "a class": "int32 __class__\n",
    "contains itself": "my_driver/Gripper inner\n",
    "huge array": "float64[999999999999] a\n",
    "unrolled array": "string[9999999] a\n",
    "code for a size": "float64[__import__('os').abort()] a\n",
    "not text of a definition": "\x00\x01",
    "too long": "#" * (1 << 21),
    "a keyword twice": "int32 class\nint32 class_\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_definition_is_refused(name: str) -> None:
    with pytest.raises(BagError):
        Decoder({"/gripper": _topic(HOSTILE[name])}).decode("/gripper", b"\0\1\0\0" + bytes(8))


@pytest.mark.parametrize(
    "text",
    [
        "module a { module msg { const uint32 N = 1 << 99999999999; struct B { long x; }; }; };",
        "module a { module msg { struct B { double x["
        + "(" * 5000
        + "1"
        + ")" * 5000
        + "]; }; }; };",
        "module a {",
    ],
)
def test_a_hostile_idl_definition_is_refused(text: str) -> None:
    with pytest.raises(BagError):
        Decoder({"/gripper": _topic(text, kind="a/msg/B", form="ros2idl")}).decode(
            "/gripper", b"\0\1\0\0" + bytes(8)
        )


@pytest.mark.parametrize("kind", ["", "a", "a/msg/B\nint32 x", "a/msg/B;import os", "1/msg/B"])
def test_a_type_name_that_is_none_is_refused(kind: str) -> None:
    with pytest.raises(BagError):
        Decoder({"/gripper": _topic("int32 x\n", kind=kind)}).decode("/gripper", bytes(8))


def test_all_standard_definitions_are_understood_as_they_are_embedded() -> None:
    store = get_typestore(Stores.ROS2_JAZZY)
    for kind in ("sensor_msgs/msg/CameraInfo", "trajectory_msgs/msg/JointTrajectory",
                 "tf2_msgs/msg/TFMessage", "diagnostic_msgs/msg/DiagnosticStatus",
                 "nav_msgs/msg/Odometry", "std_msgs/msg/Empty"):  # fmt: skip
        if kind not in store.fielddefs:
            store.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", kind))
        topic = Topic(name="/x", type=kind, definition=definition(kind))
        with pytest.raises(BagError, match="cannot be decoded"):
            Decoder({"/x": topic}).decode("/x", b"\0\1\0\0")


def test_definitions_are_kept_by_topic(tmp_path: Path) -> None:
    file = write_mcap(tmp_path / "bag.mcap", messages())
    with open_bag(file) as bag:
        assert bag.topics[CAMERA].type == "sensor_msgs/msg/Image"
        assert bag.topics[CAMERA].definition == definition("sensor_msgs/msg/Image")
