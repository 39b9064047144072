"""Output a list of available transitions"""

from __future__ import annotations

import argparse

from lifecycle_msgs.srv import GetAvailableTransitions

from ros2cli.calls import call
from ros2cli.graph import add_node_arguments, open_node, require_lifecycle_node
from ros2cli.parameters import add_hidden_nodes_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_node_arguments(parser)
    parser.add_argument("node_name", help="Name of the ROS node")
    add_hidden_nodes_argument(parser)
    parser.add_argument(
        "-a", "--all", action="store_true", help="Display all existing transitions"
    )


def main(args: argparse.Namespace) -> int:
    service = "get_transition_graph" if args.all else "get_available_transitions"
    with open_node(args, discover=False) as node:
        name = require_lifecycle_node(node, args)
        request = GetAvailableTransitions.Request()
        response = call(node, GetAvailableTransitions, f"{name}/{service}", request)
    for each in response.available_transitions:
        print(f"- {each.transition.label} [{each.transition.id}]")
        print(f"\tStart: {each.start_state.label}\n\tGoal: {each.goal_state.label}")
    return 0
