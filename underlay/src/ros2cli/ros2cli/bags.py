"""What the verbs of ``ros2 bag`` share: which bag, and quality of service by topic from YAML."""

from __future__ import annotations

import argparse
import os
from typing import Any

import yaml
from rclpy.duration import Duration
from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSLivelinessPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
)

from rosbag2_py import get_registered_readers

_POLICIES = {
    "history": QoSHistoryPolicy,
    "reliability": QoSReliabilityPolicy,
    "durability": QoSDurabilityPolicy,
    "liveliness": QoSLivelinessPolicy,
}
_DURATIONS = ("deadline", "lifespan", "liveliness_lease_duration")
_VALUES = ("depth", "avoid_ros_namespace_conventions")
LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")


def existing_path(text: str) -> str:
    """Accept the path of something that exists."""
    if not os.path.exists(text):
        raise argparse.ArgumentTypeError(f"Bag path '{text}' does not exist!")
    return text


def add_reader_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a verb that reads a bag."""
    parser.add_argument("bag_path", type=existing_path, help="Bag to open")
    parser.add_argument(
        "-s",
        "--storage",
        default="",
        choices=sorted(get_registered_readers()),
        help="accepted for compatibility: the storage is found by the file's name",
    )


def add_qos_overrides_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that `read_qos_overrides` reads."""
    parser.add_argument(
        "--qos-profile-overrides-path",
        type=argparse.FileType("r"),
        help="Path to a yaml file defining overrides of the QoS profile for specific topics.",
    )


def read_qos_overrides(args: argparse.Namespace) -> dict[str, QoSProfile]:
    """Return the profiles by topic; raise RuntimeError where the file says no profile."""
    if args.qos_profile_overrides_path is None:
        return {}
    with args.qos_profile_overrides_path as file:
        try:
            return {topic: _profile(keys) for topic, keys in yaml.safe_load(file).items()}
        except Exception as error:  # rclpy raises what it likes on a profile that is none
            raise RuntimeError(f"{file.name}: no QoS profiles: {error}") from error


def _profile(keys: dict[str, Any]) -> QoSProfile:
    values: dict[str, Any] = {}
    for key, value in keys.items():
        if key in _DURATIONS:
            values[key] = Duration(seconds=value["sec"], nanoseconds=value["nsec"])
        elif key in _POLICIES:
            values[key] = _POLICIES[key].get_from_short_key(value)
        elif key in _VALUES:
            values[key] = value
        else:
            allowed = ", ".join([*_POLICIES, *_VALUES, *_DURATIONS])
            raise ValueError(f"unexpected key {key!r}; allowed: {allowed}")
    return QoSProfile(**values)
