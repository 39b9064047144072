"""A bag while it is written: a thread of its own takes batches of messages to the files.

A batch is handed over when it is large enough or `BATCH_AGE_NS` old, also when no other message
comes; a kill of the process loses what is in memory: at most that age and the write under way.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from rclpy.duration import Duration
from rclpy.time import Time

from rosbag2_py._batch import Message, StorageError, WritableFile
from rosbag2_py._compression_options import (
    CompressionMode,
    CompressionOptions,
    compression_mode_to_string,
)
from rosbag2_py._file_compression import compress_file
from rosbag2_py._message_definitions import LocalMessageDefinitionSource
from rosbag2_py._metadata_io import MetadataIo
from rosbag2_py._storage import (
    NEVER_NS,
    BagMetadata,
    FileInformation,
    MessageDefinition,
    StorageOptions,
    TopicInformation,
    TopicMetadata,
)
from rosbag2_py._storages import create_file

BATCH_AGE_NS = 500_000_000
_UNCACHED_BYTES = 16 * 1024 * 1024  # may wait for the disk where max_cache_size is 0
_SPLIT: list[Message] = []  # takes a batch's place in the queue


class BagWriter:
    """The open bag behind a `SequentialWriter`; its methods may be called from any thread."""

    def __init__(self, options: StorageOptions, compression: CompressionOptions) -> None:
        self._options = options
        self._folder = Path(options.uri)
        self._mode = compression.compression_mode
        self._definitions = LocalMessageDefinitionSource()
        self._topics: dict[str, tuple[TopicMetadata, MessageDefinition]] = {}
        self._counts: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self._metadata = BagMetadata(
            storage_identifier=options.storage_id,
            starting_time=Time(nanoseconds=NEVER_NS),
            custom_data=dict(options.custom_data),
            compression_format=compression.compression_format,
            compression_mode=compression_mode_to_string(self._mode),
            ros_distro=os.environ.get("ROS_DISTRO", "jazzy"),
        )
        self._compressions: list[Future[None]] = []
        self._pool = ThreadPoolExecutor(compression.compression_threads or os.cpu_count() or 1)
        if self._folder.is_dir():
            raise RuntimeError(
                f"Bag directory already exists ({self._folder}), can't overwrite existing bag"
            )
        self._folder.mkdir(parents=True)
        self._file_lock = threading.RLock()
        self._file = self._open_next_file()
        # The lock below guards what follows it; it is never held while something is written.
        self._changed = threading.Condition()
        self._batch: list[Message] = []
        self._batch_bytes = 0
        self._batch_since_ns = 0
        self._queue: deque[tuple[list[Message], int]] = deque()
        self._queued_bytes = 0
        self._error: Exception | None = None
        self._closing = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="bag_writer", daemon=True)
        self._thread.start()

    def create_topic(self, topic: TopicMetadata) -> None:
        """Add a topic to this file and all that follow."""
        if topic.name in self._topics:
            return
        definition = self._definitions.get_full_text(topic.type)
        with self._file_lock:
            self._raise_error()
            try:
                self._file.create_topic(topic, definition)
            except (OSError, StorageError) as error:
                self._fail(error)
                self._raise_error()
            self._topics[topic.name] = (replace(topic), definition)

    def remove_topic(self, topic: TopicMetadata) -> None:
        """Leave a topic out of the metadata and of the files that follow."""
        with self._file_lock:
            if self._topics.pop(topic.name, None) is None:
                raise RuntimeError(f'Failed to remove the non-existing topic "{topic.name}"!')

    def write(self, message: Message) -> None:
        """Take one message; see `StorageOptions.max_cache_size` for when the disk is slow."""
        if message.topic not in self._topics:
            raise RuntimeError(
                f"Failed to write on topic '{message.topic}'. "
                "Call create_topic() before first write."
            )
        if not self._is_in_time_range(message.received_ns):
            return
        size = len(message.data)
        with self._changed:
            self._raise_error()
            if self._closing:
                raise RuntimeError("Bag is not open. Call open() before writing.")
            if self._options.max_cache_size > 0:
                waiting = self._queued_bytes + self._batch_bytes
                if waiting and waiting + size > 2 * self._options.max_cache_size:
                    self.dropped[message.topic] += 1
                    return
            while not self._options.max_cache_size and self._queued_bytes > _UNCACHED_BYTES:
                self._changed.wait()
                self._raise_error()
            if not self._batch:
                self._batch_since_ns = time.monotonic_ns()
                self._changed.notify_all()  # the thread waits for its age from now on
            self._batch.append(message)
            self._batch_bytes += size
            if self._batch_bytes >= self._file.batch_bytes:
                self._hand_over()

    def split(self) -> None:
        """Go on in a new file."""
        with self._changed:
            self._hand_over()
            self._queue.append((_SPLIT, 0))
            self._changed.notify_all()

    def close(self) -> None:
        """Finish the bag; raise RuntimeError when anything could not be written."""
        with self._changed:
            if self._closed:
                return
            self._closing = self._closed = True
            self._changed.notify_all()
        self._thread.join()
        try:
            self._finish()
        except (OSError, StorageError) as error:
            self._fail(error)
        if self.dropped:
            lost = ", ".join(f"{topic}: {n}" for topic, n in sorted(self.dropped.items()))
            print(f"bag {self._folder}: messages dropped, cache full: {lost}", file=sys.stderr)
        self._raise_error()

    # -- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            if self._error is None:
                try:
                    with self._file_lock:
                        self._store(batch[0])
                except Exception as error:  # kept for the caller's next call, in whatever thread
                    self._fail(error)
            with self._changed:
                self._queued_bytes -= batch[1]
                self._changed.notify_all()

    def _next_batch(self) -> tuple[list[Message], int] | None:
        """Wait for a batch; None when the bag is closed and all is written."""
        with self._changed:
            while not self._queue:
                if not self._batch:
                    if self._closing:
                        return None
                    self._changed.wait()
                    continue
                left_ns = self._batch_since_ns + BATCH_AGE_NS - time.monotonic_ns()
                if left_ns <= 0 or self._closing:
                    self._hand_over()
                else:
                    self._changed.wait(left_ns / 1e9)
            return self._queue.popleft()

    def _hand_over(self) -> None:
        if self._batch:
            self._queue.append((self._batch, self._batch_bytes))
            self._queued_bytes += self._batch_bytes
            self._batch, self._batch_bytes = [], 0
            self._changed.notify_all()

    def _store(self, batch: list[Message]) -> None:
        """Write a batch, split exactly where the limits say."""
        if batch is _SPLIT:
            self._split()
            return
        begin = waiting_bytes = 0
        for number, message in enumerate(batch):
            start_ns = min(
                self._metadata.files[-1].starting_time.nanoseconds, batch[begin].received_ns
            )
            if self._is_file_full(waiting_bytes, message.received_ns - start_ns):
                self._store_whole(batch[begin:number])
                self._split()
                begin, waiting_bytes = number, 0
            waiting_bytes += len(message.data)
        self._store_whole(batch[begin:])

    def _is_file_full(self, waiting_bytes: int, duration_ns: int) -> bool:
        if not waiting_bytes and not self._metadata.files[-1].message_count:
            return False
        most_bytes, most_s = self._options.max_bagfile_size, self._options.max_bagfile_duration
        if most_bytes and self._file.size + waiting_bytes >= most_bytes:
            return True
        return bool(most_s) and duration_ns > most_s * 10**9

    def _store_whole(self, batch: list[Message]) -> None:
        if not batch:
            return
        self._file.write(batch)
        self._counts.update(message.topic for message in batch)
        start = min(message.received_ns for message in batch)
        end = max(message.received_ns for message in batch)
        file = self._metadata.files[-1]
        file.message_count += len(batch)
        for part in (file, self._metadata):
            _extend(part, start, end)

    def _split(self) -> None:
        self._finish_file()
        if self._mode is CompressionMode.FILE:  # meanwhile, in a thread of its own
            arguments = len(self._metadata.files) - 1, self._file.path
            self._compressions.append(self._pool.submit(self._compress, *arguments))
        self._file = self._open_next_file()

    def _open_next_file(self) -> WritableFile:
        number = len(self._metadata.files)
        file = create_file(
            self._folder / f"{self._folder.name}_{number}",
            self._options,
            self._metadata.ros_distro,
        )
        self._metadata.relative_file_paths.append(file.path.name)
        self._metadata.files.append(
            FileInformation(file.path.name, Time(nanoseconds=NEVER_NS), Duration(), 0)
        )
        # The first record of a file: custom data survives a crash.
        file.update_metadata(MetadataIo().serialize_metadata(self._metadata))
        for topic, definition in self._topics.values():
            file.create_topic(topic, definition)
        return file

    def _finish_file(self) -> None:
        """Write the totals into the current file and close it."""
        self._update_totals()
        try:
            if self._error is None:
                self._file.update_metadata(MetadataIo().serialize_metadata(self._metadata))
        finally:
            self._file.close()

    def _compress(self, number: int, path: Path) -> None:
        self._metadata.relative_file_paths[number] = compress_file(path).name

    def _finish(self) -> None:
        try:
            self._finish_file()
            if self._mode is CompressionMode.FILE and self._error is None:
                self._compress(len(self._metadata.files) - 1, self._file.path)
            for compression in self._compressions:
                compression.result()
        finally:
            self._pool.shutdown()
            MetadataIo().write_metadata(str(self._folder), self._metadata)
        # Last, because it may take seconds: a process that is killed meanwhile has a whole bag.
        for path in (
            *map(self._folder.joinpath, self._metadata.relative_file_paths),
            self._folder,
        ):
            _sync(path)

    def _update_totals(self) -> None:
        self._metadata.topics_with_message_count = [
            TopicInformation(topic, self._counts[name])
            for name, (topic, _) in self._topics.items()
        ]
        self._metadata.message_count = sum(file.message_count for file in self._metadata.files)

    # -- errors ----------------------------------------------------------------------------------

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error

    def _raise_error(self) -> None:
        if self._error is not None:
            written = sum(file.message_count for file in self._metadata.files)
            raise StorageError(
                f"cannot write bag {self._folder}: {self._error}; "
                f"{written} messages are in it, the others are lost"
            ) from self._error

    def _is_in_time_range(self, received_ns: int) -> bool:
        start_ns, end_ns = self._options.start_time_ns, self._options.end_time_ns
        return (start_ns < 0 or received_ns >= start_ns) and (end_ns < 0 or received_ns <= end_ns)


def _extend(part: FileInformation | BagMetadata, start_ns: int, end_ns: int) -> None:
    """Make starting time and duration cover a span."""
    first_ns = part.starting_time.nanoseconds
    last_ns = end_ns if first_ns == NEVER_NS else first_ns + part.duration.nanoseconds
    first_ns = min(first_ns, start_ns)
    part.starting_time = Time(nanoseconds=first_ns)
    part.duration = Duration(nanoseconds=max(last_ns, end_ns) - first_ns)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
