"""A robot in the hands of a test: it follows each command at once, and can be made to lie."""

from __future__ import annotations

import array
import itertools
import time
from typing import Any

from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import Image, JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from vla_core.contract import Camera, Stream, load_contract
from vla_system_tests.system import SMALL_ROBOT, System


class StandInRobot:
    """Publishes the small robot's streams and cameras from the watcher's own node.

    Attributes:
        offsets_s: Added to stamps, by stream or camera.
        encoding, image_size: What the images are; size None: the contract's.
        renamed: Joints that go by another name in its messages.
        silent: Streams and cameras that have stopped.
        frozen: Cameras and streams that repeat their last message.
        every: Of how many messages one arrives, by stream or camera.
        said: What joints are said to be where they are not, by contract name.
        pose: Where it is, by contract name.
        clock_offset_s: Its clock's distance to the system's.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self.contract = load_contract(SMALL_ROBOT)
        self.offsets_s: dict[str, float] = {}
        self.encoding = "rgb8"
        self.image_size: tuple[int, int] | None = None
        self.renamed: dict[str, str] = {}
        self.silent: set[str] = set()
        self.frozen: set[str] = set()
        self.every: dict[str, int] = {}
        self.said: dict[str, float] = {}
        self.clock_offset_s = 0.0
        self.pose = dict.fromkeys(self.contract.measured_names, 0.0)
        for stream in self.contract.streams:
            self._add(stream, JointState, QoSProfile(depth=1), self._joint_state)
        for camera in self.contract.cameras:
            self._add(camera, Image, qos_profile_sensor_data, self._image)
        self._chunks = system.node.create_publisher(JointTrajectory, "/action_chunk", 1)

    def _add(
        self, source: Stream | Camera, message_class: Any, qos: QoSProfile, make: Any
    ) -> None:
        publisher = self._system.node.create_publisher(message_class, source.topic, qos)

        message, counter = message_class(), itertools.count()

        def tick() -> None:
            nonlocal message
            if source.name in self.silent or next(counter) % self.every.get(source.name, 1):
                return
            if source.name not in self.frozen:
                message = make(source)
                _stamp(message, self._now_ns() + self._offset_ns(source))
            publisher.publish(message)

        self._system.node.create_timer(1 / source.rate_hz, tick)

    def _now_ns(self) -> int:
        return time.time_ns() + round(self.clock_offset_s * 1e9)

    def _offset_ns(self, source: Stream | Camera) -> int:
        return round(self.offsets_s.get(source.name, 0.0) * 1e9)

    def _joint_state(self, stream: Stream) -> JointState:
        if self._system.commanded.messages:
            last = self._system.commanded.messages[-1]
            self.pose.update(zip(last.name, last.position, strict=True))
        return JointState(
            name=[self.renamed.get(name, name) for name in stream.joints.values()],
            position=[self.said.get(name, self.pose[name]) for name in stream.joints],
        )

    def _image(self, camera: Camera) -> Image:
        width, height = self.image_size or (camera.width, camera.height)
        message = Image(width=width, height=height, step=3 * width, encoding=self.encoding)
        message.data = array.array("B", bytes(3 * width * height))
        return message

    def chunk(
        self, *, first: float = 0.0, step: float = 0.01, points: int = 40
    ) -> JointTrajectory:
        """A sound chunk from now on; joint 1 from its pose + first, by step a point."""
        message = JointTrajectory(joint_names=list(self.contract.action_names))
        _stamp(message, self._now_ns())
        for k in range(points):
            values = [self.pose[name] for name in self.contract.action_names]
            values[0] += first + k * step
            point = JointTrajectoryPoint(positions=values)
            due_ns = round(k * 1e9 / self.contract.policy_rate_hz)
            point.time_from_start.sec, point.time_from_start.nanosec = divmod(due_ns, 10**9)
            message.points.append(point)
        return message

    def send(self, chunk: JointTrajectory) -> None:
        """Publish a chunk, as a policy would."""
        self._system.wait(
            lambda: self._chunks.get_subscription_count() >= 2, "executor and watcher hear chunks"
        )
        self._chunks.publish(chunk)


def shift_stamp(message: Any, seconds: float) -> None:
    """Move a message's stamp in time."""
    stamp = message.header.stamp
    _stamp(message, stamp.sec * 10**9 + stamp.nanosec + round(seconds * 1e9))


def _stamp(message: Any, stamp_ns: int) -> None:
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
