"""Print information about a topic"""

from __future__ import annotations

import argparse

from ros2cli.graph import add_node_arguments, find_types, open_node


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_node_arguments(parser)
    parser.add_argument("topic_name", help="Name of the ROS topic (e.g. '/chatter')")
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="Also print node, type hash, GID and QoS profile of each publisher and subscription",
    )


def main(args: argparse.Namespace) -> int:
    end = "\n\n" if args.verbose else "\n"
    name = args.topic_name
    with open_node(args) as node:
        types = find_types(node, node.get_topic_names_and_types, name)
        if not types:
            raise RuntimeError(f"Unknown topic '{name}'")
        print("Type:", types[0] if len(types) == 1 else types, end=end)
        for kind, count, endpoints in (
            ("Publisher", node.count_publishers, node.get_publishers_info_by_topic),
            ("Subscription", node.count_subscribers, node.get_subscriptions_info_by_topic),
        ):
            print(f"{kind} count: {count(name)}", end=end)
            if args.verbose:
                for endpoint in endpoints(name):
                    print(endpoint, end=end)
    return 0
