"""Header stamps of messages and of serialised messages, as integer nanoseconds."""

from __future__ import annotations

import struct
from typing import Any

from vla_core.errors import CodecError

NANOSECONDS = 1_000_000_000
_MAX_SEC = 2**31 - 1

# Encapsulations under which a leading std_msgs/Header starts right behind the identifier:
# CDR_BE, CDR_LE, PLAIN_CDR2_BE, PLAIN_CDR2_LE. Source: OMG DDS-XTypes 1.3, section 7.6.3.1.2.
_STAMP_LAYOUT = {
    0x0000: struct.Struct(">iI"),
    0x0001: struct.Struct("<iI"),
    0x0006: struct.Struct(">iI"),
    0x0007: struct.Struct("<iI"),
}
_ENCAPSULATION_BYTES = 4


def peek_stamp_ns(serialized: bytes | bytearray | memoryview, *, where: str = "") -> int:
    """Read the header stamp of a CDR message whose first member is a std_msgs/Header.

    The message is not deserialised, so its cost does not grow with the image behind the header.

    Args:
        serialized: The message as received: encapsulation header (4 bytes), then the body.
        where: The topic, for the error.

    Returns:
        The stamp in nanoseconds.

    Raises:
        CodecError: The buffer is too short, of another encapsulation, or holds no valid stamp.
    """
    if len(serialized) < _ENCAPSULATION_BYTES + 8:
        raise CodecError(
            "serialised message is too short to hold a header stamp",
            where=where,
            found=f"{len(serialized)} bytes",
            allowed="at least 12 bytes",
            fix="check that the message type starts with a std_msgs/Header",
        )
    identifier = int.from_bytes(serialized[:2], "big")
    layout = _STAMP_LAYOUT.get(identifier)
    if layout is None:
        raise CodecError(
            "serialised message has an unknown encapsulation",
            where=where,
            found=f"0x{identifier:04x}",
            allowed=", ".join(f"0x{known:04x}" for known in _STAMP_LAYOUT),
            fix="use a middleware that serialises to plain CDR",
        )
    sec, nanosec = layout.unpack_from(serialized, _ENCAPSULATION_BYTES)
    return _to_ns(sec, nanosec, where)


def stamp_ns(message: Any, *, where: str = "") -> int:
    """Return the header stamp of a message in nanoseconds.

    Raises:
        CodecError: The message has no header, or its stamp is not valid.
    """
    try:
        stamp = message.header.stamp
        sec, nanosec = int(stamp.sec), int(stamp.nanosec)
    except (AttributeError, TypeError, ValueError) as error:
        raise CodecError(
            "message has no header stamp",
            where=where,
            found=type(message).__name__,
            allowed="a message type with a std_msgs/Header",
            fix="judge this stream by its receive time in the contract",
        ) from error
    return _to_ns(sec, nanosec, where)


def split_ns(time_ns: int, *, where: str = "") -> tuple[int, int]:
    """Split nanoseconds into the (sec, nanosec) of builtin_interfaces Time and Duration.

    Raises:
        CodecError: The time is negative or does not fit 32-bit seconds.
    """
    sec, nanosec = divmod(time_ns, NANOSECONDS)
    if not 0 <= sec <= _MAX_SEC:
        raise CodecError(
            "time does not fit a ROS message",
            where=where,
            found=f"{time_ns} ns",
            allowed=f"0 to {_MAX_SEC} s",
            fix="give nanoseconds since the epoch, or a duration from zero",
        )
    return sec, nanosec


def _to_ns(sec: int, nanosec: int, where: str) -> int:
    if not 0 <= nanosec < NANOSECONDS:
        raise CodecError(
            "header stamp is not a time",
            where=where,
            found=f"sec={sec} nanosec={nanosec}",
            allowed="nanosec below 1000000000",
            fix="check that the message type starts with a std_msgs/Header",
        )
    return sec * NANOSECONDS + nanosec
