"""Recording of topics: raw subscriptions, made as topics appear, into a `SequentialWriter`."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rclpy.topic_or_service_is_hidden import topic_or_service_is_hidden

from rosbag2_py import _signals
from rosbag2_py._compression_options import CompressionOptions, compression_mode_from_string
from rosbag2_py._message_types import message_type
from rosbag2_py._qos import QoS
from rosbag2_py._storage import ConverterOptions, StorageOptions, TopicMetadata
from rosbag2_py._writer import SERIALIZATION_FORMAT, SequentialCompressionWriter, SequentialWriter

# What may wait in the middleware while others are taken: deeper than upstream's 10, because
# Python takes one after the other. At 1 kHz it is a tenth of a second.
QUEUE_DEPTH = 100
_WAKE_S = 0.1  # how late a signal is noticed where nothing is published


@dataclass
class RecordOptions:
    """What is recorded. Services, keyboard and pausing are not in the underlay."""

    all_topics: bool = False
    topics: list[str] = field(default_factory=list)
    topic_types: list[str] = field(default_factory=list)
    regex: str = ""
    exclude_regex: str = ""
    exclude_topics: list[str] = field(default_factory=list)
    exclude_topic_types: list[str] = field(default_factory=list)
    include_hidden_topics: bool = False
    include_unpublished_topics: bool = False
    ignore_leaf_topics: bool = False
    is_discovery_disabled: bool = False
    topic_polling_interval: timedelta = timedelta(milliseconds=100)
    topic_qos_profile_overrides: dict[str, QoSProfile] = field(default_factory=dict)
    use_sim_time: bool = False
    compression_mode: str = ""
    compression_format: str = ""
    compression_threads: int = 0


class Recorder:
    """Records until `cancel`, Ctrl-C or SIGTERM, and finishes the bag in any case."""

    def __init__(self, log_level: str = "info") -> None:
        self._log_level = log_level

    @staticmethod
    def cancel() -> None:
        """End the recording that runs in this process."""
        _signals.cancel()

    def record(
        self,
        storage_options: StorageOptions,
        record_options: RecordOptions,
        node_name: str = "rosbag2_recorder",
    ) -> None:
        """Record a bag; raise RuntimeError when it could not be written in full."""
        writer = _make_writer(record_options)
        with _signals.ros_until_signalled(["--ros-args", "--log-level", self._log_level]) as stop:
            writer.open(storage_options, ConverterOptions())
            try:
                recording = _Recording(writer, record_options, node_name)
                recording.run(stop)
            finally:
                writer.close()


def _make_writer(options: RecordOptions) -> SequentialWriter:
    mode = compression_mode_from_string(options.compression_mode)
    if not mode:
        return SequentialWriter()
    return SequentialCompressionWriter(
        CompressionOptions(
            compression_format=options.compression_format or "zstd",
            compression_mode=mode,
            compression_threads=options.compression_threads,
        )
    )


class _Recording:
    """The node and its subscriptions."""

    def __init__(self, writer: SequentialWriter, options: RecordOptions, node_name: str) -> None:
        self._writer, self._options = writer, options
        self._node = Node(
            node_name,
            start_parameter_services=False,
            enable_rosout=False,
            parameter_overrides=[Parameter("use_sim_time", value=options.use_sim_time)],
        )
        self._subscriptions: dict[str, Any] = {}
        self._refused: set[str] = set()
        self._lost: Counter[str] = Counter()
        self._log = self._node.get_logger()

    def run(self, stop: threading.Event) -> None:
        """Take messages until the event is set."""
        self._log.info("Listening for topics...")
        self._subscribe_new()
        if not self._options.is_discovery_disabled:
            period_s = self._options.topic_polling_interval.total_seconds()
            self._node.create_timer(period_s, self._subscribe_new)
        executor = SingleThreadedExecutor()
        executor.add_node(self._node)
        self._log.info("Recording...")
        try:
            while not stop.is_set():
                executor.spin_once(timeout_sec=_WAKE_S)
        finally:
            executor.shutdown()
            self._node.destroy_node()
        self._report()

    def _report(self) -> None:
        for topic, count in self._lost.items():  # the writer tells what it dropped itself
            self._log.error(f"{topic}: {count} messages were lost on their way here")
        self._log.info("Recording stopped")

    def _subscribe_new(self) -> None:
        """Subscribe to the topics that were not there before."""
        for name, kinds in self._node.get_topic_names_and_types():
            if name in self._subscriptions or name in self._refused:
                continue
            if not any(self._is_selected(name, kind) for kind in kinds):
                continue
            if len(kinds) > 1:
                self._refuse(name, f"it has several types: {', '.join(kinds)}")
            else:
                self._subscribe(name, kinds[0])

    def _is_selected(self, name: str, kind: str) -> bool:
        options = self._options
        named = name in options.topics or kind in options.topic_types
        matched = bool(options.regex) and re.search(options.regex, name) is not None
        if not (options.all_topics or named or matched):
            return False
        if name in options.exclude_topics or kind in options.exclude_topic_types:
            return False
        if options.exclude_regex and re.search(options.exclude_regex, name):
            return False
        if not options.include_hidden_topics and topic_or_service_is_hidden(name):
            return False
        if options.ignore_leaf_topics and not self._node.count_subscribers(name):
            return False
        return options.include_unpublished_topics or self._node.count_publishers(name) > 0

    def _subscribe(self, name: str, kind: str) -> None:
        try:
            message_class = message_type(kind)
        except LookupError as error:
            self._refuse(name, str(error))
            return
        publishers = self._node.get_publishers_info_by_topic(name)
        self._writer.create_topic(
            TopicMetadata(
                id=0,
                name=name,
                type=kind,
                serialization_format=SERIALIZATION_FORMAT,
                offered_qos_profiles=[QoS.from_profile(p.qos_profile) for p in publishers],
                type_description_hash=_type_hash(publishers),
            )
        )
        self._subscriptions[name] = self._node.create_subscription(
            message_class,
            name,
            partial(self._receive, name),
            self._options.topic_qos_profile_overrides.get(name) or self._adapted(name, publishers),
            event_callbacks=SubscriptionEventCallbacks(message_lost=partial(self._lose, name)),
            raw=True,
        )
        self._log.info(f"Subscribed to topic '{name}'")

    def _refuse(self, name: str, why: str) -> None:
        self._refused.add(name)
        self._log.warning(f"Topic '{name}' is not recorded: {why}")

    def _adapted(self, name: str, publishers: Sequence[TopicEndpointInfo]) -> QoSProfile:
        """Return a profile that every publisher can serve: the stronger where all offer it."""
        profile = QoSProfile(depth=QUEUE_DEPTH)
        for policy, strong, weak in (
            ("reliability", ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT),
            ("durability", DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE),
        ):
            offered = [getattr(p.qos_profile, policy) == strong for p in publishers]
            # Nobody there yet (--include-unpublished-topics): the default profile, as upstream.
            stronger = all(offered) if offered else strong is ReliabilityPolicy.RELIABLE
            setattr(profile, policy, strong if stronger else weak)
            if any(offered) and not stronger:
                self._log.warning(
                    f"Some, but not all, publishers on topic '{name}' offer {strong.name}: "
                    f"falling back to {weak.name}, which connects to all of them"
                )
        return profile

    def _receive(self, name: str, data: bytes, info: Mapping[str, int]) -> None:
        if self._options.use_sim_time:
            received_ns = self._node.get_clock().now().nanoseconds
            if not received_ns:  # no clock yet
                return
        else:
            received_ns = info["received_timestamp"]
        self._writer.write(name, data, received_ns, info["source_timestamp"])

    def _lose(self, name: str, event: Any) -> None:
        self._lost[name] += event.total_count_change


def _type_hash(publishers: Sequence[TopicEndpointInfo]) -> str:
    """Return the hash of the type on which all publishers agree, else nothing."""
    hashes = {str(p.topic_type_hash) for p in publishers if p.topic_type_hash.version == 1}
    return hashes.pop() if len(hashes) == 1 else ""
