"""What a lifecycle node tells of itself five times a second, and how others hear that it stops."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Callable

from diagnostic_msgs.msg import KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.event_handler import QoSLivelinessChangedInfo, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import LivelinessPolicy, QoSProfile

PERIOD_S = 0.2
# The process itself is watched by the middleware, whose threads need no lock of Python: a node
# that loads a model, or computes, is not taken for dead. docs/supervision.md has the figures.
LEASE = Duration(seconds=0.6)
QOS = QoSProfile(depth=1, liveliness=LivelinessPolicy.AUTOMATIC, liveliness_lease_duration=LEASE)
# A node that hangs for so long is ended by the kernel, so that it can be started again; longer
# than native code was seen to keep Python's lock (3 s).
HANGS_S = 10.0


class Heartbeat:
    """Publishes a node's lifecycle state on ``~/heartbeat`` from the thread that does its work.

    The key of a beat is this process's own, so that one that was only not heard for a while (it
    was stopped, or the machine was busy) is told from one that has taken its place.

    Args:
        state: Says the label of the state.
    """

    def __init__(self, node: Node, state: Callable[[], str]) -> None:
        self._node, self._state = node, state
        self.process = secrets.token_hex(4)
        self._publisher = node.create_publisher(KeyValue, "~/heartbeat", QOS)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # a paused simulation is no hanging node
        self._timer = node.create_timer(PERIOD_S, self.beat, clock=steady)
        self._ends_when_hanging = False

    def end_when_hanging(self) -> None:
        """Let this process be ended by SIGALRM when no beat has come for ``HANGS_S``."""
        self._ends_when_hanging = True

    def beat(self, *, before_long_work: bool = False) -> None:
        """Tell the state now."""
        self._publisher.publish(KeyValue(key=self.process, value=self._state()))
        if self._ends_when_hanging:
            signal.setitimer(signal.ITIMER_REAL, 0.0 if before_long_work else HANGS_S)

    def destroy(self, timeout: Duration) -> None:
        """Tell the last state and wait until it has arrived."""
        self._node.destroy_timer(self._timer)
        self.beat(before_long_work=True)
        self._publisher.wait_for_all_acked(timeout)
        self._node.destroy_publisher(self._publisher)


def listen(
    node: Node,
    name: str,
    on_beat: Callable[[str, str, str], None],
    on_presence: Callable[[str, int], None],
) -> None:
    """Hear a node's heartbeat.

    Args:
        name: Of the node, in the listener's namespace.
        on_beat: Called with the name, the process and its state.
        on_presence: Called with the name and how many processes of it are there.
    """

    def changed(info: QoSLivelinessChangedInfo) -> None:
        on_presence(name, info.alive_count)

    def receive(message: KeyValue) -> None:
        on_beat(name, message.key, message.value)

    node.create_subscription(
        KeyValue,
        f"{name}/heartbeat",
        receive,
        QOS,
        event_callbacks=SubscriptionEventCallbacks(liveliness=changed),
    )
