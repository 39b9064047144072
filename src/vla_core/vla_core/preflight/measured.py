"""What was measured on a robot's topics in one window of time.

Letters in shapes: N messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_core.errors import CodecError

Pixels = npt.NDArray[Any]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A publisher or subscriber of a topic.

    Attributes:
        node: Its full name.
        type: Its message type.
        refusal: Why its quality of service does not go with ours; empty when it does.
    """

    node: str
    type: str
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A message: header stamp (None: its type has none) and the time of receipt on two clocks."""

    stamp_ns: int | None
    clock_ns: int  # of the ROS clock
    received_ns: int  # of the system clock


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMeasured:
    """One stream or camera.

    Attributes:
        publishers: Who publishes on the topic, with whatever type.
        elsewhere: Other topics that carry the type, where nobody publishes on this one.
        arrivals: In order of receipt.
        lost: Messages that never arrived, as far as their numbers tell.
        refused: Messages that did not hold what the contract says, and why.
        joints: Contract joint name -> (N,) values, of a stream.
        pictures: Some of the decoded images, spread over the window, of a camera.
    """

    publishers: tuple[Endpoint, ...] = ()
    elsewhere: tuple[str, ...] = ()
    arrivals: tuple[Arrival, ...] = ()
    lost: int = 0
    refused: int = 0
    refusal: CodecError | None = None
    joints: Mapping[str, Values] = field(default_factory=dict)
    pictures: tuple[Pixels, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandMeasured:
    """One command topic: who else publishes there, and who listens."""

    publishers: tuple[Endpoint, ...] = ()
    subscribers: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A window of time.

    Attributes:
        began_ns, ended_ns: Of the system clock.
        sources: By name of the stream or camera.
        commands: By name of the action group.
        simulated: The robot is simulated: how fast its topics are says how busy this machine is,
            and its cameras have no noise.
        alone: No executor of ours runs yet: one that commands is somebody else's.
    """

    began_ns: int
    ended_ns: int
    sources: Mapping[str, SourceMeasured]
    commands: Mapping[str, CommandMeasured]
    simulated: bool = False
    alone: bool = False
