"""Playing of bags: the recorded bytes go out again at the recorded pace."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from rosbag2_py import _signals
from rosbag2_py._message_types import message_type
from rosbag2_py._qos import NANOSECONDS, QoS, convert_rclcpp_qos_to_rclpy_qos
from rosbag2_py._reader import SequentialReader
from rosbag2_py._storage import ConverterOptions, StorageFilter, StorageOptions, TopicMetadata

_DEFAULT_DEPTH = 10
_CLOCK_TOPIC = "/clock"


@dataclass
class PlayOptions:
    """What is played, and how. Services, keyboard and pausing are not in the underlay."""

    rate: float = 1.0
    topics_to_filter: list[str] = field(default_factory=list)
    exclude_topics_to_filter: list[str] = field(default_factory=list)
    regex_to_filter: str = ""
    exclude_regex_to_filter: str = ""
    topic_qos_profile_overrides: dict[str, QoSProfile] = field(default_factory=dict)
    loop: bool = False
    topic_remapping_options: list[str] = field(default_factory=list)
    clock_publish_frequency: float = 0.0
    clock_publish_on_topic_publish: bool = False
    clock_topics: list[str] = field(default_factory=list)
    delay: float = 0.0
    playback_duration: float = -1.0
    playback_until_timestamp: int = -1
    start_offset: float = 0.0
    wait_acked_timeout: int = -1


class Player:
    """Plays bags until their end, `cancel`, Ctrl-C or SIGTERM."""

    def __init__(self, log_level: str = "info") -> None:
        self._log_level = log_level

    @staticmethod
    def cancel() -> None:
        """End the playing that runs in this process."""
        _signals.cancel()

    def play(self, storage_options: StorageOptions, play_options: PlayOptions) -> None:
        """Play a bag."""
        reader = SequentialReader()
        reader.open(storage_options, ConverterOptions())
        with _signals.ros_until_signalled(["--ros-args", "--log-level", self._log_level]) as stop:
            _Playing(reader, play_options, stop).run()


class _Playing:
    """The node and its publishers."""

    def __init__(
        self, reader: SequentialReader, options: PlayOptions, stop: threading.Event
    ) -> None:
        self._reader, self._options, self._stop = reader, options, stop
        self._node = Node(
            "rosbag2_player",
            cli_args=options.topic_remapping_options,
            start_parameter_services=False,
            enable_rosout=False,
        )
        metadata = reader.get_metadata()
        self._begin_ns = metadata.starting_time.nanoseconds + _nanoseconds(options.start_offset)
        self._end_ns = self._last_ns(metadata.starting_time.nanoseconds)
        selected = StorageFilter(
            topics=options.topics_to_filter,
            regex=options.regex_to_filter,
            exclude_topics=options.exclude_topics_to_filter,
            regex_to_exclude=options.exclude_regex_to_filter,
        )
        reader.set_filter(selected)
        selects = selected.predicate()
        topics = [t for t in reader.get_all_topics_and_types() if selects(t.name)]
        made = {topic.name: self._make_publisher(topic) for topic in topics}
        self._publishers = {name: publisher for name, publisher in made.items() if publisher}
        self._clock: Any = None
        self._clock_period_ns = 0
        if options.clock_publish_frequency > 0:
            self._clock_period_ns = _nanoseconds(options.rate / options.clock_publish_frequency)
        if self._clock_period_ns or options.clock_publish_on_topic_publish:
            self._clock = self._node.create_publisher(Clock, _CLOCK_TOPIC, 1)

    def run(self) -> None:
        """Play once, or again and again."""
        try:
            self._play_once()
            while self._options.loop and not self._stop.is_set():
                self._play_once()
            self._wait_until_acknowledged()
        finally:
            self._node.destroy_node()

    def _last_ns(self, start_ns: int) -> int | None:
        """Return the bag's time at which to stop; the later one where two are asked for."""
        options = self._options
        ends = [options.playback_until_timestamp] if options.playback_until_timestamp >= 0 else []
        if options.playback_duration >= 0:
            ends.append(start_ns + _nanoseconds(options.playback_duration))
        return max(ends) if ends else None

    def _make_publisher(self, topic: TopicMetadata) -> Any:
        try:
            message_class = message_type(topic.type)
        except LookupError as error:
            self._node.get_logger().error(f"Ignoring topic '{topic.name}': {error}")
            return None
        profile = self._options.topic_qos_profile_overrides.get(topic.name)
        profile = profile or self._recorded_profile(topic)
        return self._node.create_publisher(message_class, topic.name, profile)

    def _recorded_profile(self, topic: TopicMetadata) -> QoSProfile:
        """Return the profile of the recorded publishers where they agree in what connects."""
        offers = topic.offered_qos_profiles
        if not offers or any(_connecting(q) != _connecting(offers[0]) for q in offers):
            if offers:
                self._node.get_logger().warning(
                    f"The publishers of '{topic.name}' differed in quality of service: "
                    "playing with the default one"
                )
            return QoSProfile(depth=_DEFAULT_DEPTH)
        profile = convert_rclcpp_qos_to_rclpy_qos(offers[0])
        profile.history, profile.depth = QoSProfile(depth=_DEFAULT_DEPTH).history, _DEFAULT_DEPTH
        return profile

    def _play_once(self) -> None:
        """Publish each message when its time has come."""
        if self._stop.wait(self._options.delay):
            return
        self._reader.seek(self._begin_ns)
        begun_ns = time.monotonic_ns()
        next_clock_ns = self._begin_ns
        for name, data, received_ns in self._messages():
            while self._clock_period_ns and next_clock_ns <= received_ns:
                if not self._wait_until(begun_ns, next_clock_ns):
                    return
                self._publish_clock(next_clock_ns)
                next_clock_ns += self._clock_period_ns
            if not self._wait_until(begun_ns, received_ns):
                return
            if self._options.clock_publish_on_topic_publish and (
                not self._options.clock_topics or name in self._options.clock_topics
            ):
                self._publish_clock(received_ns)
            self._publishers[name].publish(data)

    def _messages(self) -> Iterator[tuple[str, bytes, int]]:
        while self._reader.has_next():
            name, data, received_ns = self._reader.read_next()
            if self._end_ns is not None and received_ns > self._end_ns:
                return
            if name in self._publishers:
                yield name, data, received_ns

    def _wait_until(self, begun_ns: int, bag_ns: int) -> bool:
        """Wait for a time of the bag; False when playing is over before."""
        due_ns = begun_ns + int((bag_ns - self._begin_ns) / self._options.rate)
        return not self._stop.wait(max(0, due_ns - time.monotonic_ns()) / NANOSECONDS)

    def _publish_clock(self, bag_ns: int) -> None:
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(bag_ns, NANOSECONDS)
        self._clock.publish(message)

    def _wait_until_acknowledged(self) -> None:
        timeout_ms = self._options.wait_acked_timeout
        if timeout_ms < 0:
            return
        # 0 waits for ever, which rclpy says with a negative duration.
        timeout = Duration(nanoseconds=timeout_ms * 1_000_000 or -1)
        for name, publisher in self._publishers.items():
            if publisher.qos_profile.reliability != ReliabilityPolicy.RELIABLE:
                continue
            if not publisher.wait_for_all_acked(timeout):
                self._node.get_logger().error(f"'{name}': not all messages were acknowledged")


def _connecting(qos: QoS) -> tuple[Any, ...]:
    """Return the policies that decide whether two endpoints connect."""
    values = qos.to_dict()
    names = ("reliability", "durability", "deadline", "liveliness", "liveliness_lease_duration")
    return tuple(values[name] for name in names)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * NANOSECONDS)
