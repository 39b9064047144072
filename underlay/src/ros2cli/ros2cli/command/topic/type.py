"""Print a topic's type"""

from __future__ import annotations

import argparse

from ros2cli.graph import add_node_arguments, open_node, visible


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_node_arguments(parser)
    parser.add_argument("topic_name", help="Name of the ROS topic (e.g. '/chatter')")


def main(args: argparse.Namespace) -> int:
    with open_node(args) as node:
        topics = dict(visible(node.get_topic_names_and_types(), args.include_hidden_topics))
    for topic_type in topics.get(args.topic_name, []):
        print(topic_type)
    return 0 if args.topic_name in topics else 1
