"""Definitions that bags carry."""

import re
from pathlib import Path

import pytest
from ament_index_python.packages import get_package_share_directory
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

from rosbag2_py import LocalMessageDefinitionSource

SOURCE = LocalMessageDefinitionSource()


@pytest.mark.parametrize(
    "name",
    [
        "std_msgs/msg/String",
        "sensor_msgs/msg/JointState",
        "sensor_msgs/msg/CameraInfo",
        "diagnostic_msgs/msg/DiagnosticArray",
        "nav_msgs/msg/Odometry",
        "trajectory_msgs/msg/JointTrajectory",
    ],
)
def test_definition_holds_all_types_it_needs(name):
    found = SOURCE.get_full_text(name)
    assert (found.topic_type, found.encoding) == (name, "ros2msg")
    types = get_types_from_msg(found.encoded_message_definition, name)
    known = get_typestore(Stores.ROS2_JAZZY).fielddefs
    assert types == {kind: known[kind] for kind in types}


def test_definition_is_laid_out_as_rosbag2_lays_it_out():
    text = SOURCE.get_full_text("std_msgs/msg/Header").encoded_message_definition
    root, rest = text.split("=" * 80)
    assert root.endswith("string frame_id\n\n")
    assert rest.startswith("\nMSG: builtin_interfaces/Time\n")
    assert "nanosec" in rest


def test_type_without_msg_is_taken_from_idl(tmp_path, monkeypatch):
    index = tmp_path / "share/ament_index/resource_index/packages"
    index.mkdir(parents=True)
    names = ["sensor_msgs/msg/JointState", "std_msgs/msg/Header", "builtin_interfaces/msg/Time"]
    for package, _, name in (n.split("/") for n in names):
        source = Path(get_package_share_directory(package)) / f"msg/{name}.idl"
        target = tmp_path / f"share/{package}/msg/{name}.idl"
        target.parent.mkdir(parents=True)
        target.write_text(source.read_text())
        (index / package).touch()
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    found = SOURCE.get_full_text(names[0])
    assert found.encoding == "ros2idl"
    first, *parts = found.encoded_message_definition.split("=" * 80 + "\nIDL: ")
    assert first == ""
    assert [part.partition("\n")[0] for part in parts] == names
    types = {}
    for part in parts:
        text = part.partition("\n")[2]  # as rosbag2, with #include, which rosbags does not parse
        types |= get_types_from_idl(re.sub(r"(?m)^#include.*$", "", text))
    assert set(types) == set(names)


@pytest.mark.parametrize("name", ["odd_msgs/msg/Odd", "std_msgs/msg/Nope", "String", "", "../a/b"])
def test_type_that_is_not_there_has_an_empty_definition(name):
    found = SOURCE.get_full_text(name)
    assert (found.encoding, found.encoded_message_definition) == ("unknown", "")
