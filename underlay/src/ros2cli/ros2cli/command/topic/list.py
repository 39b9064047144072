"""Output a list of available topics"""

from __future__ import annotations

import argparse

from ros2cli.graph import add_node_arguments, open_node, visible

EndpointCounts = list[tuple[str, list[str], int]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_node_arguments(parser)
    parser.add_argument(
        "-t", "--show-types", action="store_true", help="Additionally show the topic type"
    )
    parser.add_argument(
        "-c",
        "--count-topics",
        action="store_true",
        help="Only display the number of topics discovered",
    )
    parser.add_argument(
        "--include-hidden-topics",
        action="store_true",
        default=argparse.SUPPRESS,  # keeps the value given before the verb
        help="Consider hidden topics as well",
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="List full details about each topic"
    )


def main(args: argparse.Namespace) -> int:
    with open_node(args) as node:
        topics = visible(node.get_topic_names_and_types(), args.include_hidden_topics)
        published = [(name, types, node.count_publishers(name)) for name, types in topics]
        subscribed = [(name, types, node.count_subscribers(name)) for name, types in topics]
    if args.count_topics:
        print(len(topics))
    elif topics and args.verbose:
        _print_endpoints("Published", "publisher", published)
        _print_endpoints("Subscribed", "subscriber", subscribed)
    else:
        for name, types in topics:
            print(f"{name} [{', '.join(types)}]" if args.show_types else name)
    return 0


def _print_endpoints(title: str, kind: str, topics: EndpointCounts) -> None:
    print(f"{title} topics:")
    for name, types, count in topics:
        if count:
            print(f" * {name} [{', '.join(types)}] {count} {kind}{'s' if count > 1 else ''}")
    print()
