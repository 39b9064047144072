"""One bag, as rosbag2 writes it: MCAP, raw messages, chunks with checksums."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rosbag2_py import ConverterOptions, SequentialWriter, StorageOptions, TopicMetadata
from rosbag2_py._storage import QoS  # upstream has no public name for it

LATCHED_DEPTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class BagTopic:
    """A topic under its full name, e.g. `/joint_states` of `sensor_msgs/msg/JointState`."""

    name: str
    type: str
    is_latched: bool = False
    """Whether players should publish it transient local, as it was."""


class EpisodeBag:
    """A bag that is being written.

    Args:
        folder: Must not exist.
        chunk_bytes: Messages are written to the file when so much has come together.

    Raises:
        RuntimeError, OSError: of rosbag2, here and in all methods.
    """

    def __init__(
        self,
        folder: Path,
        topics: Sequence[BagTopic],
        *,
        custom: Mapping[str, str],
        chunk_bytes: int,
    ) -> None:
        self.folder = folder
        self._topics = topics
        self._writer = SequentialWriter()
        # rosbag2's own default is chunks of 768 KiB without checksums
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as settings:
            settings.write(f"noChunkCRC: false\nchunkSize: {chunk_bytes}\n")
            settings.flush()
            storage = StorageOptions(
                uri=str(folder),
                storage_id="mcap",
                storage_config_uri=settings.name,
                custom_data=dict(custom),
            )
            self._writer.open(storage, ConverterOptions("cdr", "cdr"))
        for number, topic in enumerate(topics):
            latched = [QoS(LATCHED_DEPTH).reliable().transient_local()]
            self._writer.create_topic(
                TopicMetadata(
                    id=number,
                    name=topic.name,
                    type=topic.type,
                    serialization_format="cdr",
                    offered_qos_profiles=latched if topic.is_latched else [],
                )
            )

    def write(self, index: int, data: bytes, time_ns: int) -> None:
        """Write a serialised message of one of the topics."""
        self._writer.write(self._topics[index].name, data, time_ns)

    def close(self) -> None:
        """Write what has not been written, the index and metadata.yaml."""
        self._writer.close()
