"""Message classes by name, and a contract's topics as serialised samples with their losses."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from ament_index_python import get_resource
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.serialization import deserialize_message

from vla_core.contract import Camera, Stream
from vla_core.errors import CodecError
from vla_core.sampling import Sample
from vla_core.stamps import peek_stamp_ns


def message_class(type_name: str) -> Any:
    """The class of ``package/msg/Type``; the package must be an installed interface package.

    Raises:
        CodecError: the package or the type is not installed.
    """
    package, _, name = type_name.split("/")
    try:
        get_resource("rosidl_interfaces", package)
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except (LookupError, ImportError, AttributeError) as error:
        raise CodecError(
            "the message type is not installed",
            found=type_name,
            allowed="a type that `ros2 topic pub` knows in this shell",
            fix=f"install the package {package} and source its workspace",
        ) from error


def deserialized(serialized: bytes, cls: Any, *, where: str) -> Any:
    """The message of class ``cls``.

    Raises:
        CodecError: it ends too early, or it is of another type.
    """
    try:
        return deserialize_message(serialized, cls)
    except RuntimeError as error:  # RMWError, of which rclpy has no public name
        raise CodecError(
            "the message cannot be read",
            where=where,
            found=f"{len(serialized)} bytes",
            allowed=f"a serialised {cls.__name__}",
        ) from error


MAX_STREAM_BYTES = 64 * 1024


class LossCounter:
    """Counts the messages of one publisher that never arrived, by the gaps in their numbers."""

    def __init__(self) -> None:
        self.received = 0
        self.lost = 0
        self._last = 0

    def count(self, info: Mapping[str, Any]) -> None:
        """Take note of a message by the info that rclpy gives with it."""
        number = info["publication_sequence_number"] or 0
        if self.received and number > self._last:  # a smaller one is of a new publisher
            self.lost += number - self._last - 1
        self._last = number
        self.received += 1


def _require_small(serialized: bytes, topic: str) -> None:
    """Joints need little; a large message would hold up the loop while it is read."""
    if len(serialized) > MAX_STREAM_BYTES:
        raise CodecError(
            "the message is too large",
            where=topic,
            found=f"{len(serialized)} bytes",
            allowed=f"{MAX_STREAM_BYTES} bytes",
        )


class Input:
    """A subscription to one stream or camera.

    A message whose stamp is no time, or that ``read`` refuses, is dropped and counted: another
    driver may publish other joints on the same topic.

    Args:
        node: Its node.
        source: The stream or camera of a contract.
        on_sample: Called with each sample: its header stamp (the time of receipt where the type
            has no header), the monotonic time of receipt, and what ``read`` returned.
        read: Called with each message; None keeps messages serialised.

    Raises:
        CodecError: the message type is not installed.
    """

    def __init__(
        self,
        node: Node,
        source: Stream | Camera,
        on_sample: Callable[[Sample[Any]], None],
        read: Callable[[Any], object] | None = None,
    ) -> None:
        self.message_class = message_class(source.type)
        self.losses = LossCounter()
        self.refused = 0
        fields = list(self.message_class.get_fields_and_field_types().items())
        has_header = bool(fields) and fields[0] == ("header", "std_msgs/Header")

        def receive(serialized: bytes, info: Mapping[str, Any]) -> None:
            received_ns = time.monotonic_ns()
            self.losses.count(info)
            try:
                stamp_ns = (
                    peek_stamp_ns(serialized, where=source.topic)
                    if has_header
                    else node.get_clock().now().nanoseconds
                )
                payload: object = serialized
                if read is not None:
                    _require_small(serialized, source.topic)
                    payload = read(
                        deserialized(serialized, self.message_class, where=source.topic)
                    )
            except CodecError as error:
                self.refused += 1
                node.get_logger().warning(str(error), throttle_duration_sec=1.0)
                return
            on_sample(Sample(stamp_ns=stamp_ns, received_ns=received_ns, payload=payload))

        self._node, self._topic = node, source.topic
        self._subscription = node.create_subscription(
            self.message_class, source.topic, receive, qos_profile_sensor_data, raw=True
        )

    @property
    def lost(self) -> int | str:
        """Messages lost; numbers of several publishers cannot be told apart."""
        if self._node.count_publishers(self._topic) > 1:
            return "unknown: several publishers"
        return self.losses.lost

    def destroy(self) -> None:
        self._node.destroy_subscription(self._subscription)


def reception(inputs: Mapping[str, Input]) -> dict[str, object]:
    """Messages received, lost and refused by input, for diagnostics."""
    values: dict[str, object] = {}
    for name, source in inputs.items():
        values |= {f"received/{name}": source.losses.received, f"lost/{name}": source.lost}
        if source.refused:
            values[f"refused/{name}"] = source.refused
    return values
