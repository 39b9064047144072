"""The demo's own node: hears all that robot, policy and executor say, and says nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from vla_bringup.demo.observed import Observed
from vla_core.contract import Camera, Stream
from vla_core.errors import VlaError
from vla_policy.nodes.messages import message_class

EXECUTOR, POLICY = "executor_node", "policy_node"
COMMANDED, CHUNKS, STATUS = f"{EXECUTOR}/commanded", "action_chunk", f"{EXECUTOR}/status"
LOOK_AROUND_S = 1.5
# each one is an entity more that rclpy goes through at every wait
NO_EVENTS = SubscriptionEventCallbacks(use_default_callbacks=False)

Info = Mapping[str, Any]


class DemoError(VlaError):
    """A demo that cannot start or go on."""

    code = "DEMO"


class Recorder:
    """Reads in batches, once a frame: waking up for each message would cost half a core."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed
        self._taken = 0
        # Ctrl-C and SIGTERM belong to the demo, which has children to end first
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node("demo_recorder", start_parameter_services=False, enable_rosout=False)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)

    def refuse_company(self) -> None:
        """Make sure that no robot, and no other demo, is there that would get these commands.

        Raises:
            DemoError: Somebody already publishes or takes what the demo is about to.
        """
        contract = self._observed.contract
        time.sleep(LOOK_AROUND_S)
        found = {
            *(s.topic for s in contract.streams if self._node.count_publishers(s.topic)),
            *(c.topic for c in contract.cameras if self._node.count_publishers(c.topic)),
            *(g.topic for g in contract.action if self._node.count_subscribers(g.topic)),
            *(topic for topic in (CHUNKS, COMMANDED) if self._node.count_publishers(topic)),
        }
        if found:
            raise DemoError(
                "a robot or another demo is already on this ROS domain",
                found=", ".join(sorted(found)),
                allowed="a domain where these topics are free",
                fix="stop what runs there, or set ROS_DOMAIN_ID to another number, e.g. 99",
            )

    def listen(self) -> None:
        """Subscribe to everything."""
        contract, observed = self._observed.contract, self._observed
        sensor = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
        images = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
        latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        for camera in contract.cameras:
            self._subscribe(camera.name, camera.type, camera.topic, images, self._image(camera))
        for stream in contract.streams:
            self._subscribe(stream.name, stream.type, stream.topic, sensor, self._stream(stream))
        self._subscribe(COMMANDED, JointState, COMMANDED, 1000, observed.on_commanded)
        self._subscribe(CHUNKS, JointTrajectory, CHUNKS, 10, observed.on_chunk)
        self._subscribe(STATUS, DiagnosticStatus, STATUS, latched, observed.on_status)
        # three nodes publish there: their numbers say nothing about losses
        diagnose = self._counted(observed.on_diagnostics)
        self._node.create_subscription(
            DiagnosticArray, "/diagnostics", diagnose, 10, event_callbacks=NO_EVENTS
        )

    def take(self) -> None:
        """Handle all messages that have arrived."""
        idle = 0
        while idle < 2:  # rclpy ends each batch with one call that does nothing
            before = self._taken
            self._executor.spin_once(timeout_sec=0.0)
            idle = 0 if self._taken != before else idle + 1

    def _subscribe(
        self,
        name: str,
        kind: Any,
        topic: str,
        qos: QoSProfile | int,
        handle: Callable[[Any, Info], None],
    ) -> None:
        flow = self._observed.flow(name)

        def store(message: Any, info: Info) -> None:
            self._taken += 1
            flow.add(info)
            handle(message, info)

        cls = message_class(kind) if isinstance(kind, str) else kind
        self._node.create_subscription(cls, topic, store, qos, event_callbacks=NO_EVENTS)

    def _counted(self, handle: Callable[[Any], None]) -> Callable[[Any], None]:
        def store(message: Any) -> None:
            self._taken += 1
            handle(message)

        return store

    def _image(self, camera: Camera) -> Callable[[Any, Info], None]:
        return lambda message, _: self._observed.on_image(camera, message)

    def _stream(self, stream: Stream) -> Callable[[Any, Info], None]:
        return lambda message, info: self._observed.on_stream(stream, message, info)
