"""An MCAP file while it is read, every chunk against its CRC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap.records import Channel
from mcap.stream_reader import CRCValidationError
from rclpy.duration import Duration
from rclpy.time import Time

from rosbag2_py._batch import Message, StorageError
from rosbag2_py._metadata_io import MetadataIo
from rosbag2_py._qos import to_rclcpp_qos_vector
from rosbag2_py._storage import BagMetadata, MessageDefinition, TopicInformation, TopicMetadata


class McapReadFile:
    """A finished file; one that a crash cut off has no summary and is refused."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream = path.open("rb")
        try:
            self._reader = make_reader(self._stream, validate_crcs=True)
            summary = self._reader.get_summary()
        except Exception as error:  # whatever a damaged file makes the parser raise
            raise StorageError(f"{path}: damaged or unfinished: {error!r}") from error
        if summary is None or summary.statistics is None:
            raise StorageError(f"{path}: the file was not finished: it has no summary")
        self._summary, self._statistics = summary, summary.statistics

    def metadata(self) -> BagMetadata:
        """What the file itself tells: its own counts, the bag's custom data."""
        metadata = BagMetadata()
        for record in self._reader.iter_metadata():
            if record.name == "rosbag2" and (text := record.metadata.get("serialized_metadata")):
                metadata = MetadataIo().deserialize_metadata(text)
        counted = self._statistics
        metadata.storage_identifier = "mcap"
        metadata.bag_size = self._path.stat().st_size
        metadata.relative_file_paths = [self._path.name]
        metadata.message_count = counted.message_count
        metadata.starting_time = Time(nanoseconds=counted.message_start_time)
        metadata.duration = Duration(
            nanoseconds=counted.message_end_time - counted.message_start_time
        )
        metadata.topics_with_message_count = [
            TopicInformation(
                self._topic(channel), counted.channel_message_counts.get(channel.id, 0)
            )
            for channel in self._summary.channels.values()
        ]
        return metadata

    def definitions(self) -> list[MessageDefinition]:
        """Definitions of the message types."""
        return [
            MessageDefinition(schema.name, schema.encoding, schema.data.decode())
            for schema in self._summary.schemas.values()
        ]

    def messages(
        self, selects: Callable[[str], bool], start_ns: int, by_time: bool, reverse: bool
    ) -> Iterator[Message]:
        """Messages of the selected topics, by receive time or as they lie in the file."""
        topics = [c.topic for c in self._summary.channels.values() if selects(c.topic)]
        if not topics:
            return
        found = self._reader.iter_messages(
            topics=topics,
            starting_at=None if reverse else start_ns,
            ending_at=start_ns if reverse else None,
            log_time_order=by_time,
            reverse=reverse,
        )
        try:
            for _, channel, message in found:
                yield Message(channel.topic, message.data, message.log_time, message.publish_time)
        except (McapError, CRCValidationError) as error:
            raise StorageError(f"{self._path}: damaged: {error}") from error

    def close(self) -> None:
        """Give the file back."""
        self._stream.close()

    def _topic(self, channel: Channel) -> TopicMetadata:
        schema = self._summary.schemas.get(channel.schema_id)
        return TopicMetadata(
            id=channel.id,
            name=channel.topic,
            type=schema.name if schema else "",
            serialization_format=channel.message_encoding,
            offered_qos_profiles=to_rclcpp_qos_vector(
                channel.metadata.get("offered_qos_profiles", ""), 9
            ),
            type_description_hash=channel.metadata.get("topic_type_hash", ""),
        )
