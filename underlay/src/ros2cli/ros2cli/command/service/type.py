"""Output a service's type"""

from __future__ import annotations

import argparse

from ros2cli.graph import open_node, visible


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("service_name", help="Name of the ROS service (e.g. '/talker/get_state')")


def main(args: argparse.Namespace) -> int:
    with open_node(args) as node:
        services = dict(visible(node.get_service_names_and_types(), args.include_hidden_services))
    for service_type in services.get(args.service_name, []):
        print(service_type)
    return 0 if args.service_name in services else 1
