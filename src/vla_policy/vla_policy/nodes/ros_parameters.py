"""Declares ``vla_core.parameters`` on a node and refuses unknown ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

from vla_core.errors import ParameterError
from vla_core.parameters import Parameter, Value

# Parameters that rclpy declares by itself or that belong to it.
_BUILT_IN = ("use_sim_time", "start_type_description_service", "qos_overrides.")


def declare(node: Node, parameters: Sequence[Parameter]) -> None:
    """Declare all parameters; those the user gave must exist.

    Raises:
        ParameterError: an unknown name, or a value of another type or out of range.
    """
    known = {parameter.name for parameter in parameters}
    given: Mapping[str, object] = node._parameter_overrides  # rclpy has no public name for them
    for name in given:
        if name not in known and not name.startswith(_BUILT_IN):
            raise ParameterError(
                "unknown parameter",
                where=node.get_name(),
                found=name,
                allowed=", ".join(sorted(known)),
            )
    for parameter in parameters:
        try:
            node.declare_parameter(parameter.name, parameter.default, _descriptor(parameter))
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            raise ParameterError(
                "wrong type or out of range",
                where=f"parameter {parameter.name}",
                found=repr(getattr(given.get(parameter.name), "value", "")),
                allowed=f"{type(parameter.default).__name__} {_allowed(parameter)}".rstrip(),
            ) from error


def read(node: Node, parameters: Sequence[Parameter]) -> dict[str, Value]:
    """The values, checked.

    Raises:
        ParameterError: a required one is not set, or a value is not allowed.
    """
    values: dict[str, Value] = {}
    for parameter in parameters:
        values[parameter.name] = node.get_parameter(parameter.name).value
        parameter.check(values[parameter.name])
    return values


def _allowed(parameter: Parameter) -> str:
    if parameter.low is None or parameter.high is None:
        return ", ".join(parameter.choices)
    return f"from {parameter.low:g} to {parameter.high:g} {parameter.unit}".rstrip()


def _descriptor(parameter: Parameter) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        description=f"{parameter.description} [{parameter.unit}]"
        if parameter.unit
        else parameter.description,
        additional_constraints=", ".join(parameter.choices),
        read_only=not parameter.dynamic,
    )
    if parameter.low is not None and parameter.high is not None:
        if isinstance(parameter.default, int):
            descriptor.integer_range = [
                IntegerRange(from_value=int(parameter.low), to_value=int(parameter.high), step=1)
            ]
        else:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=parameter.low, to_value=parameter.high)
            ]
    return descriptor
