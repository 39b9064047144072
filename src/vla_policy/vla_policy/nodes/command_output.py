"""The command topics of a contract, and ``~/commanded``, which says what was really sent."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectoryPoint

from vla_core.codecs import JOINT_TRAJECTORY, encode_vector
from vla_core.contract import ActionGroup, Contract
from vla_core.types import FloatArray
from vla_policy.nodes.messages import message_class

RELIABLE = QoSProfile(depth=1)


class CommandOutput:
    """Publishes one command vector on all topics of the contract's action groups.

    Raises:
        CodecError: a message type of the contract is not installed.
    """

    def __init__(self, node: Node, contract: Contract) -> None:
        self._node = node
        self._names = list(contract.action_names)
        self._period_ns = round(1e9 / contract.control_rate_hz)
        self._groups = [self._connect(group) for group in contract.action]
        self._commanded = node.create_publisher(JointState, "~/commanded", RELIABLE)

    def _connect(self, group: ActionGroup) -> tuple[ActionGroup, Any, Any]:
        cls = message_class(group.type)
        return group, cls, self._node.create_publisher(cls, group.topic, RELIABLE)

    def publish(self, command: FloatArray) -> None:
        """Send a command, (A,) in contract order and units."""
        now = self._node.get_clock().now()
        begin = 0
        for group, cls, publisher in self._groups:
            end = begin + len(group.joints)
            message = encode_vector(
                cls,
                type_name=group.type,
                field=group.field,
                message_names=tuple(group.joints.values()),
                values=command[begin:end],
                # A trajectory controller takes 0 as "now"; one period is its time to get there.
                stamp_ns=0 if group.type == JOINT_TRAJECTORY else now.nanoseconds,
                time_from_start_ns=self._period_ns,
                point_class=JointTrajectoryPoint,
                where=group.topic,
            )
            publisher.publish(message)
            begin = end
        commanded = JointState(name=self._names, position=command.tolist())
        commanded.header.stamp = now.to_msg()
        self._commanded.publish(commanded)

    def company(self, tolerated: Callable[[], Container[str]]) -> str | None:
        """Who else commands this robot, or None. Two streams of commands would tear it apart.

        Args:
            tolerated: Gives full names of nodes that may have publishers on command topics.
        """
        for group, _, _ in self._groups:
            if self._node.count_publishers(group.topic) > 1:
                infos = self._node.get_publishers_info_by_topic(group.topic)
                names = [f"{info.node_namespace.rstrip('/')}/{info.node_name}" for info in infos]
                known = tolerated()
                if sum(name not in known for name in names) > 1:
                    found = ", ".join(sorted(names))
                    return f"more than one publisher on {group.topic}: {found}"
        return None

    def destroy(self) -> None:
        for publisher in (self._commanded, *(publisher for _, _, publisher in self._groups)):
            self._node.destroy_publisher(publisher)
