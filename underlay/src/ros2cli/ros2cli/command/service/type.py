"""Output a service's type"""

from __future__ import annotations

import argparse

from ros2cli.graph import find_types, open_node, visible


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("service_name", help="Name of the ROS service (e.g. '/talker/get_state')")


def main(args: argparse.Namespace) -> int:
    with open_node(args, discover=False) as node:
        types = find_types(node, node.get_service_names_and_types, args.service_name)
    if not visible([(args.service_name, types)], args.include_hidden_services):
        return 1
    for service_type in types:
        print(service_type)
    return 0 if types else 1
