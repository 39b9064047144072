"""Which topics an episode holds, as its contract says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from vla_core.contract import Camera, Contract, Stream

LEAST_MESSAGE_BYTES = 100  # of a message with a header and a few numbers
CHUNKS_HZ = 4  # how often a chunk of the file should be full, and so be safe from kill -9
MAX_CHUNK_BYTES = 1 << 16


class Role(Enum):
    """What a topic is to an episode."""

    STREAM = "stream"
    CAMERA = "camera"
    ACTION = "action"  # a dataset is made of it; some robots have only one of several
    CONTEXT = "context"  # what else there was, if there was


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A topic to record.

    Attributes:
        name: For people, and for /diagnostics.
        source: Of the contract, where it has one.
        kept: Of what was heard before an episode, so many different messages belong into it: a
            state lasts until the next is told.
        is_latched: Whether it is published transient local.
    """

    name: str
    topic: str
    type: str
    role: Role
    source: Stream | Camera | None = None
    kept: int = 0
    is_latched: bool = False


class Raw(NamedTuple):
    """A serialised message.

    Attributes:
        topic: Which, among those recorded.
        received_ns: ROS time.
        number: Of its publisher, from 1; 0 where the middleware does not say.
    """

    topic: int
    received_ns: int
    data: bytes
    number: int


def recorded_topics(contract: Contract) -> tuple[Recorded, ...]:
    """Measurements, images, actions, and what explains them."""
    sources: tuple[Stream | Camera, ...] = (*contract.streams, *contract.cameras)
    status, transforms = "diagnostic_msgs/msg/DiagnosticStatus", "tf2_msgs/msg/TFMessage"
    return (
        *(
            Recorded(
                name=source.name,
                topic=source.topic,
                type=source.type,
                role=Role.STREAM if isinstance(source, Stream) else Role.CAMERA,
                source=source,
            )
            for source in sources
        ),
        _action("commanded", "executor_node/commanded", "sensor_msgs/msg/JointState"),
        *(_action(f"action/{group.name}", group.topic, group.type) for group in contract.action),
        _context("executor status", "executor_node/status", status, 1, is_latched=True),
        _context("prompt", "policy_node/prompt", "std_msgs/msg/String", 1),
        _context("tf_static", "/tf_static", transforms, 100, is_latched=True),
    )


def _action(name: str, topic: str, type_name: str) -> Recorded:
    return Recorded(name=name, topic=topic, type=type_name, role=Role.ACTION)


def _context(
    name: str, topic: str, type_name: str, kept: int, *, is_latched: bool = False
) -> Recorded:
    return Recorded(
        name=name,
        topic=topic,
        type=type_name,
        role=Role.CONTEXT,
        kept=kept,
        is_latched=is_latched,
    )


def chunk_bytes(contract: Contract) -> int:
    """Size at which a chunk of an MCAP file is closed, and so written.

    Small messages fill it several times a second, an image fills one by itself.
    """
    sources: tuple[Stream | Camera, ...] = (*contract.streams, *contract.cameras)
    rate_hz = sum(source.rate_hz for source in sources)
    return min(max(1, round(rate_hz * LEAST_MESSAGE_BYTES / CHUNKS_HZ)), MAX_CHUNK_BYTES)
