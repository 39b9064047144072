"""Service calls that end: with a response, or with an error when the server is not there."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node

from ros2cli.graph import spin_until

DISCOVERY_TIMEOUT_S = 5.0
LIVENESS_PERIOD_S = 1.0


def call(node: Node, service_type: Any, name: str, request: Any) -> Any:
    """Call a service once; raise RuntimeError when it does not appear, goes away or fails."""
    client = node.create_client(service_type, name)
    try:
        if not spin_until(node, client.service_is_ready, DISCOVERY_TIMEOUT_S):
            raise RuntimeError(f"Wait for service timed out waiting for service {name}")
        future = client.call_async(request)
        # A transition may take minutes, so only the server's own end ends the wait.
        while not spin_until(node, future.done, LIVENESS_PERIOD_S):
            if not client.service_is_ready():
                raise RuntimeError(f"Exception while calling service {name}: the server went away")
        if future.exception() is not None:
            raise RuntimeError(f"Exception while calling service {name}: {future.exception()}")
        return future.result()
    finally:
        node.destroy_client(client)
