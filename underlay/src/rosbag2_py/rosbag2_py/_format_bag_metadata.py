"""The text of ``ros2 bag info``, laid out as upstream's."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rosbag2_py._storage import BagMetadata

_INDENT = 19  # width of the headings


def format_bag_metadata(metadata: BagMetadata) -> str:
    """Return the text, one line per file and topic."""
    start_ns = metadata.starting_time.nanoseconds
    duration_ns = metadata.duration.nanoseconds
    topics = [
        f"Topic: {t.topic_metadata.name} | Type: {t.topic_metadata.type} | "
        f"Count: {t.message_count} | Serialization Format: {t.topic_metadata.serialization_format}"
        for t in metadata.topics_with_message_count
    ]
    rows = {
        "Files": metadata.relative_file_paths,
        "Bag size": [_size(metadata.bag_size)],
        "Storage id": [metadata.storage_identifier],
        "ROS Distro": [metadata.ros_distro or "unknown"],
        "Duration": [f"{_seconds(duration_ns)}s"],
        "Start": [_moment(start_ns)],
        "End": [_moment(start_ns + duration_ns)],
        "Messages": [str(metadata.message_count)],
        "Topic information": topics,
    }
    lines = [""]
    for heading, values in rows.items():
        head = f"{heading}:".ljust(_INDENT)
        for value in values or [""]:
            lines.append(f"{head}{value}")
            head = " " * _INDENT
    return "\n".join(lines) + "\n"


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09d}"


def _moment(nanoseconds: int) -> str:
    local = datetime.fromtimestamp(nanoseconds // 10**9)
    fraction = f"{nanoseconds % 10**9:09d}"
    return f"{local:%b} {local.day:2d} {local:%Y %H:%M:%S}.{fraction} ({_seconds(nanoseconds)})"


def _size(size_bytes: int) -> str:
    if size_bytes < 1024:
        return f"{size_bytes} B"
    size = float(size_bytes)
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1024:
            return f"{size:.1f} {unit}"
    return f"{size / 1024:.1f} TiB"
