"""Show all of the parameters of a node in a YAML file format"""

from __future__ import annotations

import argparse
from typing import Any

import yaml
from rclpy.parameter import PARAMETER_SEPARATOR_STRING

from ros2cli.graph import open_node, require_node
from ros2cli.parameters import (
    add_parameter_arguments,
    get_parameters,
    list_parameters,
    plain_value,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_parameter_arguments(parser)


def main(args: argparse.Namespace) -> int:
    with open_node(args, discover=False) as node:
        of = require_node(node, args)
        names = list_parameters(node, of)
        values = [plain_value(value) for value in get_parameters(node, of, names)]
    parameters: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        *groups, leaf = name.split(PARAMETER_SEPARATOR_STRING)
        inner = parameters
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[leaf] = value
    print(yaml.safe_dump({of: {"ros__parameters": parameters}}, default_flow_style=False))
    return 0
