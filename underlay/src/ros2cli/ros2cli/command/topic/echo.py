"""Output messages from a topic"""

from __future__ import annotations

import argparse
from typing import Any

import rclpy
import yaml
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.task import Future

from ros2cli.arguments import positive_float, unsigned_int
from ros2cli.graph import add_node_arguments, open_node
from ros2cli.interfaces import get_message
from ros2cli.qos import add_qos_arguments, matching_profile
from ros2cli.text import TextLimits, message_to_csv, message_to_yaml
from ros2cli.topics import full_topic_name, topic_message_type


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_node_arguments(parser)
    parser.add_argument("topic_name", help="Name of the ROS topic to listen to (e.g. '/chatter')")
    parser.add_argument(
        "message_type", nargs="?", help="Type of the ROS message (e.g. 'std_msgs/msg/String')"
    )
    add_qos_arguments(parser, "sensor_data")
    parser.add_argument("--csv", action="store_true", help="Output all fields comma-separated")
    parser.add_argument("--field", help="Echo one field of the message, sub-fields after '.'")
    parser.add_argument(
        "-f", "--full-length", action="store_true", help="Output arrays and strings in full"
    )
    parser.add_argument(
        "-l",
        "--truncate-length",
        type=unsigned_int,
        default=128,
        help="The length to truncate arrays, bytes and strings to (default: %(default)s)",
    )
    for option, text in (
        ("--no-arr", "Don't print array fields of messages"),
        ("--no-str", "Don't print string fields of messages"),
        ("--flow-style", "Print collections in flow style (not with --csv)"),
        ("--no-lost-messages", "Don't report when a message is lost"),
        ("--raw", "Echo the raw binary representation"),
        ("--once", "Print the first message received and then exit"),
    ):
        parser.add_argument(option, action="store_true", help=text)
    parser.add_argument("--timeout", metavar="N", type=positive_float, help="Stop after N seconds")
    parser.add_argument(
        "-i", "--include-message-info", action="store_true", help="Show the message info as well"
    )


def main(args: argparse.Namespace) -> int:
    path = None
    if args.field is not None:
        path = [part for part in args.field.split(".") if part]
        if not path:
            raise RuntimeError(f"Invalid field value '{args.field}'")
    limits = TextLimits(
        truncate_length=None if args.full_length else args.truncate_length,
        no_arr=args.no_arr,
        no_str=args.no_str,
    )
    with open_node(args) as node:
        topic = full_topic_name(node, args.topic_name)
        if args.message_type is None:
            message_type = topic_message_type(node, topic)
        else:
            message_type = get_message(args.message_type)
        profile = matching_profile(node, topic, args)
        done = Future()

        def received(message: Any, info: dict[str, Any]) -> None:
            if args.once and done.done():
                return
            _print_message(_select(message, path), info, args, limits)
            if args.once:
                done.set_result(True)

        if args.timeout is not None:
            node.create_timer(args.timeout, lambda: done.set_result(True))
        node.create_subscription(
            message_type,
            topic,
            received,
            profile,
            raw=args.raw,
            event_callbacks=SubscriptionEventCallbacks(
                message_lost=None if args.no_lost_messages else _print_lost
            ),
        )
        rclpy.spin_until_future_complete(node, done)
    return 0


def _select(message: Any, path: list[str] | None) -> Any:
    for part in path or []:
        try:
            message = getattr(message, part)
        except AttributeError as error:
            raise RuntimeError(f"Invalid field '{'.'.join(path or [])}': {error}") from None
    return message


def _print_message(
    value: Any, info: dict[str, Any], args: argparse.Namespace, limits: TextLimits
) -> None:
    if not hasattr(value, "get_fields_and_field_types"):  # one plain field, or raw bytes
        if args.include_message_info:
            print("---Got new message, message info:---")
            print(info)
            print("---Message data:---")
        print(value, end="\n---\n")
    elif args.csv:
        prefix = [str(item) for item in info.values()] if args.include_message_info else []
        print(",".join([*prefix, message_to_csv(value, limits)]))
    else:
        if args.include_message_info:
            print(yaml.safe_dump(info), end="---\n")
        print(message_to_yaml(value, limits, args.flow_style), end="---\n")


def _print_lost(status: Any) -> None:
    print(
        f"A message was lost!!!\n\ttotal count change:{status.total_count_change}"
        f"\n\ttotal count: {status.total_count}",
        end="---\n",
    )
