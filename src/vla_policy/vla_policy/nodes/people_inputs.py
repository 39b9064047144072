"""The topics by which people allow motion or take over: see ``vla_core.interlocks``."""

from __future__ import annotations

import time
from collections import Counter

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data

from vla_core.codecs import decode_vector
from vla_core.contract_safety import Safety
from vla_core.errors import CodecError
from vla_core.interlocks import Interlocks
from vla_policy.nodes.messages import MAX_STREAM_BYTES, deserialized, message_class


class PeopleInputs:
    """Subscribes to what the contract names, and passes it on to the interlocks.

    Raises:
        CodecError: a message type of the contract is not installed.
    """

    def __init__(self, node: Node, safety: Safety, interlocks: Interlocks) -> None:
        self.interlocks = interlocks
        self.counts: Counter[str] = Counter()
        self._node = node
        self._takeover_topic = safety.takeover.topic if safety.takeover else None
        self._deadman = safety.deadman
        callbacks = ((safety.deadman, self._on_deadman), (safety.takeover, self._on_takeover))
        topics = [
            (message_class(named.type), named.topic, callback)
            for named, callback in callbacks
            if named is not None
        ]
        self._subscriptions = [
            node.create_subscription(*topic, qos_profile_sensor_data, raw=True) for topic in topics
        ]

    def _on_deadman(self, serialized: bytes) -> None:
        """What cannot be read is not pressed."""
        try:
            is_pressed = self._read(serialized)
        except CodecError as error:
            self.counts["deadman_unreadable"] += 1
            self._node.get_logger().warning(str(error), throttle_duration_sec=1.0)
            is_pressed = False
        self.interlocks.press(is_pressed, time.monotonic_ns())

    def _read(self, serialized: bytes) -> bool:
        deadman = self._deadman
        if deadman is None or len(serialized) > MAX_STREAM_BYTES:
            raise CodecError("the message is too large", found=f"{len(serialized)} bytes")
        value = decode_vector(
            deserialized(serialized, message_class(deadman.type), where=deadman.topic),
            type_name=deadman.type,
            field=deadman.field,
            message_names=("",),
            where=deadman.topic,
        )
        return bool(value[0])

    def _on_takeover(self, _serialized: bytes) -> None:
        self.interlocks.drive(time.monotonic_ns())

    def drivers(self) -> set[str]:
        """Full names of the nodes that may command the robot themselves: those that take over."""
        if self._takeover_topic is None:
            return set()
        infos = self._node.get_publishers_info_by_topic(self._takeover_topic)
        return {f"{info.node_namespace.rstrip('/')}/{info.node_name}" for info in infos}

    def destroy(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
