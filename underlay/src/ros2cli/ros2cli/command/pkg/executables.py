"""Output a list of package specific executables"""

from __future__ import annotations

import argparse

from ros2cli.packages import executables, package_names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("package_name", nargs="?", help="The package name (default: all)")
    parser.add_argument(
        "--full-path", action="store_true", help="Show full path of each executable"
    )


def main(args: argparse.Namespace) -> int:
    for package in [args.package_name] if args.package_name else package_names():
        for path in executables(package):
            print(path if args.full_path else f"{package} {path.name}")
    return 0
