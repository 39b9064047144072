"""What a node says of itself on /diagnostics, once a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node


class Level(IntEnum):
    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


def status(
    node: Node, level: Level, message: str, values: Mapping[str, object]
) -> DiagnosticStatus:
    """One status, under the full name of the node."""
    return DiagnosticStatus(
        level=bytes([level]),
        name=node.get_fully_qualified_name().lstrip("/"),
        message=message,
        hardware_id=node.get_namespace(),
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )


class Diagnostics:
    """Publishes what ``make`` returns at 1 Hz."""

    def __init__(self, node: Node, make: Callable[[], DiagnosticStatus]) -> None:
        self._node = node
        self._make = make
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._timer = node.create_timer(1.0, self._publish)

    def _publish(self) -> None:
        message = DiagnosticArray(status=[self._make()])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def destroy(self) -> None:
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)
