"""What people ask of the executor: stop, go on, only try, faster or slower."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import Float32
from std_srvs.srv import SetBool, Trigger

from vla_core.execution import Execution

ESTOPPED = "stopped by ~/estop"


class ExecutorServices:
    """``~/estop``, ``~/resume``, ``~/dry_run`` and the topic ``~/speed``.

    In each state of the node each has one answer: docs/execution.md.
    """

    def __init__(self, node: Node, execution: Execution) -> None:
        self._node = node
        self._execution = execution
        self._is_active = False
        self._is_stopped_early = False
        self._services = [
            node.create_service(Trigger, "~/estop", self._on_estop),
            node.create_service(Trigger, "~/resume", self._on_resume),
            node.create_service(SetBool, "~/dry_run", self._on_dry_run),
        ]
        self._speed = node.create_subscription(Float32, "~/speed", self._on_speed, 1)

    def activated(self, execution: Execution) -> None:
        """A stop that was asked for before still holds."""
        self._execution, self._is_active = execution, True
        if self._is_stopped_early:
            self._is_stopped_early = False
            execution.latch(ESTOPPED)

    def deactivated(self) -> None:
        self._is_active = False

    def _on_estop(self, _request: Any, response: Any) -> Any:
        self._is_stopped_early = not self._is_active
        self._execution.latch(ESTOPPED)
        response.success = True
        response.message = f"{self._execution.latched}; ~/resume releases it"
        return response

    def _on_resume(self, _request: Any, response: Any) -> Any:
        self._is_stopped_early = False
        self._execution.resume()
        awaited = "a new action chunk" if self._is_active else "the node to be activated"
        response.success, response.message = True, f"waiting for {awaited}"
        return response

    def _on_dry_run(self, request: Any, response: Any) -> Any:
        self._execution.dry_run = bool(request.data)
        response.success, response.message = True, f"dry_run={request.data} once at rest"
        return response

    def _on_speed(self, message: Float32) -> None:
        """Through the parameter, which has one value and one range."""
        wanted = Parameter("speed_percent", value=float(message.data))
        result = self._node.set_parameters([wanted])[0]
        if not result.successful:
            self._execution.counts["speeds_refused"] += 1
            self._node.get_logger().warning(
                f"~/speed refused: {result.reason}", throttle_duration_sec=1.0
            )

    def destroy(self) -> None:
        self._node.destroy_subscription(self._speed)
        for service in self._services:
            self._node.destroy_service(service)
