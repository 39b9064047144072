"""What a bag is made of, under upstream's names: options, topics, files, metadata and filters."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from rclpy.duration import Duration as RclpyDuration
from rclpy.time import Time

from rosbag2_py._format_bag_metadata import format_bag_metadata
from rosbag2_py._qos import Durability as rmw_qos_durability_policy_t
from rosbag2_py._qos import (
    Duration,
    QoS,
    convert_rclcpp_qos_to_rclpy_qos,
    to_rclcpp_qos_vector,
)
from rosbag2_py._qos import History as rmw_qos_history_policy_t
from rosbag2_py._qos import Liveliness as rmw_qos_liveliness_policy_t
from rosbag2_py._qos import Reliability as rmw_qos_reliability_policy_t

__all__ = [
    "BagMetadata",
    "ConverterOptions",
    "Duration",
    "FileInformation",
    "MessageDefinition",
    "QoS",
    "ReadOrder",
    "ReadOrderSortBy",
    "StorageFilter",
    "StorageOptions",
    "TopicInformation",
    "TopicMetadata",
    "convert_rclcpp_qos_to_rclpy_qos",
    "get_default_storage_id",
    "rmw_qos_durability_policy_t",
    "rmw_qos_history_policy_t",
    "rmw_qos_liveliness_policy_t",
    "rmw_qos_reliability_policy_t",
    "to_rclcpp_qos_vector",
]

VERSION = 9  # of metadata.yaml, as ROS 2 Jazzy writes it
NEVER_NS = 2**63 - 1  # starting time of a file without messages


@dataclass
class StorageOptions:
    """Where and how a bag lies; sizes in bytes, `max_bagfile_duration` in seconds, 0 for none.

    ``max_cache_size`` 0 makes `write` wait for the disk. Above 0, twice as much may wait in memory
    (upstream has two such buffers); what comes beyond is dropped, and counted in
    ``SequentialWriter.dropped``.
    """

    uri: str
    storage_id: str = ""
    max_bagfile_size: int = 0
    max_bagfile_duration: int = 0
    max_cache_size: int = 0
    storage_preset_profile: str = ""
    storage_config_uri: str = ""
    snapshot_mode: bool = False
    start_time_ns: int = -1
    end_time_ns: int = -1
    custom_data: dict[str, str] = field(default_factory=dict)


@dataclass
class ConverterOptions:
    """Serialisation formats; only CDR exists here, so they may differ in emptiness only."""

    input_serialization_format: str = ""
    output_serialization_format: str = ""


@dataclass
class TopicMetadata:
    """A topic as it is recorded."""

    id: int
    name: str
    type: str
    serialization_format: str
    offered_qos_profiles: list[QoS] = field(default_factory=list)
    type_description_hash: str = ""

    def equals(self, other: TopicMetadata) -> bool:
        """Return whether name, type and format are the same."""
        mine = (self.name, self.type, self.serialization_format)
        return mine == (other.name, other.type, other.serialization_format)


@dataclass
class TopicInformation:
    """A topic and its number of messages."""

    topic_metadata: TopicMetadata
    message_count: int


@dataclass
class FileInformation:
    """One file of a bag."""

    path: str
    starting_time: Time
    duration: RclpyDuration
    message_count: int


@dataclass
class MessageDefinition:
    """The text of a message type with all that it depends on."""

    topic_type: str
    encoding: str
    encoded_message_definition: str
    type_hash: str = ""


@dataclass
class BagMetadata:
    """All that metadata.yaml tells of a bag; `bag_size` (bytes) is found on disk."""

    version: int = VERSION
    bag_size: int = 0
    storage_identifier: str = ""
    relative_file_paths: list[str] = field(default_factory=list)
    files: list[FileInformation] = field(default_factory=list)
    duration: RclpyDuration = field(default_factory=RclpyDuration)
    starting_time: Time = field(default_factory=Time)
    message_count: int = 0
    topics_with_message_count: list[TopicInformation] = field(default_factory=list)
    compression_format: str = ""
    compression_mode: str = ""
    custom_data: dict[str, str] = field(default_factory=dict)
    ros_distro: str = ""

    def __str__(self) -> str:
        return format_bag_metadata(self)


class ReadOrderSortBy(IntEnum):
    """What the order of reading follows."""

    ReceivedTimestamp = 0
    PublishedTimestamp = 1
    File = 2


@dataclass
class ReadOrder:
    """The order of reading."""

    sort_by: ReadOrderSortBy = ReadOrderSortBy.ReceivedTimestamp
    reverse: bool = False


@dataclass
class StorageFilter:
    """Which topics are read: all, or those named or matched whole, without the excluded ones."""

    topics: list[str] = field(default_factory=list)
    services_events: list[str] = field(default_factory=list)
    regex: str = ""
    exclude_topics: list[str] = field(default_factory=list)
    exclude_service_events: list[str] = field(default_factory=list)
    regex_to_exclude: str = ""

    def predicate(self) -> Callable[[str], bool]:
        """Return whether a topic of a name is read."""
        named = {*self.topics, *self.services_events}
        excluded = {*self.exclude_topics, *self.exclude_service_events}
        regex, without = re.compile(self.regex), re.compile(self.regex_to_exclude)

        def selects(topic: str) -> bool:
            if topic in excluded or (self.regex_to_exclude and without.fullmatch(topic)):
                return False
            if topic in named or not (named or self.regex):
                return True
            return bool(self.regex and regex.fullmatch(topic))

        return selects


def get_default_storage_id() -> str:
    """Return the storage of a bag that names none."""
    return "mcap"
