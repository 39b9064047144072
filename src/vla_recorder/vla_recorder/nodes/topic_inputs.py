"""Subscriptions to what is recorded: raw, with the QoS that its publishers offer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message

from vla_core.contract import Stream
from vla_core.errors import CodecError
from vla_core.image_codecs import DEPTH_ENCODINGS
from vla_core.observation import read_camera, read_depth, read_stream
from vla_policy.nodes.messages import message_class
from vla_recorder.nodes.episode_bag import BagTopic
from vla_recorder.recording.monitor import Check, Monitor, Pose
from vla_recorder.recording.topics import Raw, Recorded

DEPTH = 1000
CAMERA_DEPTH_S = 1.0  # what may wait in the middleware; images are large


class TopicInput:
    """One topic to record, subscribed to as soon as somebody publishes it.

    Attributes:
        put: Called with each message.

    Raises:
        CodecError: the message type is not installed.
    """

    put: Callable[[Raw], None]

    def __init__(self, node: Node, index: int, recorded: Recorded, pose: Pose) -> None:
        self._node, self._index = node, index
        self._class = message_class(recorded.type)
        fields = list(self._class.get_fields_and_field_types().items())
        self.bag_topic = BagTopic(
            name=node.resolve_topic_name(recorded.topic),
            type=recorded.type,
            is_latched=recorded.is_latched,
        )
        self.monitor = Monitor(
            recorded=recorded,
            has_header=bool(fields) and fields[0] == ("header", "std_msgs/Header"),
            check=_check(recorded, self._class),
            pose=pose,
        )
        source = recorded.source
        self._depth = DEPTH
        if source is not None and not isinstance(source, Stream):
            self._depth = max(10, math.ceil(source.rate_hz * CAMERA_DEPTH_S))
        self._subscription: Any = None
        self._qos: tuple[bool, bool] | None = None

    def follow(self) -> None:
        """Subscribe as the publishers offer: reliable and with history where all of them are."""
        publishers = self._node.get_publishers_info_by_topic(self.bag_topic.name)
        if not publishers:
            return
        self.monitor.several = len(publishers) > 1
        offered = [publisher.qos_profile for publisher in publishers]
        qos = (
            all(o.reliability == ReliabilityPolicy.RELIABLE for o in offered),
            all(o.durability == DurabilityPolicy.TRANSIENT_LOCAL for o in offered),
        )
        if qos == self._qos:
            return
        self.destroy()
        self._qos = qos
        is_reliable, is_latched = qos
        profile = QoSProfile(
            depth=self._depth,
            reliability=ReliabilityPolicy.RELIABLE
            if is_reliable
            else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL
            if is_latched
            else DurabilityPolicy.VOLATILE,
        )
        self._subscription = self._node.create_subscription(
            self._class, self.bag_topic.name, self._receive, profile, raw=True
        )

    def _receive(self, data: bytes, info: Mapping[str, Any]) -> None:
        now_ns = self._node.get_clock().now().nanoseconds
        self.put(Raw(self._index, now_ns, data, info["publication_sequence_number"] or 0))

    def destroy(self) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)


def _check(recorded: Recorded, cls: Any) -> Check:
    """Reads a message as a policy would."""
    source = recorded.source

    def check(data: bytes) -> Mapping[str, float]:
        if source is None:
            return {}
        try:
            message = deserialize_message(data, cls)
        except RuntimeError as error:  # RMWError, of which rclpy has no public name
            raise CodecError("not a message of its type", found=recorded.type) from error
        if isinstance(source, Stream):
            return read_stream(source, message)
        if source.encoding in DEPTH_ENCODINGS:
            read_depth(source, message)
            return {}
        try:
            read_camera(source, message)
        except CodecError:
            if source.encoding != "png":  # which may hold depth as well
                raise
            read_depth(source, message)
        return {}

    return check
