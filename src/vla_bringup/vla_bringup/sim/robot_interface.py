"""The ROS side of a simulated robot: a contract's streams and cameras out, commands in."""

from __future__ import annotations

import array
import sys
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions

from vla_bringup.sim.camera_thread import CameraOutput, CameraThread, Moment
from vla_bringup.sim.contract_fit import check_contract
from vla_bringup.sim.measured import Measured
from vla_bringup.sim.pacing import NS_PER_S, Deadlines, RealTimeClock
from vla_bringup.sim.simulated_robot import SimulatedRobot
from vla_core.codecs import JOINT_STATE, decode_vector, encode_vector
from vla_core.contract import ActionGroup, Camera, Stream, load_contract
from vla_core.errors import CodecError, ParameterError, VlaError
from vla_core.parameters import Parameter
from vla_policy.nodes.diagnostics import Diagnostics, Level, status
from vla_policy.nodes.messages import message_class
from vla_policy.nodes.ros_parameters import declare, read
from vla_policy.nodes.stop_signals import StopSignals

RELIABLE = QoSProfile(depth=1)  # only the newest joint state and the newest command count
LOG_PERIOD_S = 5.0
SLOW_BELOW = 0.95  # real-time factor


class RobotInterface(Node):
    """A node that is a robot to everything else in the graph.

    A subclass says what the robot is. Simulated time follows real time: it is advanced whenever
    something is about to be read or commanded.
    """

    def __init__(self, name: str, parameters: Sequence[Parameter]) -> None:
        super().__init__(name)
        declare(self, parameters)
        self.values = read(self, parameters)
        self.contract = load_contract(str(self.values["contract"]))
        self._robot = self.make_robot()
        check_contract(self.contract, self._robot)
        self._moment = self._now()
        self._cameras = CameraThread(self._robot, self._camera_outputs(), lambda: self._moment)
        self._deadlines = {item.camera.name: item.deadlines for item in self._cameras.outputs}
        self._measured = Measured(time.monotonic_ns(), list(self._deadlines))
        self._cameras.start(self._measured.frames)
        self._owed = RealTimeClock(last_ns=time.monotonic_ns())
        self._diagnostics = Diagnostics(self, self._status)
        for group in self.contract.action:
            self._add_command(group)
        for stream in self.contract.streams:
            self._add_stream(stream)
        self.get_logger().info(f"ready robot={self.contract.robot} contract={self.contract.file}")

    @abstractmethod
    def make_robot(self) -> SimulatedRobot:
        """Build what is simulated, from the contract and the parameters' values."""

    def facts(self) -> dict[str, object]:
        """What else a robot says of itself on /diagnostics."""
        return {}

    def close(self) -> None:
        """Stop the cameras and leave the graph."""
        self._cameras.stop()
        self.destroy_node()

    def _add_stream(self, stream: Stream) -> None:
        message_type = message_class(stream.type)
        publisher = self.create_publisher(message_type, stream.topic, RELIABLE)

        def tick() -> None:
            self._cameras.check()
            deadlines.meet(time.monotonic_ns())
            self._advance()
            publisher.publish(self._measure(stream, message_type))

        first_ns = time.monotonic_ns() + round(NS_PER_S / stream.rate_hz)
        deadlines = Deadlines.at_rate(stream.rate_hz, first_ns=first_ns)
        self._deadlines[stream.name] = deadlines
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1 / stream.rate_hz, tick, clock=steady)

    def _add_command(self, group: ActionGroup) -> None:
        def on_command(message: Any) -> None:
            try:
                values = decode_vector(
                    message,
                    type_name=group.type,
                    field=group.field,
                    message_names=list(group.joints.values()),
                    where=group.topic,
                )
            except CodecError as error:
                self._measured.commands_refused += 1
                self.get_logger().warning(
                    f"command refused: {error}", throttle_duration_sec=LOG_PERIOD_S
                )
                return
            self._advance()
            self._robot.command(dict(zip(group.joints, values.tolist(), strict=True)))
            self._measured.commands += 1

        self.create_subscription(message_class(group.type), group.topic, on_command, RELIABLE)

    def _camera_outputs(self) -> list[CameraOutput]:
        fastest_hz = max((camera.rate_hz for camera in self.contract.cameras), default=1.0)
        speed = float(self.values["camera_rate_hz"] or fastest_hz) / fastest_hz

        def output(camera: Camera) -> CameraOutput:
            message_type = message_class(camera.type)
            publisher = self.create_publisher(message_type, camera.topic, qos_profile_sensor_data)
            return CameraOutput(
                camera=camera,
                message_class=message_type,
                publish=publisher.publish,
                deadlines=Deadlines.at_rate(camera.rate_hz * speed),
            )

        return [output(camera) for camera in self.contract.cameras if self.values["render"]]

    def _now(self) -> Moment:
        stamp_ns = self.get_clock().now().nanoseconds
        return Moment(snapshot=self._robot.snapshot(), stamp_ns=stamp_ns)

    def _advance(self) -> None:
        """Bring simulated time up to now."""
        owed_s = self._owed.owed_s(time.monotonic_ns())
        self._measured.physics_steps.add(self._robot.step(owed_s))
        self._measured.simulated_s.add(owed_s)
        self._moment = self._now()

    def _measure(self, stream: Stream, message_type: Callable[[], Any]) -> Any:
        positions = self._robot.positions()
        message = encode_vector(
            message_type,
            type_name=stream.type,
            field=stream.field,
            message_names=list(stream.joints.values()),
            values=[positions[name] for name in stream.joints],
            stamp_ns=self._moment.stamp_ns,
            where=stream.topic,
        )
        if stream.type == JOINT_STATE and stream.field == "position":
            velocities = self._robot.velocities()
            message.velocity = array.array("d", [velocities[name] for name in stream.joints])
        return message

    def _status(self) -> DiagnosticStatus:
        measured = self._measured.read(
            time.monotonic_ns(), lost_ns=self._owed.lost_ns, deadlines=self._deadlines
        )
        is_slow = measured["real_time_factor"] < SLOW_BELOW
        level, message = (Level.WARN, "slower than ") if is_slow else (Level.OK, "")
        return status(self, level, f"{message}real time", {**measured, **self.facts()})


def run(make_node: Callable[[], RobotInterface], args: list[str] | None) -> int:
    """Spin a robot until SIGINT or SIGTERM; return the exit status of the process."""
    # rclpy's own handlers end the context under the cameras' feet
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # of rcl, for arguments that it cannot parse
        print(f"cannot start: {error}", file=sys.stderr, flush=True)
        return 2
    stop = StopSignals()
    executor = SingleThreadedExecutor()
    node: RobotInterface | None = None
    try:
        node = make_node()
        executor.add_node(node)
        while not stop.requested:
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
