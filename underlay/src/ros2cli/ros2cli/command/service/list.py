"""Output a list of available services"""

from __future__ import annotations

import argparse

from ros2cli.graph import add_node_arguments, open_node, visible


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_node_arguments(parser)
    parser.add_argument(
        "-t", "--show-types", action="store_true", help="Additionally show the service type"
    )
    parser.add_argument(
        "-c",
        "--count-services",
        action="store_true",
        help="Only display the number of services discovered",
    )
    parser.add_argument(
        "--include-hidden-services",
        action="store_true",
        default=argparse.SUPPRESS,  # keeps the value given before the verb
        help="Consider hidden services as well",
    )


def main(args: argparse.Namespace) -> int:
    with open_node(args) as node:
        services = visible(node.get_service_names_and_types(), args.include_hidden_services)
    if args.count_services:
        print(len(services))
        return 0
    for name, types in services:
        print(f"{name} [{', '.join(types)}]" if args.show_types else name)
    return 0
