"""Print the average publishing rate to screen"""

from __future__ import annotations

import argparse

import rclpy
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.qos import qos_profile_sensor_data

from ros2cli.arguments import positive_int
from ros2cli.graph import add_direct_arguments, open_node
from ros2cli.rate import RateWindow
from ros2cli.topics import full_topic_name, topic_message_type


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic_name", help="Name of the ROS topic to listen to (e.g. '/chatter')")
    parser.add_argument(
        "-w",
        "--window",
        type=positive_int,
        default=10000,
        metavar="WINDOW",
        help="number of messages to calculate the rate over (default: %(default)s)",
    )
    parser.add_argument(
        "--wall-time", action="store_true", help="use wall time even where /clock is followed"
    )
    add_direct_arguments(parser)


def main(args: argparse.Namespace) -> int:
    with open_node(args) as node:
        topic = full_topic_name(node, args.topic_name)
        message_type = topic_message_type(node, topic, wait=True)
        clock = Clock(clock_type=ClockType.SYSTEM_TIME) if args.wall_time else node.get_clock()
        window = RateWindow(args.window)
        node.create_subscription(
            message_type,
            topic,
            lambda _: window.add(clock.now().nanoseconds),
            qos_profile_sensor_data,
            raw=True,  # only the time of receipt counts, and an image takes long to decode
        )
        while rclpy.ok():
            rclpy.spin_once(node)
            if (report := window.report()) is not None:
                print(report)
    return 0
