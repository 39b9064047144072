"""metadata.yaml of a bag: written in version 9, which ROS 2 Jazzy writes; read since version 1."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from rclpy.duration import Duration
from rclpy.time import Time

from rosbag2_py._bag_yaml import DAMAGED, MAX_CHARACTERS, load
from rosbag2_py._qos import QoS, to_rclcpp_qos_vector
from rosbag2_py._storage import (
    VERSION,
    BagMetadata,
    FileInformation,
    TopicInformation,
    TopicMetadata,
)

FILE_NAME = "metadata.yaml"
_ROOT = "rosbag2_bagfile_information"


class MetadataIo:
    """Reads and writes the metadata of a bag's folder."""

    def metadata_file_exists(self, uri: str) -> bool:
        """Return whether the folder has metadata."""
        return (Path(uri) / FILE_NAME).exists()

    def write_metadata(self, uri: str, metadata: BagMetadata) -> None:
        """Write the file beside its place and rename it, so that it is never half there."""
        final = Path(uri) / FILE_NAME
        beside = final.with_suffix(".yaml.tmp")
        try:
            with beside.open("w", encoding="utf-8") as file:
                _dump({_ROOT: _encode(metadata)}, file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(final)
        except OSError:
            beside.unlink(missing_ok=True)
            raise

    def read_metadata(self, uri: str) -> BagMetadata:
        """Read the file, and find how much the folder takes on disk."""
        folder = Path(uri)
        path = folder / FILE_NAME
        try:
            with path.open(encoding="utf-8") as file:
                text = file.read(MAX_CHARACTERS + 1)
            metadata = _decode(load(text)[_ROOT])
        except DAMAGED as error:
            raise RuntimeError(f"Exception on parsing info file: {path}: {error!r}") from error
        metadata.bag_size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
        return metadata

    def serialize_metadata(self, metadata: BagMetadata) -> str:
        """Return the text that storages keep."""
        return str(_dump(_encode(metadata)))

    def deserialize_metadata(self, text: str) -> BagMetadata:
        """Read the text that storages keep."""
        try:
            return _decode(load(text))
        except DAMAGED as error:
            raise RuntimeError(f"damaged metadata in a bag's file: {error!r}") from error


def _dump(values: dict[str, Any], file: Any = None) -> Any:
    return yaml.safe_dump(values, file, sort_keys=False, allow_unicode=True, width=2**31)


def _encode(metadata: BagMetadata) -> dict[str, Any]:
    return {
        "version": VERSION,
        "storage_identifier": metadata.storage_identifier,
        "duration": {"nanoseconds": metadata.duration.nanoseconds},
        "starting_time": {"nanoseconds_since_epoch": metadata.starting_time.nanoseconds},
        "message_count": metadata.message_count,
        "topics_with_message_count": [
            {"topic_metadata": _encode_topic(t.topic_metadata), "message_count": t.message_count}
            for t in metadata.topics_with_message_count
        ],
        "compression_format": metadata.compression_format,
        "compression_mode": metadata.compression_mode,
        "relative_file_paths": list(metadata.relative_file_paths),
        "files": [
            {
                "path": file.path,
                "starting_time": {"nanoseconds_since_epoch": file.starting_time.nanoseconds},
                "duration": {"nanoseconds": file.duration.nanoseconds},
                "message_count": file.message_count,
            }
            for file in metadata.files
        ],
        "custom_data": dict(metadata.custom_data) or None,
        "ros_distro": metadata.ros_distro,
    }


def _encode_topic(topic: TopicMetadata) -> dict[str, Any]:
    return {
        "name": topic.name,
        "type": topic.type,
        "serialization_format": topic.serialization_format,
        "offered_qos_profiles": [qos.to_dict() for qos in topic.offered_qos_profiles],
        "type_description_hash": topic.type_description_hash,
    }


def _decode(values: dict[str, Any]) -> BagMetadata:
    """Read a mapping; what later versions brought is empty in older ones."""
    if values["version"] > VERSION:
        raise ValueError(f"version {values['version']}; allowed: up to {VERSION}")
    return BagMetadata(
        version=values["version"],
        storage_identifier=values["storage_identifier"],
        duration=Duration(nanoseconds=values["duration"]["nanoseconds"]),
        starting_time=_time(values),
        message_count=values["message_count"],
        topics_with_message_count=[
            TopicInformation(_decode_topic(t["topic_metadata"]), t["message_count"])
            for t in values["topics_with_message_count"] or []
        ],
        compression_format=values.get("compression_format") or "",
        compression_mode=values.get("compression_mode") or "",
        relative_file_paths=list(values["relative_file_paths"] or []),
        files=[
            FileInformation(
                path=file["path"],
                starting_time=_time(file),
                duration=Duration(nanoseconds=file["duration"]["nanoseconds"]),
                message_count=file["message_count"],
            )
            for file in values.get("files") or []
        ],
        custom_data={str(k): str(v) for k, v in (values.get("custom_data") or {}).items()},
        ros_distro=values.get("ros_distro") or "",
    )


def _time(values: dict[str, Any]) -> Time:
    return Time(nanoseconds=values["starting_time"]["nanoseconds_since_epoch"])


def _decode_topic(values: dict[str, Any]) -> TopicMetadata:
    qos = values.get("offered_qos_profiles") or []
    return TopicMetadata(
        id=0,
        name=values["name"],
        type=values["type"],
        serialization_format=values["serialization_format"],
        offered_qos_profiles=(
            to_rclcpp_qos_vector(qos, 8)
            if isinstance(qos, str)
            else [QoS.from_dict(profile) for profile in qos]
        ),
        type_description_hash=values.get("type_description_hash") or "",
    )
