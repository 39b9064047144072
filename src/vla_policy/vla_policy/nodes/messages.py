"""Message classes by name, header stamps and losses, for topics that come from a contract."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from ament_index_python import get_resource
from vla_core.errors import CodecError
from vla_core.stamps import peek_stamp_ns


def message_class(type_name: str) -> Any:
    """The class of ``package/msg/Type``; the package must be an installed interface package.

    Raises:
        CodecError: the package or the type is not installed.
    """
    package, _, name = type_name.split("/")
    try:
        get_resource("rosidl_interfaces", package)
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except (LookupError, ImportError, AttributeError) as error:
        raise CodecError(
            "the message type is not installed",
            found=type_name,
            allowed="a type that `ros2 topic pub` knows in this shell",
            fix=f"install the package {package} and source its workspace",
        ) from error


def stamp_reader(type_name: str) -> Callable[[bytes], int] | None:
    """Reads the header stamp of a serialised message, or None where the type has no header."""
    fields = list(message_class(type_name).get_fields_and_field_types().items())
    if fields and fields[0] == ("header", "std_msgs/Header"):
        return peek_stamp_ns
    return None


class LossCounter:
    """Counts the messages of one publisher that never arrived, by the gaps in their numbers."""

    def __init__(self) -> None:
        self.received = 0
        self.lost = 0
        self._last = 0

    def count(self, info: Mapping[str, Any]) -> None:
        """Take note of a message by the info that rclpy gives with it."""
        number = info["publication_sequence_number"] or 0
        if self.received and number > self._last:  # a smaller one is of a new publisher
            self.lost += number - self._last - 1
        self._last = number
        self.received += 1
