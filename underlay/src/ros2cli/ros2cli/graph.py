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
from rclpy.exceptions import NameValidationException
from rclpy.executors import ExternalShutdownException
from rclpy.node import HIDDEN_NODE_PREFIX, Node
from rclpy.parameter import Parameter
from rclpy.topic_or_service_is_hidden import topic_or_service_is_hidden

DEFAULT_SPIN_TIME_S = 1.0  # upstream: 0.5 s, but its daemon has listened before
NAME_TIMEOUT_S = 1.0
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
def open_node(
    args: argparse.Namespace, name: str | None = None, *, discover: bool = True
) -> Iterator[Node]:
    """Yield a node that has listened for ``--spin-time``.

    A verb that waits for one name needs no `discover`. A shutdown from outside (SIGTERM) ends the
    process with that signal's number, as upstream does.
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
        if discover:
            spin_until(node, lambda: False, getattr(args, "spin_time", DEFAULT_SPIN_TIME_S))
        yield node
    except NameValidationException as error:
        raise RuntimeError(str(error)) from None
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


def require_node(node: Node, args: argparse.Namespace) -> str:
    """Return the full name of ``node_name``; raise RuntimeError when no such node appears."""
    return _require(args, node, lambda hidden: [n.full_name for n in node_names(node, hidden)])


def require_lifecycle_node(node: Node, args: argparse.Namespace) -> str:
    """Return the full name of ``node_name`` as `require_node` does, if it has a lifecycle."""
    return _require(args, node, lambda hidden: lifecycle_nodes(node, hidden))


def _require(args: argparse.Namespace, node: Node, names: Callable[[bool], list[str]]) -> str:
    full_name = absolute_name(args.node_name)
    timeout_s = args.spin_time + getattr(args, "timeout", NAME_TIMEOUT_S)
    if not spin_until(node, lambda: full_name in names(args.include_hidden_nodes), timeout_s):
        raise RuntimeError("Node not found")
    return full_name


def find_types(node: Node, list_all: Callable[[], NamesAndTypes], name: str) -> list[str]:
    """Return the types of a topic or service, waiting a little for it; none when it is absent."""
    spin_until(node, lambda: name in dict(list_all()), NAME_TIMEOUT_S)
    return dict(list_all()).get(name, [])


def visible(names_and_types: Iterable[tuple[str, list[str]]], hidden: bool) -> NamesAndTypes:
    """Return the topics or services that are not hidden, or all of them."""
    return [(n, t) for n, t in names_and_types if hidden or not topic_or_service_is_hidden(n)]
