"""Output the prefix path of a package"""

from __future__ import annotations

import argparse

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("package_name", help="The package name")
    parser.add_argument(
        "--share", action="store_true", help="Show share directory for the package"
    )


def main(args: argparse.Namespace) -> int:
    find = get_package_share_directory if args.share else get_package_prefix
    try:
        print(find(args.package_name))
    except (PackageNotFoundError, ValueError) as error:
        raise RuntimeError("Package not found") from error
    return 0
