"""Output a list of available parameters"""

from __future__ import annotations

import argparse
import re
import sys

from rclpy.node import Node

from ros2cli.graph import add_node_arguments, node_names, open_node, require_node
from ros2cli.parameters import (
    TYPE_NAMES,
    add_hidden_nodes_argument,
    describe_parameters,
    list_parameters,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_node_arguments(parser)
    parser.add_argument("node_name", nargs="?", help="Name of the ROS node")
    parser.add_argument("--filter", help="Show only parameters that match this regular expression")
    add_hidden_nodes_argument(parser)
    parser.add_argument(
        "--param-prefixes",
        nargs="+",
        default=[],
        help="Only list parameters with the provided prefixes",
    )
    parser.add_argument(
        "--param-type", action="store_true", help="Print parameter types with parameter names"
    )


def main(args: argparse.Namespace) -> int:
    with open_node(args, discover=args.node_name is None) as node:
        if args.node_name:
            return _print_node(node, require_node(node, args), args)
        for name in sorted(node_names(node, args.include_hidden_nodes)):
            try:
                _print_node(node, name.full_name, args)
            except RuntimeError as error:  # a node without parameter services is no failure
                print(error, file=sys.stderr)
    return 0


def _print_node(node: Node, of: str, args: argparse.Namespace) -> int:
    names = list_parameters(node, of, args.param_prefixes)
    names = [name for name in names if args.filter is None or re.match(args.filter, name)]
    if names and not args.node_name:
        print(f"{of}:")
    types = [""] * len(names)
    if args.param_type:
        descriptors = describe_parameters(node, of, names)
        types = [f" (type: {TYPE_NAMES[descriptor.type]})" for descriptor in descriptors]
    for name, kind in zip(names, types, strict=True):
        print(f"  {name}{kind}")
    return 0
