"""The ROS node of a launch: made for its first lifecycle node, gone when it shuts down."""

from __future__ import annotations

import contextlib
import os
import threading

import rclpy
from launch import Event, LaunchContext
from launch.event_handlers import OnShutdown
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node


class ROSAdapter:
    """A node that spins in a thread of its own."""

    def __init__(self) -> None:
        self.ros_context = Context()
        rclpy.init(args=[], context=self.ros_context)
        self.ros_node: Node = rclpy.create_node(
            f"launch_ros_{os.getpid()}", context=self.ros_context
        )
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()

    def _spin(self) -> None:
        executor = SingleThreadedExecutor(context=self.ros_context)
        executor.add_node(self.ros_node)
        with contextlib.suppress(ExternalShutdownException):
            while self.ros_context.ok():  # bounded waits: no missed wake-up can hang the launch
                executor.spin_once(timeout_sec=1.0)

    def shutdown(self) -> None:
        """Stop spinning; does nothing the second time."""
        self.ros_context.try_shutdown()
        self._thread.join()


def get_ros_node(context: LaunchContext) -> Node:
    """Return the node of this launch."""
    known: ROSAdapter | None = context.get_locals_as_dict().get("ros_adapter")
    if known is not None:
        return known.ros_node
    adapter = ROSAdapter()
    context.extend_globals({"ros_adapter": adapter})

    def stop(event: Event, context: LaunchContext) -> None:
        adapter.shutdown()

    context.register_event_handler(OnShutdown(on_shutdown=stop))
    return adapter.ros_node
