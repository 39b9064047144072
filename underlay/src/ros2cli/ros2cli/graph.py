"""The command's own hidden node, and what it sees of the ROS graph."""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import HIDDEN_NODE_PREFIX, Node
from rclpy.parameter import Parameter
from rclpy.topic_or_service_is_hidden import topic_or_service_is_hidden

DEFAULT_SPIN_TIME_S = 0.5
NODE_NAME_PREFIX = f"{HIDDEN_NODE_PREFIX}ros2cli"

NamesAndTypes = list[tuple[str, list[str]]]


class NodeName(NamedTuple):
    """A node's name, its namespace, and both joined; ordered as upstream orders nodes."""

    name: str
    namespace: str
    full_name: str


def add_direct_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a verb that always uses a node of its own."""
    parser.add_argument(
        "--spin-time",
        type=float,
        default=DEFAULT_SPIN_TIME_S,
        help="seconds to wait for discovery (default: %(default)s)",
    )
    parser.add_argument(
        "-s", "--use-sim-time", action="store_true", help="use the time of the /clock topic"
    )


def add_node_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a verb that upstream may answer from its daemon."""
    add_direct_arguments(parser)
    parser.add_argument(
        "--no-daemon",
        action="store_true",
        help="accepted for compatibility: no daemon exists here",
    )


@contextmanager
def open_node(args: argparse.Namespace, name: str | None = None) -> Iterator[Node]:
    """Yield a node that has listened for ``--spin-time``; a verb without that option waits 0.5 s.

    A shutdown from outside (SIGTERM) ends the process with that signal's number, as upstream does.
    """
    rclpy.init(args=[])
    try:
        node = rclpy.create_node(
            name or f"{NODE_NAME_PREFIX}_{os.getpid()}",
            start_parameter_services=False,
            parameter_overrides=[
                Parameter("use_sim_time", value=getattr(args, "use_sim_time", False))
            ],
        )
        spin_until(node, lambda: False, getattr(args, "spin_time", DEFAULT_SPIN_TIME_S))
        yield node
    except ExternalShutdownException:
        raise SystemExit(int(signal.SIGTERM)) from None
    finally:
        rclpy.try_shutdown()


def spin_until(node: Node, predicate: Callable[[], bool], timeout_s: float) -> bool:
    """Spin until the predicate holds or the time is over; negative means no limit."""
    deadline = time.monotonic() + (timeout_s if timeout_s >= 0 else float("inf"))
    while not predicate():
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return False
        rclpy.spin_once(node, timeout_sec=min(0.1, left_s))
    return True


def absolute_name(name: str) -> str:
    """Return the name with a leading slash."""
    return name if name.startswith("/") else f"/{name}"


def node_names(node: Node, include_hidden: bool = False) -> list[NodeName]:
    """Return the nodes that are up, in the order of discovery."""
    return [
        NodeName(name, namespace, f"{namespace.rstrip('/')}/{name}")
        for name, namespace in node.get_node_names_and_namespaces()
        if include_hidden or not name.startswith(HIDDEN_NODE_PREFIX)
    ]


def require_node(node: Node, name: str, include_hidden: bool, timeout_s: float = 1.0) -> NodeName:
    """Return the named node, waiting for it; raise RuntimeError when it does not appear."""
    full_name = absolute_name(name)

    def found() -> list[NodeName]:
        return [n for n in node_names(node, include_hidden) if n.full_name == full_name]

    if not spin_until(node, lambda: bool(found()), timeout_s):
        raise RuntimeError("Node not found")
    return found()[0]


def lifecycle_nodes(node: Node, include_hidden: bool = False) -> list[str]:
    """Return the sorted full names of the nodes that have a lifecycle."""
    services = dict(node.get_service_names_and_types())
    return sorted(
        {
            n.full_name
            for n in node_names(node, include_hidden)
            if "lifecycle_msgs/srv/GetState" in services.get(f"{n.full_name}/get_state", [])
        }
    )


def require_lifecycle_node(node: Node, name: str, include_hidden: bool) -> str:
    """Return the full name of a lifecycle node; raise RuntimeError when it does not appear."""
    full_name = absolute_name(name)
    if not spin_until(node, lambda: full_name in lifecycle_nodes(node, include_hidden), 1.0):
        raise RuntimeError("Node not found")
    return full_name


def visible(names_and_types: Iterable[tuple[str, list[str]]], hidden: bool) -> NamesAndTypes:
    """Return the topics or services that are not hidden, or all of them."""
    return [(n, t) for n, t in names_and_types if hidden or not topic_or_service_is_hidden(n)]
