"""`teleop`: a person or the scripted expert in the policy's place.

It publishes `action_chunk`. So the executor limits and stops it as it does a policy, and what is
recorded as action is what was really sent.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from vla_bringup.teleop.episodes import ExpertSource
from vla_bringup.teleop.joystick import Joystick
from vla_bringup.teleop.leader import Leader, parse_scales, parse_topics
from vla_bringup.teleop.parameters import TELEOP
from vla_bringup.teleop.sources import JoystickSource, KeyboardSource, LeaderSource, Source
from vla_core.chunk import encode_chunk
from vla_core.contract import Contract, Stream, load_contract
from vla_core.errors import ParameterError, SampleError, VlaError
from vla_core.observation import read_stream
from vla_core.parameters import Value
from vla_core.sampling import StreamBuffer, select
from vla_core.types import FloatArray
from vla_policy.nodes.diagnostics import Diagnostics, Level, status
from vla_policy.nodes.messages import Input
from vla_policy.nodes.ros_parameters import declare, read
from vla_policy.nodes.stop_signals import StopSignals

CHUNKS = "action_chunk"


class Teleop(Node):
    """Passes on what its source wants, as long as it is the only one who sends chunks."""

    def __init__(self) -> None:
        super().__init__("teleop")
        declare(self, TELEOP)
        values = read(self, TELEOP)
        self._contract = load_contract(str(values["contract"]))
        self._names = self._contract.action_names
        self._buffers: dict[str, StreamBuffer[Mapping[str, float]]] = {}
        self._inputs = [
            self._listen(stream)
            for stream in self._contract.streams
            if set(stream.joints) & set(self._names)
        ]
        self._chunks = self.create_publisher(JointTrajectory, CHUNKS, QoSProfile(depth=1))
        self._refusal: str | None = None  # not looked yet
        self._sent = 0
        self.source = make_source(self, self._contract, values)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1 / self._contract.policy_rate_hz, self._tick, clock=steady)
        self.create_timer(1.0, self._look_for_company, clock=steady)
        self._diagnostics = Diagnostics(self, self._status)

    def _listen(self, stream: Stream) -> Input:
        buffer: StreamBuffer[Mapping[str, float]] = StreamBuffer(
            name=stream.name, max_age_s=stream.max_age_s
        )
        self._buffers[stream.name] = buffer
        return Input(self, stream, buffer.add, lambda message: read_stream(stream, message))

    def _measured(self, now_ns: int) -> FloatArray | None:
        """(A,) where the joints are; None where a stream is stale. Velocities count as zero."""
        try:
            chosen = select(self._buffers, now_ns, time.monotonic_ns())
        except SampleError:
            return None
        known: dict[str, float] = {}
        for sample in chosen.values():
            known |= sample.payload
        return np.array([known.get(name, 0.0) for name in self._names])

    def _tick(self) -> None:
        if self._refusal is None:
            return
        now_ns = self.get_clock().now().nanoseconds
        chunk = self.source.chunk(now_ns, self._measured(now_ns))
        if chunk is None or self._refusal:
            return
        message = encode_chunk(chunk, self._names, JointTrajectory(), JointTrajectoryPoint)
        self._chunks.publish(message)
        self._sent += 1

    def _look_for_company(self) -> None:
        """Two who send chunks would drive the robot in turns."""
        self._refusal = ""
        if self.count_publishers(CHUNKS) > 1:
            self._refusal = f"somebody else publishes {CHUNKS}: end or clean up that policy"
            self.get_logger().warning(self._refusal, throttle_duration_sec=5.0)

    def _status(self) -> DiagnosticStatus:
        values = {"chunks": self._sent, "company": bool(self._refusal)}
        level = Level.WARN if self._refusal else Level.OK
        return status(self, level, self._refusal or "driving", values)

    def close(self) -> None:
        """Give back what the source holds, and leave the graph."""
        self.source.close()
        self.destroy_node()


def make_source(node: Node, contract: Contract, values: Mapping[str, Value]) -> Source:
    """Who drives, as the parameters say.

    Raises:
        VlaError: The parameters do not suffice, or what they need is not there.
    """
    speed = float(values["speed"])
    if values["source"] == "keyboard":
        return KeyboardSource(node, contract, speed)
    if values["source"] == "joystick":
        joystick = Joystick(
            contract,
            str(values["joystick_controls"]),
            deadman=int(values["joystick_deadman"]),
            next_page=int(values["joystick_next_page"]),
        )
        return JoystickSource(node, contract, joystick, speed)
    if values["source"] == "leader":
        leader = Leader(
            contract,
            scales=parse_scales(str(values["leader_scales"]), contract.action_names),
            speed=speed,
            soft_start_s=float(values["soft_start_s"]),
        )
        return LeaderSource(node, contract, leader, parse_topics(str(values["leader_topics"])))
    return ExpertSource(
        node, contract, episodes=int(values["episodes"]), record=bool(values["record"])
    )


def main(args: list[str] | None = None) -> int:
    """Drive until the source has done its work, or SIGINT or SIGTERM."""
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # of rcl, for arguments that it cannot parse
        print(f"cannot start: {error}", file=sys.stderr, flush=True)
        return 2
    stop = StopSignals()
    executor = SingleThreadedExecutor()
    node: Teleop | None = None
    try:
        node = Teleop()
        executor.add_node(node)
        while not stop.requested and not node.source.is_over:
            executor.spin_once(timeout_sec=0.1)
    except VlaError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2 if isinstance(error, ParameterError) else 1
    finally:
        stop.ignore()
        executor.shutdown()
        if node is not None:
            node.close()
        rclpy.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
