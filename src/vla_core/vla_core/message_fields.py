"""Reading the fields of a message: any object that has them, rclpy's or rosbags'."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_core.errors import CodecError


def read_field(message: Any, field: str, where: str) -> Any:
    """Return one field.

    Raises:
        CodecError: The message has no such field.
    """
    try:
        return getattr(message, field)
    except AttributeError as error:
        raise CodecError(
            f"message has no field {field}",
            where=where,
            found=type(message).__name__,
            fix="check the type of this topic in the contract: `ros2 topic info`",
        ) from error


def read_integer(message: Any, field: str, where: str) -> int:
    """Return one whole number.

    Raises:
        CodecError: The field is absent or holds something else.
    """
    value = read_field(message, field, where)
    try:
        return operator.index(value)
    except TypeError as error:
        raise CodecError(
            f"field {field} is not a whole number", where=where, found=type(value).__name__
        ) from error


def read_bytes(message: Any, field: str, where: str) -> npt.NDArray[np.uint8]:
    """View an uint8[] field as (bytes,) uint8, whatever holds it: array, bytes or numpy.

    Raises:
        CodecError: The field is absent or holds something else.
    """
    data = read_field(message, field, where)
    try:
        view = memoryview(data)
        if view.itemsize != 1 or view.ndim != 1 or not view.contiguous:
            raise TypeError(f"{view.ndim} dimensions of {view.itemsize} bytes")
    except TypeError as error:
        raise CodecError(
            f"field {field} does not hold bytes",
            where=where,
            found=f"{type(data).__name__}: {error}",
            allowed="uint8[]",
        ) from error
    return np.frombuffer(view, dtype=np.uint8) if view.nbytes else np.empty(0, np.uint8)


def check_choice(what: str, found: str, allowed: Sequence[str], where: str) -> None:
    """Refuse a value that is not one of the allowed ones.

    Raises:
        CodecError: It says `what`, and lists the allowed values.
    """
    if found not in allowed:
        raise CodecError(
            what,
            where=where,
            found=repr(found[:80]),
            allowed=", ".join(allowed),
            fix="correct this topic in the contract, or its driver",
        )
