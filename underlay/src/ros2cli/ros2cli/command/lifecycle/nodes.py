"""Output a list of nodes with lifecycle"""

from __future__ import annotations

import argparse

from ros2cli.graph import add_node_arguments, lifecycle_nodes, open_node


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
        names = lifecycle_nodes(node, args.all)
    for line in [str(len(names))] if args.count_nodes else names:
        print(line)
    return 0
