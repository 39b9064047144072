"""Get lifecycle state for one or more nodes"""

from __future__ import annotations

import argparse
import sys

from lifecycle_msgs.srv import GetState
from rclpy.node import Node

from ros2cli.calls import call
from ros2cli.graph import add_node_arguments, lifecycle_nodes, open_node, require_lifecycle_node
from ros2cli.parameters import add_hidden_nodes_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_node_arguments(parser)
    parser.add_argument("node_name", nargs="?", help="Name of the ROS node; without it all nodes")
    add_hidden_nodes_argument(parser)


def main(args: argparse.Namespace) -> int:
    with open_node(args, discover=args.node_name is None) as node:
        if args.node_name:
            print(_state(node, require_lifecycle_node(node, args)))
            return 0
        for name in lifecycle_nodes(node, args.include_hidden_nodes):
            try:
                print(f"{name}: {_state(node, name)}")
            except RuntimeError as error:  # one dead node must not hide the others
                print(error, file=sys.stderr)
    return 0


def _state(node: Node, name: str) -> str:
    state = call(node, GetState, f"{name}/get_state", GetState.Request()).current_state
    return f"{state.label} [{state.id}]"
