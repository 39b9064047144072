"""Run a package specific executable"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys

from ros2cli.packages import executables


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--prefix",
        help="Prefix command, which should go before the executable. Command must be wrapped in "
        "quotes if it contains spaces (e.g. --prefix 'gdb -ex run --args').",
    )
    parser.add_argument("package_name", help="Name of the ROS package")
    parser.add_argument("executable_name", help="Name of the executable")
    parser.add_argument(
        "argv", nargs=argparse.REMAINDER, help="Pass arbitrary arguments to the executable"
    )


def main(args: argparse.Namespace) -> int:
    found = [p for p in executables(args.package_name) if p.name == args.executable_name]
    if not found:
        raise RuntimeError("No executable found")
    if len(found) > 1:
        raise RuntimeError("\n- ".join(["Multiple executables found:", *map(str, found)]))
    command = [*shlex.split(args.prefix or ""), str(found[0]), *args.argv]
    # The executable takes the place of this process: signals reach it and its exit code is ours,
    # which a process in between would have to imitate. Python ignores these two; others do not.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    sys.stdout.flush()
    try:
        os.execvp(command[0], command)
    except OSError as error:
        raise RuntimeError(f"cannot run {command[0]}: {error.strerror}") from error
