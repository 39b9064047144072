"""Output information about a node"""

from __future__ import annotations

import argparse
import sys

from rclpy.action import (
    get_action_client_names_and_types_by_node,
    get_action_server_names_and_types_by_node,
)
from rclpy.node import Node

from ros2cli.graph import (
    NAME_TIMEOUT_S,
    NamesAndTypes,
    NodeName,
    add_node_arguments,
    node_names,
    open_node,
    spin_until,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_node_arguments(parser)
    parser.add_argument("node_name", help="Node name to request information")
    parser.add_argument(
        "--include-hidden",
        action="store_true",
        help="Display hidden topics, services, and actions as well",
    )


def main(args: argparse.Namespace) -> int:
    with open_node(args) as node:

        def matches() -> list[NodeName]:
            nodes = node_names(node, args.include_hidden)
            return [n for n in nodes if n.full_name == args.node_name]

        spin_until(node, lambda: bool(matches()), NAME_TIMEOUT_S)
        found = matches()
        if not found:
            raise RuntimeError(f"Unable to find node '{args.node_name}'")
        if len(found) > 1:
            print(
                f"There are {len(found)} nodes in the graph with the exact name "
                f'"{args.node_name}". You are seeing information about only one of them.',
                file=sys.stderr,
            )
        print(args.node_name)
        for title, names_and_types in _endpoints(node, found[0]):
            print(f"  {title}:")
            shown = [
                f"    {name}: {', '.join(types)}"
                for name, types in names_and_types
                if args.include_hidden or "/_" not in f"/{name}"
            ]
            print(*shown, sep="\n")
    return 0


def _endpoints(node: Node, of: NodeName) -> list[tuple[str, NamesAndTypes]]:
    who = (of.name, of.namespace)
    return [
        ("Subscribers", node.get_subscriber_names_and_types_by_node(*who)),
        ("Publishers", node.get_publisher_names_and_types_by_node(*who)),
        ("Service Servers", node.get_service_names_and_types_by_node(*who)),
        ("Service Clients", node.get_client_names_and_types_by_node(*who)),
        ("Action Servers", get_action_server_names_and_types_by_node(node, *who)),
        ("Action Clients", get_action_client_names_and_types_by_node(node, *who)),
    ]
