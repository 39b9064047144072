"""Bags for the tests, and their content read by other people's readers."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from rclpy.serialization import serialize_message
from rosbags.rosbag2 import Reader
from sensor_msgs.msg import Image
from std_msgs.msg import String

from rosbag2_py import (
    CompressionMode,
    CompressionOptions,
    ConverterOptions,
    SequentialCompressionWriter,
    SequentialReader,
    SequentialWriter,
    StorageOptions,
    TopicMetadata,
)
from rosbag2_py._storage import QoS

START_NS = 1_700_000_000_000_000_000
STEP_NS = 100_000_000
# Of std_msgs/msg/String in ROS 2 Jazzy; rosbags compares it with the definition.
HASH = "RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18"
CAMERA, WORDS = "/camera", "/words"
Record = tuple[str, bytes, int]  # topic, message, receive time (ns)


def camera_topic(name: str = CAMERA) -> TopicMetadata:
    return TopicMetadata(0, name, "sensor_msgs/msg/Image", "cdr", [QoS(5).best_effort()])


def words_topic(name: str = WORDS) -> TopicMetadata:
    return TopicMetadata(0, name, "std_msgs/msg/String", "cdr", type_description_hash=HASH)


def picture(number: int, side: int = 100) -> bytes:
    data = bytes([number % 256]) * (side * side)
    return serialize_message(Image(height=side, width=side, step=side, data=data))


def word(number: int) -> bytes:
    return serialize_message(String(data=f"word {number}"))


@cache  # padding is what memory held, so the same message serialised again may differ
def records(count: int) -> list[Record]:
    """Return a picture and a word each `STEP_NS`."""
    found: list[Record] = []
    for number in range(count):
        time_ns = START_NS + number * STEP_NS
        found += [(CAMERA, picture(number), time_ns), (WORDS, word(number), time_ns + 1)]
    return found


def open_writer(path: Path, compressed: bool = False, **options: object) -> SequentialWriter:
    """Return a writer with both topics."""
    writer = (
        SequentialCompressionWriter(CompressionOptions("zstd", CompressionMode.FILE))
        if compressed
        else SequentialWriter()
    )
    writer.open(StorageOptions(str(path), **options), ConverterOptions("cdr", "cdr"))
    writer.create_topic(camera_topic())
    writer.create_topic(words_topic())
    return writer


def write_bag(path: Path, content: list[Record], **options: object) -> None:
    writer = open_writer(path, **options)
    for record in content:
        writer.write(*record)
    writer.close()


def read_by_rosbags(path: Path) -> list[Record]:
    with Reader(path) as reader:
        return [(c.topic, bytes(data), time_ns) for c, time_ns, data in reader.messages()]


def read(path: Path) -> list[Record]:
    reader = SequentialReader()
    reader.open_uri(str(path))
    return read_rest(reader)


def read_rest(reader: SequentialReader) -> list[Record]:
    found = []
    while reader.has_next():
        found.append(reader.read_next())
    return found
