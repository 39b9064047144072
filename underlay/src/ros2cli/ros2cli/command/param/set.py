"""Set parameter"""

from __future__ import annotations

import argparse
import sys

from rcl_interfaces.msg import Parameter
from rclpy.parameter import get_parameter_value

from ros2cli.graph import open_node, require_node
from ros2cli.parameters import add_parameter_arguments, set_parameter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_parameter_arguments(parser)
    parser.add_argument("parameter_name", help="Name of the parameter")
    parser.add_argument("value", help="Value of the parameter, in YAML")


def main(args: argparse.Namespace) -> int:
    parameter = Parameter(name=args.parameter_name, value=get_parameter_value(args.value))
    with open_node(args, discover=False) as node:
        of = require_node(node, args)
        result = set_parameter(node, of, parameter)
    reason = f": {result.reason}" if result.reason else ""
    if result.successful:
        print(f"Set parameter successful{reason}")
    else:  # upstream's exit code is 0 here too
        print(f"Setting parameter failed{reason}", file=sys.stderr)
    return 0
