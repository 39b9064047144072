"""Quality of service of recorded publishers: upstream's builder, and its YAML of bag version 9."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import yaml
from rclpy.duration import Duration as RclpyDuration
from rclpy.qos import QoSProfile

from rosbag2_py._bag_yaml import DAMAGED, load

NANOSECONDS = 1_000_000_000
INFINITE_NS = 2**63 - 1
# What Cyclone DDS, Fast DDS and Connext called infinite in Foxy. Source: rosbag2's qos.cpp.
_FOXY_INFINITE = {(9223372036, 854775807), (2147483647, 4294967295), (2147483647, 2147483647)}


class History(IntEnum):
    """Values of rmw_qos_history_policy_t."""

    system_default = 0
    keep_last = 1
    keep_all = 2
    unknown = 3


class Reliability(IntEnum):
    """Values of rmw_qos_reliability_policy_t."""

    system_default = 0
    reliable = 1
    best_effort = 2
    unknown = 3


class Durability(IntEnum):
    """Values of rmw_qos_durability_policy_t."""

    system_default = 0
    transient_local = 1
    volatile = 2
    unknown = 3


class Liveliness(IntEnum):
    """Values of rmw_qos_liveliness_policy_t."""

    system_default = 0
    automatic = 1
    manual_by_topic = 3
    unknown = 4


class Duration:
    """A duration as `QoS` takes it."""

    def __init__(self, seconds: int, nanoseconds: int) -> None:
        self.nanoseconds = seconds * NANOSECONDS + nanoseconds


class QoS:
    """A profile with upstream's chain of setters: ``QoS(10).reliable().transient_local()``."""

    def __init__(self, history_depth: int) -> None:
        self._depth = history_depth
        self._history = History.keep_last
        self._reliability = Reliability.reliable
        self._durability = Durability.volatile
        self._liveliness = Liveliness.system_default
        self._deadline_ns = 0
        self._lifespan_ns = 0
        self._lease_ns = 0
        self._avoid = False

    @classmethod
    def from_profile(cls, profile: QoSProfile) -> QoS:
        """Take over a profile of rclpy (not in upstream, which has no way at all)."""
        qos = cls(profile.depth)
        qos.history(profile.history).reliability(profile.reliability)
        qos.durability(profile.durability).liveliness(profile.liveliness)
        qos._deadline_ns = profile.deadline.nanoseconds
        qos._lifespan_ns = profile.lifespan.nanoseconds
        qos._lease_ns = profile.liveliness_lease_duration.nanoseconds
        return qos.avoid_ros_namespace_conventions(profile.avoid_ros_namespace_conventions)

    def keep_last(self, depth: int) -> QoS:
        """Keep so many messages."""
        self._history, self._depth = History.keep_last, depth
        return self

    def keep_all(self) -> QoS:
        """Keep all messages."""
        return self.history(History.keep_all)

    def history(self, policy: int) -> QoS:
        """Set the history policy."""
        self._history = History(int(policy))
        return self

    def reliable(self) -> QoS:
        """Ask for every message."""
        return self.reliability(Reliability.reliable)

    def best_effort(self) -> QoS:
        """Accept losses."""
        return self.reliability(Reliability.best_effort)

    def reliability(self, policy: int) -> QoS:
        """Set the reliability policy."""
        self._reliability = Reliability(int(policy))
        return self

    def durability_volatile(self) -> QoS:
        """Late subscribers get nothing old."""
        return self.durability(Durability.volatile)

    def transient_local(self) -> QoS:
        """Late subscribers get the last messages."""
        return self.durability(Durability.transient_local)

    def durability(self, policy: int) -> QoS:
        """Set the durability policy."""
        self._durability = Durability(int(policy))
        return self

    def liveliness(self, policy: int) -> QoS:
        """Set the liveliness policy."""
        self._liveliness = Liveliness(int(policy))
        return self

    def deadline(self, duration: Duration) -> QoS:
        """Set the longest time between messages."""
        self._deadline_ns = duration.nanoseconds
        return self

    def lifespan(self, duration: Duration) -> QoS:
        """Set how long a message is good."""
        self._lifespan_ns = duration.nanoseconds
        return self

    def liveliness_lease_duration(self, duration: Duration) -> QoS:
        """Set how long a silent publisher counts as alive."""
        self._lease_ns = duration.nanoseconds
        return self

    def avoid_ros_namespace_conventions(self, avoid: bool) -> QoS:
        """Set whether the topic's name goes to the middleware unchanged."""
        self._avoid = avoid
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping that bags of version 9 hold."""
        return {
            "history": self._history.name,
            "depth": self._depth,
            "reliability": self._reliability.name,
            "durability": self._durability.name,
            "deadline": _time(self._deadline_ns),
            "lifespan": _time(self._lifespan_ns),
            "liveliness": self._liveliness.name,
            "liveliness_lease_duration": _time(self._lease_ns),
            "avoid_ros_namespace_conventions": self._avoid,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> QoS:
        """Read a mapping of any bag version: policies are names since 9, numbers before."""
        qos = cls(int(values["depth"]))
        qos._history = _policy(History, values["history"])
        qos._reliability = _policy(Reliability, values["reliability"])
        qos._durability = _policy(Durability, values["durability"])
        qos._liveliness = _policy(Liveliness, values["liveliness"])
        qos._deadline_ns = _nanoseconds(values["deadline"])
        qos._lifespan_ns = _nanoseconds(values["lifespan"])
        qos._lease_ns = _nanoseconds(values["liveliness_lease_duration"])
        return qos.avoid_ros_namespace_conventions(bool(values["avoid_ros_namespace_conventions"]))


def _policy(kind: type[Any], value: str | int) -> Any:
    try:
        return kind(value) if isinstance(value, int) else kind[value]
    except (KeyError, ValueError):
        raise RuntimeError(
            f"unknown {kind.__name__.lower()} policy {value!r}; "
            f"allowed: {', '.join(kind.__members__)}"
        ) from None


def _time(nanoseconds: int) -> dict[str, int]:
    sec, nsec = divmod(nanoseconds, NANOSECONDS)
    return {"sec": sec, "nsec": nsec}


def _nanoseconds(value: Mapping[str, int]) -> int:
    sec, nsec = int(value["sec"]), int(value["nsec"])
    if (sec, nsec) in _FOXY_INFINITE:
        return INFINITE_NS
    return min(sec * NANOSECONDS + nsec, INFINITE_NS)


def qos_to_yaml(profiles: Sequence[QoS]) -> str:
    """Return the text that storages keep with a topic."""
    return yaml.safe_dump([qos.to_dict() for qos in profiles], sort_keys=False)


def to_rclcpp_qos_vector(text: str, version: int) -> list[QoS]:
    """Read the text that storages keep with a topic; it tells its own version."""
    try:
        return [QoS.from_dict(values) for values in load(text) or []]
    except DAMAGED as error:
        raise RuntimeError(f"damaged QoS profiles of a topic: {error!r}") from error


def convert_rclcpp_qos_to_rclpy_qos(qos: QoS) -> QoSProfile:
    """Return the profile of rclpy."""
    return QoSProfile(
        history=int(qos._history),
        depth=qos._depth,
        reliability=int(qos._reliability),
        durability=int(qos._durability),
        liveliness=int(qos._liveliness),
        deadline=RclpyDuration(nanoseconds=qos._deadline_ns),
        lifespan=RclpyDuration(nanoseconds=qos._lifespan_ns),
        liveliness_lease_duration=RclpyDuration(nanoseconds=qos._lease_ns),
        avoid_ros_namespace_conventions=qos._avoid,
    )
