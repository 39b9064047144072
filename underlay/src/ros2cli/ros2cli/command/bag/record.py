"""Record ROS data to a bag"""

from __future__ import annotations

import argparse
import os
from datetime import datetime, timedelta

from ros2cli.arguments import positive_int, unsigned_int
from ros2cli.bags import LOG_LEVELS, add_qos_overrides_argument, read_qos_overrides
from ros2cli.graph import absolute_name
from rosbag2_py import (
    Recorder,
    RecordOptions,
    StorageOptions,
    get_default_storage_id,
    get_registered_compressors,
    get_registered_writers,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", help="Bag to create, default: a folder here that is named by the time."
    )
    parser.add_argument(
        "-s",
        "--storage",
        default=get_default_storage_id(),
        choices=sorted(get_registered_writers()),
        help="Storage identifier to be used, default: %(default)s.",
    )
    _add_topic_arguments(parser)
    _add_discovery_arguments(parser)
    _add_file_arguments(parser)
    parser.add_argument(
        "--use-sim-time",
        action="store_true",
        help="Take the times of messages from /clock; none is written before it is there.",
    )
    parser.add_argument("--node-name", default="rosbag2_recorder", help="default: %(default)s")
    parser.add_argument(
        "--disable-keyboard-controls", action="store_true", help="accepted: there are none"
    )
    parser.add_argument("--log-level", default="info", choices=LOG_LEVELS, help="Logging level.")


def _add_topic_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topics_positional", metavar="topic", nargs="*", help="Topics to record.")
    parser.add_argument("--topics", nargs="+", default=[], metavar="topic", help="the same")
    parser.add_argument(
        "--topic-types", nargs="+", default=[], metavar="type", help="Types to record."
    )
    parser.add_argument(
        "-a", "--all", "--all-topics", action="store_true", help="Record all topics."
    )
    parser.add_argument(
        "-e", "--regex", default="", help="Record topics that contain the regular expression."
    )
    parser.add_argument(
        "--exclude-regex", default="", help="Leave out topics that contain the expression."
    )
    parser.add_argument(
        "--exclude-topics", nargs="+", default=[], metavar="topic", help="Topics to leave out."
    )
    parser.add_argument(
        "--exclude-topic-types", nargs="+", default=[], metavar="type", help="Types to leave out."
    )


def _add_discovery_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--include-unpublished-topics",
        action="store_true",
        help="Record topics without a publisher too, with the default QoS.",
    )
    parser.add_argument("--include-hidden-topics", action="store_true", help="those with _ too")
    parser.add_argument(
        "--no-discovery", action="store_true", help="Record only topics that are there now."
    )
    parser.add_argument(
        "-p",
        "--polling-interval",
        type=positive_int,
        default=100,
        help="Milliseconds between two looks for topics (default: %(default)s).",
    )
    parser.add_argument(
        "--ignore-leaf-topics", action="store_true", help="Ignore topics without a subscription."
    )
    add_qos_overrides_argument(parser)


def _add_file_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-b", "--max-bag-size", type=unsigned_int, default=0, help="Split at so many bytes."
    )
    parser.add_argument(
        "-d", "--max-bag-duration", type=unsigned_int, default=0, help="Split at so many seconds."
    )
    parser.add_argument(
        "--max-cache-size",
        type=unsigned_int,
        default=100 * 1024 * 1024,
        help="Half of the bytes that may wait for the disk before messages are dropped, and "
        "counted (default: %(default)s); 0 waits for the disk.",
    )
    parser.add_argument(
        "--custom-data", nargs="*", default=[], metavar="KEY=VALUE", help="for the metadata"
    )
    parser.add_argument("--storage-config-file", default="", help="YAML with options of MCAP")
    parser.add_argument(
        "--storage-preset-profile",
        default="none",
        help="mcap: none, fastwrite, zstd_fast, zstd_small; sqlite3: none, resilient",
    )
    parser.add_argument(
        "--compression-mode",
        default="none",
        choices=["none", "file"],
        help="Compress each file when it is finished.",
    )
    parser.add_argument(
        "--compression-format", default="", choices=sorted(get_registered_compressors())
    )
    parser.add_argument(
        "--compression-threads", type=unsigned_int, default=0, help="0: as many as cores"
    )


def main(args: argparse.Namespace) -> int:
    uri = args.output or datetime.now().strftime("rosbag2_%Y_%m_%d-%H_%M_%S")
    topics = args.topics_positional + args.topics
    if not (args.all or topics or args.topic_types or args.regex):
        raise RuntimeError(
            "Need to specify at least one option out of --all, --topics, --topic-types or --regex"
        )
    if os.path.lexists(uri):
        raise RuntimeError(f"Output folder '{uri}' already exists.")
    if args.compression_format and args.compression_mode == "none":
        raise RuntimeError("Cannot specify compression format without a compression mode.")
    storage = StorageOptions(
        uri=uri,
        storage_id=args.storage,
        max_bagfile_size=args.max_bag_size,
        max_bagfile_duration=args.max_bag_duration,
        max_cache_size=args.max_cache_size,
        storage_preset_profile=args.storage_preset_profile,
        storage_config_uri=args.storage_config_file,
        custom_data=_custom_data(args.custom_data),
    )
    Recorder(args.log_level).record(storage, _record_options(args, topics), args.node_name)
    return 0


def _record_options(args: argparse.Namespace, topics: list[str]) -> RecordOptions:
    return RecordOptions(
        all_topics=args.all,
        topics=[absolute_name(topic) for topic in topics],
        topic_types=args.topic_types,
        regex=args.regex,
        exclude_regex=args.exclude_regex,
        exclude_topics=[absolute_name(topic) for topic in args.exclude_topics],
        exclude_topic_types=args.exclude_topic_types,
        include_hidden_topics=args.include_hidden_topics,
        include_unpublished_topics=args.include_unpublished_topics,
        ignore_leaf_topics=args.ignore_leaf_topics,
        is_discovery_disabled=args.no_discovery,
        topic_polling_interval=timedelta(milliseconds=args.polling_interval),
        topic_qos_profile_overrides=read_qos_overrides(args),
        use_sim_time=args.use_sim_time,
        compression_mode=args.compression_mode,
        compression_format=args.compression_format,
        compression_threads=args.compression_threads,
    )


def _custom_data(pairs: list[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise RuntimeError(f"found custom data {pair!r}; allowed: KEY=VALUE")
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}
