"""Upstream's Python interface to bags: the part that this suite and ``ros2 bag`` use."""

from rosbag2_py._compression_options import (
    CompressionMode,
    CompressionOptions,
    compression_mode_from_string,
    compression_mode_to_string,
)
from rosbag2_py._info import Info
from rosbag2_py._message_definitions import LocalMessageDefinitionSource
from rosbag2_py._metadata_io import MetadataIo
from rosbag2_py._reader import (
    SequentialCompressionReader,
    SequentialReader,
    get_registered_readers,
)
from rosbag2_py._storage import (
    BagMetadata,
    ConverterOptions,
    FileInformation,
    MessageDefinition,
    ReadOrder,
    ReadOrderSortBy,
    StorageFilter,
    StorageOptions,
    TopicInformation,
    TopicMetadata,
    convert_rclcpp_qos_to_rclpy_qos,
    get_default_storage_id,
    to_rclcpp_qos_vector,
)
from rosbag2_py._transport import Player, PlayOptions, Recorder, RecordOptions
from rosbag2_py._writer import (
    SequentialCompressionWriter,
    SequentialWriter,
    get_registered_compressors,
    get_registered_serializers,
    get_registered_writers,
)

__all__ = [
    "BagMetadata",
    "CompressionMode",
    "CompressionOptions",
    "ConverterOptions",
    "FileInformation",
    "Info",
    "LocalMessageDefinitionSource",
    "MessageDefinition",
    "MetadataIo",
    "PlayOptions",
    "Player",
    "ReadOrder",
    "ReadOrderSortBy",
    "RecordOptions",
    "Recorder",
    "SequentialCompressionReader",
    "SequentialCompressionWriter",
    "SequentialReader",
    "SequentialWriter",
    "StorageFilter",
    "StorageOptions",
    "TopicInformation",
    "TopicMetadata",
    "compression_mode_from_string",
    "compression_mode_to_string",
    "convert_rclcpp_qos_to_rclpy_qos",
    "get_default_storage_id",
    "get_registered_compressors",
    "get_registered_readers",
    "get_registered_serializers",
    "get_registered_writers",
    "to_rclcpp_qos_vector",
]
