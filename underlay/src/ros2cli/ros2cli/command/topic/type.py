"""Print a topic's type"""

from __future__ import annotations

import argparse

from ros2cli.graph import add_node_arguments, find_types, open_node, visible


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_node_arguments(parser)
    parser.add_argument("topic_name", help="Name of the ROS topic (e.g. '/chatter')")


def main(args: argparse.Namespace) -> int:
    with open_node(args, discover=False) as node:
        types = find_types(node, node.get_topic_names_and_types, args.topic_name)
    if not visible([(args.topic_name, types)], args.include_hidden_topics):
        return 1
    for topic_type in types:
        print(topic_type)
    return 0 if types else 1
