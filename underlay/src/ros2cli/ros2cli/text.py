"""Messages as YAML and CSV text, in the format of upstream's ``ros2 topic echo``."""

from __future__ import annotations

import array
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml
from rosidl_parser.definition import (
    AbstractString,
    AbstractWString,
    Array,
    BasicType,
    BoundedSequence,
    NamespacedType,
)

_SEQUENCES = (list, tuple, array.array, np.ndarray)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLimits:
    """How much of a message is printed; `truncate_length` None means all of it."""

    truncate_length: int | None = None
    no_arr: bool = False
    no_str: bool = False


class _BlockMappings(yaml.SafeDumper):
    """Keeps messages in block style: upstream's flow style is about arrays only."""

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> Any:
        return super().represent_mapping(tag, mapping, flow_style=False)


def message_to_yaml(message: Any, limits: TextLimits, flow_style: bool = False) -> str:
    """Return a message as YAML with its fields in the order of the definition."""
    return yaml.dump(
        _message_to_dict(message, limits),
        Dumper=_BlockMappings,
        allow_unicode=True,
        width=sys.maxsize,
        default_flow_style=flow_style,
        sort_keys=False,
    )


def message_to_csv(message: Any, limits: TextLimits) -> str:
    """Return the leaves of a message, comma-separated."""
    return ",".join(_csv(value, slot, limits) for _, value, slot in _fields(message))


def _fields(message: Any) -> list[tuple[str, Any, Any]]:
    names = message.get_fields_and_field_types()
    return [
        (name, getattr(message, name), slot)
        for name, slot in zip(names, message.SLOT_TYPES, strict=True)
    ]


def _message_to_dict(message: Any, limits: TextLimits) -> dict[str, Any]:
    return {name: _plain(value, slot, limits) for name, value, slot in _fields(message)}


def _plain(value: Any, slot: Any, limits: TextLimits) -> Any:
    """Return a field's value as YAML can show it; `slot` is None for an element of an array."""
    length = limits.truncate_length
    if isinstance(value, (bytes, str)):
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        if limits.no_str and isinstance(value, str):
            return f"<string length: <{len(text)}>>"
        return text if length is None or len(text) <= length else text[:length] + "..."
    if isinstance(value, _SEQUENCES):
        if limits.no_arr and slot is not None:
            return _array_summary(value, slot)
        items = [_plain(item, None, limits) for item in value[:length]]
        return items if length is None or len(value) <= length else [*items, "..."]
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, (bool, float, int)) else _message_to_dict(value, limits)


def _csv(value: Any, slot: Any, limits: TextLimits) -> str:
    length = limits.truncate_length
    if isinstance(value, _SEQUENCES):
        if limits.no_arr and slot is not None:
            return _array_summary(value, slot)
        items = [_csv(item, None, limits) for item in value[:length]]
        return ",".join(items if length is None or len(value) <= length else [*items, "..."])
    if isinstance(value, str):
        return str(_plain(value, slot, limits))
    if isinstance(value, bytes):
        return str(value if length is None or len(value) <= length else value[:length] + b"...")
    if isinstance(value, (bool, float, int, np.generic)):
        return str(value)
    return message_to_csv(value, limits)


def _array_summary(value: Any, slot: Any) -> str:
    kind = _type_name(slot.value_type)
    if isinstance(slot, Array):
        return f"<array type: {kind}[{slot.size}]>"
    if isinstance(slot, BoundedSequence):
        return f"<sequence type: {kind}[{slot.maximum_size}], length: {len(value)}>"
    return f"<sequence type: {kind}, length: {len(value)}>"


def _type_name(value_type: Any) -> str:
    if isinstance(value_type, BasicType):
        return str(value_type.typename)
    if isinstance(value_type, AbstractWString):
        return "wstring"
    if isinstance(value_type, AbstractString):
        return "string"
    if isinstance(value_type, NamespacedType):
        return "/".join(value_type.namespaced_name())
    return str(value_type.name)
