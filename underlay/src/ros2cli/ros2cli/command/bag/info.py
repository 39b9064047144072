"""Print information about a bag to the screen"""

from __future__ import annotations

import argparse

from ros2cli.bags import add_reader_arguments
from rosbag2_py import Info


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_reader_arguments(parser)
    parser.add_argument(
        "-t", "--topic-name", action="store_true", help="Only display topic names."
    )


def main(args: argparse.Namespace) -> int:
    metadata = Info().read_metadata(args.bag_path, args.storage)
    if args.topic_name:
        for topic in metadata.topics_with_message_count:
            print(topic.topic_metadata.name)
    else:
        print(metadata)
    return 0
