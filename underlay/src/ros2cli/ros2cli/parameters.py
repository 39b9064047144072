"""The parameter services of another node."""

from __future__ import annotations

import argparse
from typing import Any

from rcl_interfaces.msg import (
    Parameter,
    ParameterDescriptor,
    ParameterType,
    ParameterValue,
    SetParametersResult,
)
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters, SetParameters
from rclpy.node import Node

from ros2cli.calls import call
from ros2cli.graph import add_node_arguments

TYPE_NAMES = {
    ParameterType.PARAMETER_NOT_SET: "not set",
    ParameterType.PARAMETER_BOOL: "boolean",
    ParameterType.PARAMETER_INTEGER: "integer",
    ParameterType.PARAMETER_DOUBLE: "double",
    ParameterType.PARAMETER_STRING: "string",
    ParameterType.PARAMETER_BYTE_ARRAY: "byte array",
    ParameterType.PARAMETER_BOOL_ARRAY: "boolean array",
    ParameterType.PARAMETER_INTEGER_ARRAY: "integer array",
    ParameterType.PARAMETER_DOUBLE_ARRAY: "double array",
    ParameterType.PARAMETER_STRING_ARRAY: "string array",
}


def add_hidden_nodes_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that every verb about nodes has."""
    parser.add_argument(
        "--include-hidden-nodes", action="store_true", help="Consider hidden nodes as well"
    )


def add_parameter_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what each verb about one node's parameters takes."""
    add_node_arguments(parser)
    parser.add_argument("node_name", help="Name of the ROS node")
    add_hidden_nodes_argument(parser)
    parser.add_argument(
        "--timeout",
        metavar="N",
        type=int,
        default=1,
        help="Wait for N seconds until node becomes available (default: %(default)s)",
    )


def list_parameters(node: Node, of: str, prefixes: list[str] | None = None) -> list[str]:
    """Return the sorted parameter names of the node with the full name `of`."""
    request = ListParameters.Request(prefixes=prefixes or [])
    return sorted(call(node, ListParameters, f"{of}/list_parameters", request).result.names)


def get_parameters(node: Node, of: str, names: list[str]) -> list[ParameterValue]:
    """Return the values, in the order of the names."""
    request = GetParameters.Request(names=names)
    return list(call(node, GetParameters, f"{of}/get_parameters", request).values)


def set_parameter(node: Node, of: str, parameter: Parameter) -> SetParametersResult:
    """Set one parameter and return the node's answer."""
    request = SetParameters.Request(parameters=[parameter])
    return call(node, SetParameters, f"{of}/set_parameters", request).results[0]


def describe_parameters(node: Node, of: str, names: list[str]) -> list[ParameterDescriptor]:
    """Return the descriptors, in the order of the names."""
    request = DescribeParameters.Request(names=names)
    return list(call(node, DescribeParameters, f"{of}/describe_parameters", request).descriptors)


def plain_value(value: ParameterValue) -> Any:
    """Return a parameter's value as bool, int, float, str, a list of those, or None."""
    field = TYPE_NAMES[value.type].replace("boolean", "bool").replace(" ", "_")
    if value.type == ParameterType.PARAMETER_NOT_SET:
        return None
    found = getattr(value, f"{field}_value")
    return found.tolist() if hasattr(found, "tolist") else found
