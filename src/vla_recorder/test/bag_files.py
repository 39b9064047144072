"""Small bags written by other libraries, and ways to hurt them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mcap.writer import CompressionType, IndexType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as BagWriter
from rosbags.typesys import Stores, get_typestore

from vla_recorder.bags import Loss, open_bag

JAZZY = get_typestore(Stores.ROS2_JAZZY)
JOINTS, CAMERA = "/joints", "/camera/image"
JOINT_STATE, IMAGE = "sensor_msgs/msg/JointState", "sensor_msgs/msg/Image"
TYPES = {JOINTS: JOINT_STATE, CAMERA: IMAGE}
CUSTOM = {"task": "fold the towel", "success": "true", "episode": "12e45678"}

Written = tuple[str, int, bytes]  # topic, time, data


def messages(count: int = 60, image_bytes: int = 3000) -> list[Written]:
    """``count`` messages of two topics, no two alike."""
    random = np.random.default_rng(5)
    types = JAZZY.types
    found = []
    for index in range(count):
        stamp = types["builtin_interfaces/msg/Time"](1_700_000_000 + index, 7)
        header = types["std_msgs/msg/Header"](stamp, "base")
        if index % 3:
            topic = JOINTS
            message: Any = types[JOINT_STATE](
                header, ["a", "b"], random.random(2), np.zeros(0), np.zeros(0)
            )
        else:
            topic = CAMERA
            data = random.integers(0, 256, image_bytes, np.uint8)
            message = types[IMAGE](header, 10, image_bytes // 30, "rgb8", 0, 30, data)
        data = bytes(JAZZY.serialize_cdr(message, TYPES[topic]))
        found.append((topic, 1_700_000_000_000_000_000 + index * 10_000_000, data))
    return found


def definition(type_name: str) -> str:
    return str(JAZZY.generate_msgdef(type_name, ros_version=2)[0])


def write_rosbags(
    folder: Path,
    written: list[Written],
    *,
    storage: StoragePlugin = StoragePlugin.MCAP,
    version: Any = 9,
    mode: CompressionMode = CompressionMode.NONE,
) -> Path:
    """A bag by rosbags."""
    writer = BagWriter(folder, version=version, storage_plugin=storage)
    if mode is not CompressionMode.NONE:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    for key, value in CUSTOM.items():
        writer.set_custom_data(key, value)
    with writer:
        connections = {
            topic: writer.add_connection(topic, name, typestore=JAZZY)
            for topic, name in TYPES.items()
        }
        for topic, time_ns, data in written:
            writer.write(connections[topic], time_ns, data)
    return folder


def write_mcap(
    file: Path,
    written: list[Written],
    *,
    compression: CompressionType = CompressionType.NONE,
    chunk_bytes: int = 10_000,
    **options: Any,
) -> Path:
    """A file by the mcap library."""
    with file.open("wb") as stream:
        writer = McapWriter(stream, chunk_size=chunk_bytes, compression=compression, **options)
        writer.start(profile="ros2", library="test")
        channels = {}
        for topic, name in TYPES.items():
            schema = writer.register_schema(name, "ros2msg", definition(name).encode())
            channels[topic] = writer.register_channel(topic, "cdr", schema)
        for index, (topic, time_ns, data) in enumerate(written):
            writer.add_message(channels[topic], time_ns, data, time_ns, index)
        writer.finish()
    return file


NO_SUMMARY: dict[str, Any] = {
    "index_types": IndexType.NONE,
    "repeat_channels": False,
    "repeat_schemas": False,
    "use_statistics": False,
    "use_summary_offsets": False,
}


def read(path: Path, topics: set[str] | None = None) -> tuple[list[Written], list[Loss]]:
    """All messages of a bag, and its losses."""
    with open_bag(path) as bag:
        return [(m.topic, m.received_ns, m.data) for m in bag.messages(topics)], bag.losses


def check(path: Path, written: list[Written]) -> tuple[int, list[Loss]]:
    """Every message came back equal and in order, or is counted as lost.

    Returns:
        How many came back, and the losses.
    """
    with open_bag(path) as bag:
        found = [(m.topic, m.received_ns, m.data) for m in bag.messages()]
        rest = iter(written)
        assert all(one in rest for one in found), "a message that was never written"
        missing = len(written) - len(found)
        counts = [loss.messages for loss in bag.losses]
        if None not in counts:
            assert sum(count or 0 for count in counts) == missing, bag.losses
        if missing:
            assert any(count != 0 for count in counts), bag.losses
        return len(found), bag.losses


def flipped(raw: bytes, seed: int) -> bytes:
    """The bytes with one to ten wrong bits, anywhere."""
    random = np.random.default_rng(seed)
    hurt = bytearray(raw)
    for at in random.integers(0, len(raw), random.choice([1, 1, 1, 3, 10])):
        hurt[at] ^= 1 << int(random.integers(8))
    return bytes(hurt)
