"""Play back ROS data from a bag"""

from __future__ import annotations

import argparse

from ros2cli.arguments import positive_float, unsigned_int
from ros2cli.bags import (
    LOG_LEVELS,
    add_qos_overrides_argument,
    add_reader_arguments,
    read_qos_overrides,
)
from rosbag2_py import Player, PlayOptions, StorageOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_reader_arguments(parser)
    parser.add_argument("-r", "--rate", type=positive_float, default=1.0, help="rate, above 0.0")
    _add_topic_arguments(parser)
    add_qos_overrides_argument(parser)
    parser.add_argument("-l", "--loop", action="store_true", help="start again at the end")
    parser.add_argument(
        "-m", "--remap", nargs="+", default=[], help="topics to be remapped: old:=new ..."
    )
    _add_clock_arguments(parser)
    parser.add_argument("-d", "--delay", type=positive_float, default=0.0, help="seconds before")
    parser.add_argument("--start-offset", type=_not_negative, default=0.0, help="seconds to skip")
    parser.add_argument(
        "--playback-duration", type=float, default=-1.0, help="seconds of the bag; below 0: all"
    )
    parser.add_argument(
        "--playback-until-nsec", type=int, default=-1, help="bag's time in ns; below 0: the end"
    )
    parser.add_argument(
        "--wait-for-all-acked",
        type=unsigned_int,
        default=-1,
        metavar="TIMEOUT",
        help="before the end wait so long (ms; 0: for ever) until reliable subscribers have all",
    )
    parser.add_argument(
        "--disable-keyboard-controls", action="store_true", help="accepted: there are none"
    )
    parser.add_argument("--log-level", default="info", choices=LOG_LEVELS, help="Logging level.")


def _add_topic_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--topics", nargs="+", default=[], help="topics to play")
    parser.add_argument("-e", "--regex", default="", help="play topics that match as a whole")
    parser.add_argument("-x", "--exclude-regex", default="", help="leave these out")
    parser.add_argument("--exclude-topics", nargs="+", default=[], help="topics not to play")


def _add_clock_arguments(parser: argparse.ArgumentParser) -> None:
    clock = parser.add_mutually_exclusive_group()
    clock.add_argument(
        "--clock",
        type=positive_float,
        nargs="?",
        const=40.0,
        default=0.0,
        help="publish to /clock so often (Hz, default %(const)s); the bag's own is left out",
    )
    clock.add_argument(
        "--clock-topics", nargs="+", default=[], help="publish to /clock before these topics"
    )
    clock.add_argument(
        "--clock-topics-all", action="store_true", help="publish to /clock before each message"
    )


def main(args: argparse.Namespace) -> int:
    options = PlayOptions(
        rate=args.rate,
        topics_to_filter=args.topics,
        regex_to_filter=args.regex,
        exclude_regex_to_filter=args.exclude_regex,
        exclude_topics_to_filter=args.exclude_topics + (["/clock"] if args.clock else []),
        topic_qos_profile_overrides=read_qos_overrides(args),
        loop=args.loop,
        topic_remapping_options=_remapping(args.remap),
        clock_publish_frequency=args.clock,
        clock_publish_on_topic_publish=args.clock_topics_all or bool(args.clock_topics),
        clock_topics=args.clock_topics,
        delay=args.delay,
        playback_duration=args.playback_duration,
        playback_until_timestamp=args.playback_until_nsec,
        start_offset=args.start_offset,
        wait_acked_timeout=args.wait_for_all_acked,
    )
    Player(args.log_level).play(StorageOptions(args.bag_path, args.storage), options)
    return 0


def _remapping(rules: list[str]) -> list[str]:
    return ["--ros-args", *(word for rule in rules for word in ("--remap", rule))]


def _not_negative(text: str) -> float:
    value = float(text)
    if not value >= 0.0:
        raise argparse.ArgumentTypeError(f"Value {text} is less than zero.")
    return value
