"""Get parameter"""

from __future__ import annotations

import argparse

from rcl_interfaces.msg import ParameterType

from ros2cli.graph import open_node, require_node
from ros2cli.parameters import TYPE_NAMES, add_parameter_arguments, get_parameters, plain_value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_parameter_arguments(parser)
    parser.add_argument("parameter_name", help="Name of the parameter")
    parser.add_argument("--hide-type", action="store_true", help="Hide the type information")


def main(args: argparse.Namespace) -> int:
    with open_node(args, discover=False) as node:
        of = require_node(node, args)
        values = get_parameters(node, of, [args.parameter_name])
    if not values:
        raise RuntimeError("Parameter not set")
    value = plain_value(values[0])
    if args.hide_type:
        print(value)
    elif values[0].type == ParameterType.PARAMETER_NOT_SET:
        print("Parameter not set.")
    else:
        name = TYPE_NAMES[values[0].type].capitalize()
        kind, is_array, _ = name.partition(" array")
        print(f"{kind} {'values are' if is_array else 'value is'}: {value}")
    return 0
