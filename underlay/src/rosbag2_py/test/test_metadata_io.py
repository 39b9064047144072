"""metadata.yaml of this and of earlier versions."""

import pytest
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from rosbag2_py import (
    Info,
    MetadataIo,
    convert_rclcpp_qos_to_rclpy_qos,
    to_rclcpp_qos_vector,
)

# As the emitter of rosbag2 spells it in ROS 2 Jazzy: nothing is quoted, an empty map is ~.
JAZZY = """rosbag2_bagfile_information:
  version: 9
  storage_identifier: mcap
  duration:
    nanoseconds: 2500000001
  starting_time:
    nanoseconds_since_epoch: 1700000000123456789
  message_count: 3
  topics_with_message_count:
    - topic_metadata:
        name: /latched
        type: std_msgs/msg/String
        serialization_format: cdr
        offered_qos_profiles:
          - history: unknown
            depth: 0
            reliability: reliable
            durability: transient_local
            deadline:
              sec: 9223372036
              nsec: 854775807
            lifespan:
              sec: 9223372036
              nsec: 854775807
            liveliness: automatic
            liveliness_lease_duration:
              sec: 9223372036
              nsec: 854775807
            avoid_ros_namespace_conventions: false
        type_description_hash: RIHS01_df
      message_count: 3
  compression_format: ""
  compression_mode: ""
  relative_file_paths:
    - bag_0.mcap
  files:
    - path: bag_0.mcap
      starting_time:
        nanoseconds_since_epoch: 1700000000123456789
      duration:
        nanoseconds: 2500000001
      message_count: 3
  custom_data: ~
  ros_distro: jazzy
"""
FOXY = r"""rosbag2_bagfile_information:
  version: 4
  storage_identifier: sqlite3
  relative_file_paths:
    - foxy_0.db3
  duration:
    nanoseconds: 1
  starting_time:
    nanoseconds_since_epoch: 2
  message_count: 1
  topics_with_message_count:
    - topic_metadata:
        name: /camera
        type: sensor_msgs/msg/Image
        serialization_format: cdr
        offered_qos_profiles: "- history: 3\n  depth: 0\n  reliability: 2\n  durability: 2\n  deadline:\n    sec: 2147483647\n    nsec: 4294967295\n  lifespan:\n    sec: 2147483647\n    nsec: 4294967295\n  liveliness: 1\n  liveliness_lease_duration:\n    sec: 2147483647\n    nsec: 4294967295\n  avoid_ros_namespace_conventions: false"
      message_count: 1
  compression_format: ""
  compression_mode: ""
"""  # noqa: E501


def test_metadata_of_jazzy_survives_reading_and_writing(tmp_path):
    (tmp_path / "metadata.yaml").write_text(JAZZY)
    metadata = MetadataIo().read_metadata(str(tmp_path))
    assert metadata.bag_size == len(JAZZY)
    (topic,) = metadata.topics_with_message_count
    profile = convert_rclcpp_qos_to_rclpy_qos(topic.topic_metadata.offered_qos_profiles[0])
    assert profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    MetadataIo().write_metadata(str(tmp_path), metadata)
    again = MetadataIo().read_metadata(str(tmp_path))
    assert MetadataIo().serialize_metadata(again) == MetadataIo().serialize_metadata(metadata)
    assert (tmp_path / "metadata.yaml").read_text().split() == (
        JAZZY.replace('""', "''").replace("~", "null").split()
    )


def test_metadata_of_foxy_is_read(tmp_path):
    (tmp_path / "metadata.yaml").write_text(FOXY)
    metadata = MetadataIo().read_metadata(str(tmp_path))
    (topic,) = metadata.topics_with_message_count
    profile = convert_rclcpp_qos_to_rclpy_qos(topic.topic_metadata.offered_qos_profiles[0])
    assert profile.reliability == ReliabilityPolicy.BEST_EFFORT
    assert profile.deadline.nanoseconds == 2**63 - 1
    assert (metadata.custom_data, metadata.files, metadata.ros_distro) == ({}, [], "")


def test_text_of_info_is_upstreams(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    (tmp_path / "metadata.yaml").write_text(JAZZY)
    lines = str(Info().read_metadata(str(tmp_path), "")).split("\n")
    assert lines[1] == "Files:             bag_0.mcap"
    assert lines[2] == "Bag size:          1.2 KiB"
    assert lines[5] == "Duration:          2.500000001s"
    assert "2023" in lines[6]
    assert lines[6].endswith(".123456789 (1700000000.123456789)")
    assert lines[9] == (
        "Topic information: Topic: /latched | Type: std_msgs/msg/String | Count: 3 | "
        "Serialization Format: cdr"
    )


# Small texts that would take the machine's stack, memory or time.
HOSTILE = [
    ("[" * 100_000, "nested"),
    ("".join(f"{'  ' * depth}a:\n" for depth in range(40)), "nested"),
    ("a: &a [x]\nb: [*a, *a]", "aliases"),
    (f"a: {'x' * (4 << 20)}", "characters"),
]


@pytest.mark.parametrize(("text", "found"), HOSTILE)
def test_hostile_yaml_in_a_bags_file_is_refused(text, found):
    with pytest.raises(RuntimeError, match=found):
        MetadataIo().deserialize_metadata(text)
    with pytest.raises(RuntimeError, match=found):
        to_rclcpp_qos_vector(text, 9)


@pytest.mark.parametrize("text", ["- 1", "- {depth: x}", "5", "- [", "- {depth: 1}"])
def test_damaged_qos_profiles_are_refused_with_their_reason(text):
    with pytest.raises(RuntimeError, match="damaged QoS profiles"):
        to_rclcpp_qos_vector(text, 9)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: [", "ParserError"),
        ("a: 1", "rosbag2_bagfile_information"),
        ("- 1", "TypeError"),
        (JAZZY.replace("version: 9", "version: 10"), "version 10"),
        (JAZZY.replace("reliability: reliable", "reliability: sure"), "sure"),
        (JAZZY.replace("  duration:\n    nanoseconds: 2500000001\n", "", 1), "duration"),
        (JAZZY.replace("custom_data: ~", "custom_data: [1]"), "AttributeError"),
        (JAZZY.replace("nanoseconds: 2500000001", f"nanoseconds: {10**30}"), "OverflowError"),
        *HOSTILE,
    ],
)
def test_damaged_metadata_is_refused_with_its_reason(tmp_path, text, found):
    (tmp_path / "metadata.yaml").write_text(text)
    with pytest.raises(RuntimeError, match=found):
        MetadataIo().read_metadata(str(tmp_path))
