"""Measures the topics of a contract for a while, as the nodes would see them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import (
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)
from rclpy.serialization import deserialize_message

from vla_core.contract import ActionGroup, Camera, Contract, Stream
from vla_core.errors import CodecError
from vla_core.image_codecs import DEPTH_ENCODINGS
from vla_core.observation import read_camera, read_depth, read_stream
from vla_core.preflight.measured import (
    Arrival,
    CommandMeasured,
    Endpoint,
    Measured,
    Pixels,
    SourceMeasured,
)
from vla_core.stamps import peek_stamp_ns
from vla_policy.nodes.command_output import RELIABLE
from vla_policy.nodes.messages import LossCounter, message_class

PICTURES = 6  # kept of each camera
SETTLE_S = 0.5  # what had queued up before is taken, and discovery gets to the end
STREAM_QOS = QoSProfile(depth=200, reliability=ReliabilityPolicy.BEST_EFFORT)
CAMERA_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


class TopicSurvey:
    """Subscriptions to all streams and cameras; messages stay serialised while time is measured.

    Args:
        node: Alone on the executor that this class spins.
        contract: The robot.
    """

    def __init__(self, node: Node, contract: Contract) -> None:
        self._node, self._contract = node, contract
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        sources: tuple[Stream | Camera, ...] = (*contract.streams, *contract.cameras)
        self._listeners = {source.name: _Listener(node, source) for source in sources}

    def wait(self, timeout_s: float) -> None:
        """Until a message has come on every topic, or the time is over."""
        deadline_s = time.monotonic() + timeout_s
        listeners = self._listeners.values()
        while time.monotonic() < deadline_s and not all(one.is_heard for one in listeners):
            self._executor.spin_once(timeout_sec=0.1)
        self._spin(SETTLE_S)

    def measure(self, seconds: float, *, simulated: bool, alone: bool) -> Measured:
        """What the topics carry from now on for so long."""
        for listener in self._listeners.values():
            listener.begin(seconds / PICTURES)
        began_ns = time.time_ns()
        self._spin(seconds)
        ended_ns = time.time_ns()
        return Measured(
            began_ns=began_ns,
            ended_ns=ended_ns,
            sources={name: one.measured() for name, one in self._listeners.items()},
            commands={group.name: self._commanded(group) for group in self._contract.action},
            simulated=simulated,
            alone=alone,
        )

    def _spin(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left_s)

    def _commanded(self, group: ActionGroup) -> CommandMeasured:
        node = self._node
        return CommandMeasured(
            publishers=tuple(map(_endpoint, node.get_publishers_info_by_topic(group.topic))),
            subscribers=tuple(
                _endpoint(info, _mismatch(RELIABLE, info.qos_profile))
                for info in node.get_subscriptions_info_by_topic(group.topic)
            ),
        )


class _Listener:
    """One stream or camera."""

    def __init__(self, node: Node, source: Stream | Camera) -> None:
        self._node, self._source = node, source
        self._error: CodecError | None = None
        self._qos = CAMERA_QOS if isinstance(source, Camera) else STREAM_QOS
        self.begin(0.0)
        try:
            self._class = message_class(source.type)
        except CodecError as error:
            self._error = error
            return
        fields = list(self._class.get_fields_and_field_types().items())
        self._has_header = bool(fields) and fields[0] == ("header", "std_msgs/Header")
        node.create_subscription(self._class, source.topic, self._receive, self._qos, raw=True)

    @property
    def is_heard(self) -> bool:
        """Whether a message has come, or none can."""
        return bool(self._arrivals) or self._error is not None

    def begin(self, picture_every_s: float) -> None:
        """Forget what has come so far."""
        self._arrivals: list[Arrival] = []
        self._kept: list[bytes] = []
        self._losses = LossCounter()
        self._stampless = 0
        self._refusal: CodecError | None = self._error
        self._picture_every_ns = round(picture_every_s * 1e9)
        self._next_picture_ns = 0

    def _receive(self, serialized: bytes, info: Mapping[str, Any]) -> None:
        now_ns = time.time_ns()
        received_ns = info["received_timestamp"] or now_ns  # by DDS, before it had to wait for us
        clock_ns = self._node.get_clock().now().nanoseconds - (now_ns - received_ns)
        self._losses.count(info)
        stamp_ns: int | None = None
        if self._has_header:
            try:
                stamp_ns = peek_stamp_ns(serialized, where=self._source.topic)
            except CodecError as error:  # counted with what cannot be read
                self._stampless, self._refusal = self._stampless + 1, error
        self._arrivals.append(
            Arrival(stamp_ns=stamp_ns, clock_ns=clock_ns, received_ns=received_ns)
        )
        if isinstance(self._source, Stream) or received_ns >= self._next_picture_ns:
            self._kept.append(serialized)
            self._next_picture_ns = received_ns + self._picture_every_ns

    def measured(self) -> SourceMeasured:
        """Decode what was kept. Refused pictures stand for the ones that were not kept."""
        rows: list[Mapping[str, float]] = []
        pictures: list[Pixels] = []
        refused = 0
        for serialized in self._kept:
            try:
                content = _read(self._source, serialized, self._class)
            except CodecError as error:
                refused, self._refusal = refused + 1, error
                continue
            (pictures if isinstance(content, np.ndarray) else rows).append(content)
        all_refused = bool(refused) and refused == len(self._kept)
        infos = self._node.get_publishers_info_by_topic(self._source.topic)
        return SourceMeasured(
            publishers=tuple(_endpoint(i, _mismatch(i.qos_profile, self._qos)) for i in infos),
            elsewhere=() if infos else tuple(self._elsewhere()),
            arrivals=tuple(self._arrivals),
            lost=self._losses.lost if len(infos) < 2 else 0,  # numbers of two cannot be told apart
            refused=len(self._arrivals) if all_refused else max(refused, self._stampless),
            refusal=self._refusal,
            joints={name: np.array([row[name] for row in rows]) for name in rows[0]}
            if rows
            else {},
            pictures=tuple(pictures),
        )

    def _elsewhere(self) -> Iterable[str]:
        for topic, types in self._node.get_topic_names_and_types():
            if self._source.type in types and self._node.count_publishers(topic):
                yield topic


def _read(source: Stream | Camera, serialized: bytes, cls: Any) -> Any:
    """Joint values by name, or pixels.

    Raises:
        CodecError: the message does not hold what the contract says.
    """
    if isinstance(source, Stream):
        return read_stream(source, deserialize_message(serialized, cls))
    read = read_depth if source.encoding in DEPTH_ENCODINGS else read_camera
    return read(source, deserialize_message(serialized, cls))


def _endpoint(info: Any, refusal: str = "") -> Endpoint:
    name = f"{info.node_namespace.rstrip('/')}/{info.node_name}"
    return Endpoint(node=name, type=info.topic_type, refusal=refusal)


def _mismatch(publisher: QoSProfile, subscription: QoSProfile) -> str:
    compatibility, reason = qos_check_compatible(publisher, subscription)
    return str(reason) if compatibility is QoSCompatibility.ERROR else ""
