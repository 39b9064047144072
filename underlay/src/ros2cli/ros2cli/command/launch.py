"""Run a launch file"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from launch import LaunchDescription, LaunchDescriptionEntity, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import (
    AnyLaunchDescriptionSource,
    InvalidLaunchFileError,
    get_launch_description_from_any_launch_file,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-n",
        "--noninteractive",
        default=not sys.stdin.isatty(),
        action="store_true",
        help="Run the launch system non-interactively, with no terminal associated",
    )
    parser.add_argument(
        "-d",
        "--debug",
        action="store_true",
        help="Put the launch system in debug mode, provides more verbose output.",
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "-p",
        "--print",
        "--print-description",
        action="store_true",
        help="Print the launch description to the console without launching it.",
    )
    instead.add_argument(
        "-s",
        "--show-args",
        "--show-arguments",
        action="store_true",
        help="Show arguments that may be given to the launch file.",
    )
    parser.add_argument(
        "-a",
        "--show-all-subprocesses-output",
        action="store_true",
        help="Show the output of all processes, whatever the launch file says.",
    )
    parser.add_argument(
        "--launch-prefix", help="Prefix command, which should go before all executables."
    )
    parser.add_argument(
        "--launch-prefix-filter",
        help="Regex pattern of the executables that --launch-prefix is applied to.",
    )
    parser.add_argument(
        "package_name", help="Name of the ROS package which contains the launch file"
    )
    parser.add_argument("launch_file_name", nargs="?", help="Name of the launch file")
    parser.add_argument(
        "launch_arguments",
        nargs="*",
        help="Arguments to the launch file; '<name>:=<value>' (for duplicates, last one wins)",
    )


def main(args: argparse.Namespace) -> int:
    path, words = args.package_name, args.launch_arguments
    if os.path.isfile(path):
        words = [args.launch_file_name, *words] if args.launch_file_name else words
    else:
        path = _find(args.package_name, args.launch_file_name)
    if args.launch_prefix_filter and not args.launch_prefix:
        raise RuntimeError("--launch-prefix must be specified if --launch-prefix-filter is")
    if args.show_all_subprocesses_output:
        os.environ["OVERRIDE_LAUNCH_PROCESS_OUTPUT"] = "both"
    try:
        if args.show_args:
            return _show_arguments(get_launch_description_from_any_launch_file(path))
        if args.print:
            return _show_entities(get_launch_description_from_any_launch_file(path).entities, "")
    except InvalidLaunchFileError as error:
        raise RuntimeError(str(error)) from error
    given = _parse(words)
    for option in ("launch-prefix", "launch-prefix-filter"):
        if value := getattr(args, option.replace("-", "_")):
            given[option] = value
    service = LaunchService(argv=words, noninteractive=args.noninteractive, debug=args.debug)
    source = AnyLaunchDescriptionSource(path)
    service.include_launch_description(
        LaunchDescription([IncludeLaunchDescription(source, launch_arguments=given.items())])
    )
    return service.run()


def _find(package: str, file_name: str | None) -> str:
    try:
        share = get_package_share_directory(package)
    except (PackageNotFoundError, ValueError) as error:
        raise RuntimeError(f"Package '{package}' not found: {error}") from error
    if file_name is None:
        raise RuntimeError(f"no launch file given for package '{package}'")
    found = [str(path) for path in sorted(Path(share).rglob("*")) if path.name == file_name]
    if not found:
        raise RuntimeError(
            f"file '{file_name}' was not found in the share directory of package '{package}' "
            f"which is at '{share}'"
        )
    if len(found) > 1:
        raise RuntimeError(
            f"file '{file_name}' was found more than once in the share directory of package "
            f"'{package}': {found}"
        )
    return found[0]


def _parse(words: list[str]) -> dict[str, str]:
    given = {}
    for word in words:
        name, separator, value = word.partition(":=")
        if not (name and separator and value):
            raise RuntimeError(
                f"malformed launch argument '{word}', expected format '<name>:=<value>'"
            )
        given[name] = value
    return given


def _show_arguments(description: LaunchDescription) -> int:
    print("Arguments (pass arguments as '<name>:=<value>'):")
    arguments = description.get_launch_arguments()
    for argument in arguments:
        print(f"\n    '{argument.name}':{'*' if argument.conditionally_included else ''}")
        print(f"        {argument.description}")
        if argument.default_value is not None:
            default = " + ".join(sub.describe() for sub in argument.default_value)
            print(f"        (default: {default})")
    if not arguments:
        print("\n  No arguments.")
    if any(argument.conditionally_included for argument in arguments):
        print("\n* argument(s) which are only used if specific conditions occur")
    return 0


def _show_entities(entities: Iterable[LaunchDescriptionEntity], indent: str) -> int:
    for entity in entities:
        print(f"{indent}{entity.describe()}")
        _show_entities(entity.describe_sub_entities(), f"{indent}    ")
        for condition, conditional in entity.describe_conditional_sub_entities():
            if conditional:
                print(f"{indent}    {condition}:")
                _show_entities(conditional, f"{indent}        ")
    return 0
