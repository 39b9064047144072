"""Message and service types by name, and messages filled from plain values."""

from __future__ import annotations

import array
import importlib
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import yaml
from builtin_interfaces.msg import Time
from rosidl_parser.definition import AbstractNestedType, NamespacedType

StampSetter = Callable[[Time], None]


def get_message(identifier: str) -> Any:
    """Return the class of ``package/msg/Name`` or ``package/Name``."""
    message = _load(identifier, "msg")
    if not hasattr(message, "SLOT_TYPES"):
        raise RuntimeError("The passed message type is invalid")
    return message


def get_service(identifier: str) -> Any:
    """Return the class of ``package/srv/Name`` or ``package/Name``."""
    service = _load(identifier, "srv")
    if not (hasattr(service, "Request") and hasattr(service, "Response")):
        raise RuntimeError("The passed type is not a service")
    return service


def _load(identifier: str, kind: str) -> Any:
    *namespace, name = identifier.split("/")
    if len(namespace) == 1:
        namespace.append(kind)
    try:
        return getattr(importlib.import_module(".".join(namespace)), name)
    except (AttributeError, ModuleNotFoundError, TypeError, ValueError):
        what = {"msg": "message", "srv": "service"}[kind]
        raise RuntimeError(f"The passed {what} type is invalid") from None


def read_values(values: str, from_stdin: bool) -> Any:
    """Parse the YAML of the user's own command line, or of standard input."""
    try:
        return yaml.safe_load(sys.stdin.buffer.read() if from_stdin else values)
    except yaml.YAMLError as error:
        raise RuntimeError(f"The passed value is not valid YAML: {error}") from None


def new_message(
    message_type: Any, values: Any, *, expand_stamps: bool = False
) -> tuple[Any, list[StampSetter]]:
    """Return a message with the values of nested dictionaries, and what still sets its stamps.

    With `expand_stamps`, ``auto`` for a header and ``now`` for a time are left to the caller: the
    returned functions set them to a stamp. An unfit value raises a RuntimeError that says so;
    unlike upstream's, a number out of range or an array of the wrong length is unfit too.
    """
    message, setters = message_type(check_fields=True), []
    try:
        _fill(message, values, setters, expand_stamps)
    except Exception as error:  # constructors and setters of any message type, with any value
        raise RuntimeError(f"Failed to populate field: {error}") from None
    return message, setters


def _fill(message: Any, values: Any, setters: list[StampSetter], expand_stamps: bool) -> None:
    if not isinstance(values, dict):
        raise TypeError(
            f"Value '{values}' is expected to be a dictionary but is a {type(values).__name__}"
        )
    types = dict(zip(message.get_fields_and_field_types(), message.SLOT_TYPES, strict=True))
    for name, value in values.items():
        current = getattr(message, name)
        if expand_stamps and value == "auto" and _is(current, "std_msgs", "Header"):
            setters.append(partial(setattr, current, "stamp"))
        elif expand_stamps and value == "now" and _is(current, "builtin_interfaces", "Time"):
            setters.append(partial(setattr, message, name))
        else:
            setattr(message, name, _build(current, types[name], value, setters, expand_stamps))


def _is(field: Any, package: str, name: str) -> bool:
    return type(field).__name__ == name and type(field).__module__.startswith(f"{package}.msg.")


def _build(current: Any, slot: Any, value: Any, setters: list[StampSetter], expand: bool) -> Any:
    """Return `value` as the type that the field has now."""
    if isinstance(slot, NamespacedType):
        message = type(current)(check_fields=True)
        _fill(message, value, setters, expand)
        return message
    if isinstance(slot, AbstractNestedType) and isinstance(slot.value_type, NamespacedType):
        element = _load("/".join(slot.value_type.namespaced_name()), "msg")
        messages = [element(check_fields=True) for _ in value]
        for message, item in zip(messages, value, strict=True):
            _fill(message, item, setters, expand)
        return messages
    if isinstance(current, array.array):
        return array.array(current.typecode, value)
    if isinstance(current, np.ndarray):
        return np.array(value, dtype=current.dtype)
    return value if type(value) is type(current) else type(current)(value)
