"""lifecycle_manager: brings executor and policy up, watches them, and brings them down."""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.srv import ChangeState
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from std_srvs.srv import Trigger

from vla_core.errors import VlaError
from vla_core.supervision import Member, Order, Step, Supervision
from vla_policy.nodes.diagnostics import Diagnostics, Level, status
from vla_policy.nodes.heartbeat import Heartbeat, listen
from vla_policy.nodes.lifecycle import FAREWELL
from vla_policy.nodes.node_parameters import LIFECYCLE_MANAGER
from vla_policy.nodes.ros_parameters import declare, read
from vla_policy.nodes.stop_signals import StopSignals

EXECUTOR, POLICY = "executor_node", "policy_node"
PERIOD_S = 0.1
LOOK_S = 1.0  # before the first order: who is there already has been heard, five times a second


class LifecycleManager(Node):
    """Carries out what ``vla_core.supervision`` decides, and tells it on ``~/status``."""

    def __init__(self) -> None:
        super().__init__("lifecycle_manager")
        declare(self, LIFECYCLE_MANAGER)
        restarts = int(read(self, LIFECYCLE_MANAGER)["policy_restarts"])
        # The robot has somebody to hold it before somebody thinks of moving it.
        self.supervision = Supervision(
            [Member(name=EXECUTOR, is_vital=True), Member(name=POLICY, restarts=restarts)]
        )
        self._transitions: dict[str, Client] = {}
        for name in (EXECUTOR, POLICY):
            self._transitions[name] = self.create_client(ChangeState, f"{name}/change_state")
            listen(self, name, self._on_beat, self._on_presence)
        # The younger of two managers leaves; which one that is they tell each other.
        self._since = str(time.time_ns())
        self._heartbeat = Heartbeat(self, lambda: self._since)
        listen(self, self.get_name(), self._on_manager, lambda _name, _running: None)
        self._begins_s = time.monotonic() + LOOK_S
        self._estop = self.create_client(Trigger, f"{EXECUTOR}/estop")
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._status = self.create_publisher(DiagnosticStatus, "~/status", latched)
        self._shown: DiagnosticStatus | None = None
        Diagnostics(self, self._make_status)

    def step(self) -> None:
        """Decide anew, ask the nodes, and tell what has changed."""
        if time.monotonic() >= self._begins_s:
            for order in self.supervision.step(time.monotonic_ns()):
                self._give(order)
        current = self._make_status()
        if current == self._shown:
            return
        self._shown = current
        values = " ".join(f"{pair.key}={pair.value!r}" for pair in current.values)
        log = self.get_logger()
        line = f"{current.message}: {values}"
        log.error(line) if current.level == bytes([Level.ERROR]) else log.info(line)
        self._status.publish(current)

    def leave(self) -> None:
        """Let the last status arrive."""
        self._status.wait_for_all_acked(FAREWELL)

    def _on_beat(self, name: str, process: str, state: str) -> None:
        self.supervision.beat(name, process, state, time.monotonic_ns())

    def _on_presence(self, name: str, running: int) -> None:
        self.supervision.present(name, running, time.monotonic_ns())

    def _on_manager(self, name: str, process: str, since: str) -> None:
        if (since, process) < (self._since, self._heartbeat.process):
            reason = f"another {name} looks after these nodes"
            self.supervision.refuse(reason, time.monotonic_ns())

    def _give(self, order: Order) -> None:
        request: Any
        if order.step is Step.HALT:
            client, request = self._estop, Trigger.Request()
        else:
            client, request = self._transitions[order.node], ChangeState.Request()
            request.transition.label = order.step.value
        if client.service_is_ready():
            client.call_async(request).add_done_callback(partial(self._on_answer, order))
        else:
            self.supervision.postpone(order)

    def _on_answer(self, order: Order, future: Future) -> None:
        answer = future.result()
        self.supervision.answered(order, done=bool(answer.success), now_ns=time.monotonic_ns())

    def _make_status(self) -> DiagnosticStatus:
        report = self.supervision.report(time.monotonic_ns())
        level = Level.OK if report.is_up else Level.ERROR if report.is_failing else Level.WARN
        values = {**report.nodes, "restarts": self.supervision.restarts}
        return status(self, level, report.message, values)


def main(args: list[str] | None = None) -> int:
    """Entry point of ``ros2 run vla_policy lifecycle_manager``: 0 stopped, 1 a node was lost."""
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        node = LifecycleManager()
    except (RuntimeError, VlaError) as error:  # RuntimeError: of rcl, for arguments
        print(f"cannot start: {error}", file=sys.stderr, flush=True)
        rclpy.try_shutdown()
        return 2
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    stop = StopSignals()
    try:
        while node.supervision.exit_code is None:
            if stop.requested:
                node.supervision.bring_down("stopped by a signal", 0, time.monotonic_ns())
            due_s = time.monotonic() + PERIOD_S
            while (left_s := due_s - time.monotonic()) > 0:
                executor.spin_once(timeout_sec=left_s)
            node.step()
        node.leave()
    finally:
        StopSignals.ignore()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return node.supervision.exit_code
