"""Output a list of available packages"""

from __future__ import annotations

import argparse

from ros2cli.packages import package_names


def main(args: argparse.Namespace) -> int:
    print("\n".join(package_names()))
    return 0
