"""Parameters as launch files give them, to those that a node is started with."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from launch import LaunchContext, SomeSubstitutionsType, Substitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions
from launch.utilities.type_utils import coerce_to_type, is_uniform

from .parameter_descriptions import ParameterFile, ParameterValue

Parameters = dict[str, Any]
SomeParameters = Sequence[Mapping[Any, Any] | ParameterFile | SomeSubstitutionsType]


def evaluate_parameters(context: LaunchContext, given: SomeParameters) -> list[Path | Parameters]:
    """Return the path of each file and the names and values of each dictionary.

    Raises:
        TypeError: a value that a parameter cannot have.
    """
    evaluated: list[Path | Parameters] = []
    for item in given:
        if isinstance(item, Mapping):
            evaluated.append(evaluate_parameter_dict(context, item))
        else:
            file = item if isinstance(item, ParameterFile) else ParameterFile(item)
            evaluated.append(file.evaluate(context))
    return evaluated


def evaluate_parameter_dict(
    context: LaunchContext, given: Mapping[Any, Any], prefix: str = ""
) -> Parameters:
    """Return the values by full name: nested dictionaries become ``outer.inner``."""
    evaluated: Parameters = {}
    for key, value in given.items():
        subs = normalize_to_list_of_substitutions(key)
        name = prefix + perform_substitutions(context, subs)
        if isinstance(value, Mapping):
            evaluated |= evaluate_parameter_dict(context, value, f"{name}.")
        else:
            evaluated[name] = _evaluate(context, name, value)
    return evaluated


def _evaluate(context: LaunchContext, name: str, value: Any) -> Any:
    if isinstance(value, ParameterValue):
        return value.evaluate(context)
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Substitution):
        return _read(context, name, [value])
    if not isinstance(value, Sequence) or isinstance(value, bytes):
        raise TypeError(f"parameter '{name}': {value!r} is not a value that a parameter can have")
    types = {Substitution if isinstance(item, Substitution) else type(item) for item in value}
    if Substitution in types and types <= {Substitution, str}:
        return _read(context, name, value)  # as upstream does: one value made of parts
    items: list[Any]
    if types == {int, float}:
        items = [float(item) for item in value]
    else:
        items = [
            item if isinstance(item, (bool, int, float, str)) else _read(context, name, item)
            for item in value
        ]
    if not is_uniform(items):
        raise TypeError(
            "Expected a non-empty sequence, with items of uniform type. Allowed sequence item "
            f'types are bool, int, float, str. Got inconsistent input for "{name}"'
        )
    return items


def _read(context: LaunchContext, name: str, subs: SomeSubstitutionsType) -> Any:
    """Return what the text of substitutions is by YAML's rules; an empty text stays one."""
    text = perform_substitutions(context, normalize_to_list_of_substitutions(subs))
    try:
        return coerce_to_type(text)
    except ValueError as error:
        raise TypeError(
            f"parameter '{name}': {error}. If the parameter is meant to be a string, try wrapping "
            "it in launch_ros.parameter_descriptions.ParameterValue(value, value_type=str)"
        ) from error


def write_parameter_file(path: str | os.PathLike[str], node_name: str, values: Parameters) -> None:
    """Write a parameter file for one node, or for all with ``/**``."""
    with open(path, "w", encoding="utf-8") as file:
        yaml.safe_dump({node_name: {"ros__parameters": values}}, file)
