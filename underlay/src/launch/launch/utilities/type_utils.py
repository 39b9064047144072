"""Values with a type (numbers, booleans, uniform lists) given as they are or as substitutions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, get_args, get_origin

import yaml

from ..substitution import Substitution
from . import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from ..launch_context import LaunchContext

_SCALARS = (bool, int, float, str)


def is_uniform(values: Any) -> bool:
    """Return whether `values` is a non-empty list of bool, int, float or str, all of one type."""
    return bool(values) and type(values[0]) in _SCALARS and len({type(v) for v in values}) == 1


def is_substitution(value: Any) -> bool:
    """Return whether `value` is a substitution, or strings with at least one among them."""
    if isinstance(value, Substitution):
        return True
    if isinstance(value, str) or not isinstance(value, Iterable):
        return False
    parts = list(value)
    return all(isinstance(p, (str, Substitution)) for p in parts) and any(
        isinstance(p, Substitution) for p in parts
    )


def coerce_to_type(value: str, data_type: Any = None) -> Any:
    """Read text as bool, int, float, str, a List[...] of one; None: by YAML's rules.

    Raises:
        ValueError: it does not read as that type.
    """
    if data_type is str or (not value and data_type is None):
        return value
    if data_type in (int, float):
        return data_type(value)
    if data_type is bool:
        value = {"1": "true", "0": "false"}.get(value, value)
    try:
        result = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ValueError(f"cannot convert '{value}': not YAML: {error}") from error
    if not _is_instance(result, data_type):
        raise ValueError(f"cannot convert '{value}' to {data_type or 'a scalar or uniform list'}")
    return result


def _is_instance(value: Any, data_type: Any) -> bool:
    if data_type is None:
        return type(value) in _SCALARS or (isinstance(value, list) and is_uniform(value))
    if get_origin(data_type) is list:
        (element,) = get_args(data_type)
        return isinstance(value, list) and all(_is_instance(item, element) for item in value)
    if data_type in _SCALARS:
        return type(value) is data_type
    raise ValueError(f"{data_type} is not bool, int, float, str or a List of one")


def normalize_typed_substitution(value: Any, data_type: Any) -> Any:
    """Check a value that is known; turn one that is not into a list of substitutions."""
    if is_substitution(value):
        return normalize_to_list_of_substitutions(value)
    if isinstance(value, (list, tuple)):
        items = [normalize_to_list_of_substitutions(v) if is_substitution(v) else v for v in value]
        if any(isinstance(item, list) for item in items):
            return items
        value = [float(v) for v in value] if {type(v) for v in value} == {int, float} else items
    if not _is_instance(value, data_type):
        raise TypeError(f"value {value!r} is not an instance of {data_type or 'an allowed type'}")
    return value


def perform_typed_substitution(context: LaunchContext, value: Any, data_type: Any) -> Any:
    """Return the typed value of what `normalize_typed_substitution` made."""
    if isinstance(value, list) and value and all(isinstance(v, Substitution) for v in value):
        return coerce_to_type(perform_substitutions(context, value), data_type)
    if isinstance(value, list):
        element = get_args(data_type)[0] if data_type is not None else None
        value = [
            coerce_to_type(perform_substitutions(context, item), element)
            if isinstance(item, list)
            else item
            for item in value
        ]
        if not _is_instance(value, data_type):
            raise ValueError(f"list {value!r} is not {data_type or 'uniform'}")
    return value
