"""Upstream's writers of bags."""

from __future__ import annotations

import weakref
from collections import Counter
from dataclasses import replace

from rosbag2_py._bag_writer import BagWriter
from rosbag2_py._batch import Message
from rosbag2_py._compression_options import CompressionMode, CompressionOptions
from rosbag2_py._storage import (
    ConverterOptions,
    StorageOptions,
    TopicMetadata,
    get_default_storage_id,
)
from rosbag2_py._storages import STORAGES, require_storage

SERIALIZATION_FORMAT = "cdr"
_MIN_SPLIT_BYTES = {"mcap": 1024, "sqlite3": 86016}


class SequentialWriter:
    """Writes one bag: `open`, `create_topic`, `write`, `close`.

    What `write` takes is in the file half a second later, if the disk keeps up. An error of the
    disk is raised by the next `write`, and by `close` in any case. Without `close` a bag is
    finished when its writer is collected, or when the process exits.
    """

    def __init__(self) -> None:
        self._compression = CompressionOptions()
        self._bag: BagWriter | None = None

    def open(self, storage_options: StorageOptions, converter_options: ConverterOptions) -> None:
        """Create the bag's folder and its first file; raise RuntimeError where it exists."""
        if self._bag is not None:
            return
        options = replace(
            storage_options, storage_id=storage_options.storage_id or get_default_storage_id()
        )
        require_storage(options.storage_id)
        _require_supported(options, converter_options)
        self._bag = BagWriter(options, self._compression)
        self._finalizer = weakref.finalize(self, self._bag.close)

    @property
    def dropped(self) -> Counter[str]:
        """Messages by topic that found the cache full (not in upstream, which only logs it)."""
        return self._opened().dropped

    def create_topic(self, topic_with_type: TopicMetadata) -> None:
        """Add a topic; its definition is found in the installed packages."""
        if topic_with_type.serialization_format not in ("", SERIALIZATION_FORMAT):
            raise NotImplementedError(
                f"serialization format {topic_with_type.serialization_format!r} of "
                f"{topic_with_type.name}; the underlay writes {SERIALIZATION_FORMAT!r} only"
            )
        self._opened().create_topic(
            replace(topic_with_type, serialization_format=SERIALIZATION_FORMAT)
        )

    def remove_topic(self, topic_with_type: TopicMetadata) -> None:
        """Take a topic out again."""
        self._opened().remove_topic(topic_with_type)

    def write(
        self, topic_name: str, message: bytes, time_stamp: int, send_timestamp: int | None = None
    ) -> None:
        """Write a serialised message with the time when it was received, and when it was sent."""
        sent = time_stamp if send_timestamp is None else send_timestamp
        self._opened().write(Message(topic_name, message, time_stamp, sent))

    def split_bagfile(self) -> None:
        """Go on in a new file."""
        self._opened().split()

    def take_snapshot(self) -> bool:
        """Not supported."""
        raise NotImplementedError("the underlay's writer has no snapshot mode")

    def close(self) -> None:
        """Finish the bag with metadata.yaml; raise RuntimeError if anything was not written."""
        if self._bag is not None:
            bag, self._bag = self._bag, None
            self._finalizer.detach()
            bag.close()

    def _opened(self) -> BagWriter:
        if self._bag is None:
            raise RuntimeError("Bag is not open. Call open() before writing.")
        return self._bag


class SequentialCompressionWriter(SequentialWriter):
    """Writes one bag whose files are compressed with zstd when they are finished."""

    def __init__(self, compression_options: CompressionOptions) -> None:
        super().__init__()
        if compression_options.compression_mode is not CompressionMode.FILE:
            raise NotImplementedError(
                f"compression mode {compression_options.compression_mode.name}; the underlay "
                "compresses by FILE, or chunks of MCAP by storage_preset_profile='zstd_fast'"
            )
        if compression_options.compression_format not in get_registered_compressors():
            raise RuntimeError(
                f"no compression format {compression_options.compression_format!r}; allowed: "
                f"{', '.join(get_registered_compressors())}"
            )
        self._compression = compression_options


def _require_supported(options: StorageOptions, converter: ConverterOptions) -> None:
    formats = {converter.input_serialization_format, converter.output_serialization_format}
    if formats - {"", SERIALIZATION_FORMAT}:
        raise NotImplementedError(
            f"serialization formats {sorted(formats)}; the underlay writes "
            f"{SERIALIZATION_FORMAT!r} only"
        )
    if options.snapshot_mode:
        raise NotImplementedError("StorageOptions.snapshot_mode is not in the underlay")
    least = _MIN_SPLIT_BYTES[options.storage_id]
    if 0 < options.max_bagfile_size < least:
        raise RuntimeError(
            f"Invalid bag splitting size given. Please provide a value greater than {least}. "
            f"Specified value of {options.max_bagfile_size}"
        )


def get_registered_writers() -> set[str]:
    """Return the storages that can be written."""
    return set(STORAGES)


def get_registered_compressors() -> set[str]:
    """Return the formats of compression."""
    return {"zstd"}


def get_registered_serializers() -> set[str]:
    """Return the formats of messages."""
    return {f"{SERIALIZATION_FORMAT}_converter"}
