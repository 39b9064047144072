"""The ``--qos-*`` options, and the profile that they or the publishers of a topic ask for."""

from __future__ import annotations

import argparse
import copy

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSLivelinessPolicy,
    QoSPresetProfiles,
    QoSProfile,
    QoSReliabilityPolicy,
)

_POLICIES = {
    "history": QoSHistoryPolicy,
    "reliability": QoSReliabilityPolicy,
    "durability": QoSDurabilityPolicy,
    "liveliness": QoSLivelinessPolicy,
}


def add_qos_arguments(parser: argparse.ArgumentParser, default_profile: str) -> None:
    """Add the preset and one option per policy that overrides it."""
    parser.add_argument(
        "--qos-profile",
        choices=QoSPresetProfiles.short_keys(),
        default=default_profile,
        help="quality of service preset (default: %(default)s)",
    )
    parser.add_argument("--qos-depth", metavar="N", type=int, help="queue size, over the preset's")
    for name, policy in _POLICIES.items():
        parser.add_argument(
            f"--qos-{name}", choices=policy.short_keys(), help=f"{name}, over the preset's"
        )
    parser.add_argument(
        "--qos-liveliness-lease-duration-seconds",
        metavar="S",
        type=float,
        help="liveliness lease duration in seconds, over the preset's",
    )


def requested_profile(args: argparse.Namespace) -> QoSProfile:
    """Return the preset with the overrides of the command line."""
    profile = copy.copy(QoSPresetProfiles.get_from_short_key(args.qos_profile))
    for name, policy in _POLICIES.items():
        if (key := getattr(args, f"qos_{name}")) is not None:
            setattr(profile, name, policy.get_from_short_key(key))
    if args.qos_liveliness_lease_duration_seconds:
        profile.liveliness_lease_duration = Duration(
            seconds=args.qos_liveliness_lease_duration_seconds
        )
    if args.qos_depth:
        profile.depth = args.qos_depth
    elif profile.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL and profile.depth == 0:
        profile.depth = 1
    return profile


def matching_profile(node: Node, topic: str, args: argparse.Namespace) -> QoSProfile:
    """Return the requested profile, or, when no policy was asked for, one that every publisher of
    the topic can serve: the stronger policy where all offer it, else the weaker one."""
    profile = requested_profile(args)
    policies = [*_POLICIES, "depth", "liveliness_lease_duration_seconds"]
    publishers = node.get_publishers_info_by_topic(topic)
    if not publishers or any(getattr(args, f"qos_{name}") is not None for name in policies):
        return profile
    for name, strong, weak in (
        ("reliability", QoSReliabilityPolicy.RELIABLE, QoSReliabilityPolicy.BEST_EFFORT),
        ("durability", QoSDurabilityPolicy.TRANSIENT_LOCAL, QoSDurabilityPolicy.VOLATILE),
    ):
        offered = [getattr(info.qos_profile, name) == strong for info in publishers]
        if any(offered) and not all(offered):
            policy = f"QoS{type(strong).__name__}"
            print(
                f"Some, but not all, publishers are offering {policy}.{strong.name}. Falling back "
                f"to {policy}.{weak.name} as it will connect to all publishers"
            )
        setattr(profile, name, strong if all(offered) else weak)
    return profile
