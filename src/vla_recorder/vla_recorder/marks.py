"""Marks: the messages that tell where episodes begin and end, and what they are.

A mark is a diagnostic_msgs/msg/DiagnosticStatus: docs/recording.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

TYPE: Final = "diagnostic_msgs/msg/DiagnosticStatus"
SUFFIX: Final = "/marks"  # of the topic's name
NAME: Final = "episode"  # the message's own
_MAX_DIGITS = 19  # of a time in ns


class Event(str, Enum):
    """What happened; the value is the message's text."""

    START = "start"
    STOP = "stop"
    DISCARD = "discard"
    LABEL = "label"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that happened to an episode.

    Attributes:
        event: An ``Event``, or what another recorder knows.
        episode: Its id.
        time_ns: When, in ROS time.
        number: Place of the message in the bag.
        received_ns: When the mark was recorded.
        values: Task, operator, success and the rest, as text.
    """

    event: str
    episode: str
    time_ns: int
    number: int
    received_ns: int
    values: dict[str, str] = field(default_factory=dict)


def mark_values(
    episode: Mapping[str, str], *, time_ns: int, contract_sha256: str
) -> dict[str, str]:
    """The key-value pairs of a mark.

    Args:
        episode: What is known of it, as text; its id is ``episode``.
    """
    values = {**episode, "time_ns": str(time_ns), "contract_sha256": contract_sha256}
    return {key: value for key, value in values.items() if key != "bad" or value}


def read_mark(message: Any, *, number: int, received_ns: int) -> Mark | None:
    """A mark of a DiagnosticStatus; None of one that is none."""
    values = {str(item.key): str(item.value) for item in message.values}
    time = values.get("time_ns", "")
    if message.name != NAME or not time.isdecimal() or len(time) > _MAX_DIGITS:
        return None
    return Mark(
        event=str(message.message),
        episode=values.get("episode", ""),
        time_ns=int(time),
        number=number,
        received_ns=received_ns,
        values=values,
    )
