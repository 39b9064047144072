"""Trigger lifecycle state transition"""

from __future__ import annotations

import argparse
import sys

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetAvailableTransitions
from rclpy.node import Node

from ros2cli.calls import call
from ros2cli.graph import add_node_arguments, open_node, require_lifecycle_node
from ros2cli.parameters import add_hidden_nodes_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_node_arguments(parser)
    parser.add_argument("node_name", help="Name of the ROS node")
    add_hidden_nodes_argument(parser)
    parser.add_argument("transition", help="The lifecycle transition, by label or id")


def main(args: argparse.Namespace) -> int:
    with open_node(args, discover=False) as node:
        name = require_lifecycle_node(node, args)
        request = ChangeState.Request(transition=_find(node, name, args.transition))
        success = call(node, ChangeState, f"{name}/change_state", request).success
    if success:
        print("Transitioning successful")
    else:  # upstream's exit code is 0 here too
        print("Transitioning failed", file=sys.stderr)
    return 0


def _find(node: Node, name: str, wanted: str) -> Transition:
    request = GetAvailableTransitions.Request()
    response = call(node, GetAvailableTransitions, f"{name}/get_available_transitions", request)
    available = [each.transition for each in response.available_transitions]
    for key in (lambda transition: transition.label, lambda transition: str(transition.id)):
        for transition in available:
            if key(transition) == wanted:
                return transition
    raise RuntimeError(
        "Unknown transition requested, available ones are:"
        + "".join(f"\n- {each.label} [{each.id}]" for each in available)
    )
