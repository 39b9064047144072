"""What people ask of the executor: stop, go on, only try, faster or slower."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import Float32
from std_srvs.srv import SetBool, Trigger

from vla_core.execution import Execution, State

ESTOPPED = "stopped by ~/estop"


class ExecutorServices:
    """``~/estop``, ``~/resume``, ``~/dry_run`` and the topic ``~/speed``.

    In each state of the node each has one answer: docs/execution.md. Each call is counted by the
    state that it met.
    """

    def __init__(self, node: Node, execution: Execution, state: Callable[[], State]) -> None:
        self.execution = execution
        self._node = node
        self._state = state
        self._services = [
            node.create_service(Trigger, "~/estop", self._on_estop),
            node.create_service(Trigger, "~/resume", self._on_resume),
            node.create_service(SetBool, "~/dry_run", self._on_dry_run),
        ]
        self._speed = node.create_subscription(Float32, "~/speed", self._on_speed, 1)

    def _met(self, request: str) -> State:
        state = self._state()
        self.execution.counts[f"{request}/{state.value}"] += 1
        return state

    def _on_estop(self, _request: Any, response: Any) -> Any:
        self._met("estop")
        self.execution.latch(ESTOPPED)
        response.success = True
        response.message = f"{self.execution.latched}; ~/resume releases it"
        return response

    def _on_resume(self, _request: Any, response: Any) -> Any:
        state = self._met("resume")
        self.execution.resume()
        is_inactive = state is State.INACTIVE
        awaited = "the node to be activated" if is_inactive else "a new action chunk"
        response.success, response.message = True, f"waiting for {awaited}"
        return response

    def _on_dry_run(self, request: Any, response: Any) -> Any:
        self._met("dry_run")
        self.execution.dry_run = bool(request.data)
        response.success, response.message = True, f"dry_run={request.data} once at rest"
        return response

    def _on_speed(self, message: Float32) -> None:
        """Through the parameter, which has one value and one range."""
        wanted = Parameter("speed_percent", value=float(message.data))
        result = self._node.set_parameters([wanted])[0]
        if not result.successful:
            self.execution.counts["speeds_refused"] += 1
            self._node.get_logger().warning(
                f"~/speed refused: {result.reason}", throttle_duration_sec=1.0
            )

    def destroy(self) -> None:
        self._node.destroy_subscription(self._speed)
        for service in self._services:
            self._node.destroy_service(service)
