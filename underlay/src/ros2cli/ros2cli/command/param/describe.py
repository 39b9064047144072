"""Show descriptive information about declared parameters"""

from __future__ import annotations

import argparse

from rcl_interfaces.msg import ParameterDescriptor

from ros2cli.graph import open_node, require_node
from ros2cli.parameters import TYPE_NAMES, add_parameter_arguments, describe_parameters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_parameter_arguments(parser)
    parser.add_argument("parameter_names", nargs="+", help="Names of the parameters")


def main(args: argparse.Namespace) -> int:
    with open_node(args, discover=False) as node:
        of = require_node(node, args)
        for descriptor in describe_parameters(node, of, args.parameter_names):
            _print_descriptor(descriptor)
    return 0


def _print_descriptor(descriptor: ParameterDescriptor) -> None:
    print("Parameter name:", descriptor.name)
    print("  Type:", TYPE_NAMES[descriptor.type])
    if descriptor.description:
        print("  Description:", descriptor.description)
    print("  Constraints:")
    if descriptor.read_only:
        print("    Read only: true")
    for bounds in [*descriptor.floating_point_range, *descriptor.integer_range][:1]:
        print("    Min value:", bounds.from_value)
        print("    Max value:", bounds.to_value)
        if bounds.step:
            print("    Step:", bounds.step)
    if descriptor.additional_constraints:
        print("    Additional constraints:", descriptor.additional_constraints)
