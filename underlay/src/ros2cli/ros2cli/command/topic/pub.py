"""Publish a message to a topic"""

from __future__ import annotations

import argparse
import time

import rclpy
from rclpy.publisher import Publisher

from ros2cli.arguments import positive_float, unsigned_int
from ros2cli.graph import add_direct_arguments, open_node
from ros2cli.interfaces import get_message, new_message, read_values
from ros2cli.qos import add_qos_arguments, requested_profile

WAIT_PERIOD_S = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("topic_name", help="Name of the ROS topic to publish to (e.g. '/chatter')")
    add("message_type", help="Type of the ROS message (e.g. 'std_msgs/String')")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "values", nargs="?", default="{}", help="Values in YAML format (e.g. 'data: Hello World')"
    )
    source.add_argument("--stdin", action="store_true", help="Read values from standard input")
    add("-r", "--rate", metavar="N", type=positive_float, default=1.0, help="Rate in Hz (1)")
    add("-p", "--print", metavar="N", type=int, default=1, help="Print every N-th message (1)")
    count = parser.add_mutually_exclusive_group()
    count.add_argument("-1", "--once", action="store_true", help="Publish one message and exit")
    count.add_argument(
        "-t", "--times", type=unsigned_int, default=0, help="Publish this many times and exit"
    )
    add(
        "-w",
        "--wait-matching-subscriptions",
        type=unsigned_int,
        help="Wait for this many subscriptions (1 with --once or --times, else 0)",
    )
    add("--max-wait-time-secs", type=positive_float, help="Longest wait for subscriptions")
    add(
        "--keep-alive",
        metavar="N",
        type=positive_float,
        default=0.1,
        help="Seconds to stay after the last message (%(default)s)",
    )
    add("-n", "--node-name", help="Name of the created publishing node")
    add_qos_arguments(parser, "default")
    add_direct_arguments(parser)


def main(args: argparse.Namespace) -> int:
    times = 1 if args.once else args.times
    subscriptions = args.wait_matching_subscriptions
    if subscriptions is None:
        subscriptions = int(times != 0)
    if subscriptions == 0 and args.max_wait_time_secs is not None:
        raise RuntimeError(
            "--max-wait-time-secs option is only effective with "
            "--wait-matching-subscriptions, --once or --times"
        )
    message_type = get_message(args.message_type)
    values = read_values(args.values, args.stdin)
    if not isinstance(values, dict):
        raise RuntimeError("The passed value needs to be a dictionary in YAML format")
    message, stamp_setters = new_message(message_type, values, expand_stamps=True)
    with open_node(args, args.node_name) as node:
        publisher = node.create_publisher(message_type, args.topic_name, requested_profile(args))
        _wait_for_subscriptions(publisher, subscriptions, args.max_wait_time_secs)
        print("publisher: beginning loop")
        count = 0

        def publish() -> None:
            nonlocal count
            stamp = node.get_clock().now().to_msg()
            for set_stamp in stamp_setters:
                set_stamp(stamp)
            count += 1
            if args.print and count % args.print == 0:
                print(f"publishing #{count}: {message!r}\n")
            publisher.publish(message)

        publish()
        node.create_timer(1.0 / args.rate, publish)
        while times == 0 or count < times:
            rclpy.spin_once(node)
        time.sleep(args.keep_alive)  # the last message still has to reach the wire
    return 0


def _wait_for_subscriptions(publisher: Publisher, wanted: int, timeout_s: float | None) -> None:
    polls = 0
    while (found := publisher.get_subscription_count()) < wanted:
        if polls % 10 == 0:
            print(f"Waiting for at least {wanted} matching subscription(s)...")
        if timeout_s is not None and polls * WAIT_PERIOD_S >= timeout_s:
            raise RuntimeError(
                f"Timed out waiting for subscribers: Expected {wanted} subcribers "
                f"but only got {found} subscribers"
            )
        polls += 1
        time.sleep(WAIT_PERIOD_S)
