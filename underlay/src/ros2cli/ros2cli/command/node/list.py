"""Output a list of available nodes"""

from __future__ import annotations

import argparse
import sys

from ros2cli.graph import add_node_arguments, node_names, open_node


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_node_arguments(parser)
    parser.add_argument(
        "-a", "--all", action="store_true", help="Display all nodes even hidden ones"
    )
    parser.add_argument(
        "-c",
        "--count-nodes",
        action="store_true",
        help="Only display the number of nodes discovered",
    )


def main(args: argparse.Namespace) -> int:
    with open_node(args) as node:
        names = sorted(n.full_name for n in node_names(node, args.all))
    if args.count_nodes:
        print(len(names))
        return 0
    if len(set(names)) < len(names):
        print(
            "WARNING: Be aware that there are nodes in the graph that share an exact name, "
            "which can have unintended side effects.",
            file=sys.stderr,
        )
    for name in names:
        print(name)
    return 0
