"""What a bag holds, and what of it was lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from vla_core.errors import VlaError

MAX_TIME_NS = 2**63 - 1  # what 64-bit arrays of nanoseconds hold
MAX_MESSAGE_BYTES = 256 << 20  # a raw 8K picture has 100 MB; also of a chunk


class BagError(VlaError):
    """A bag that cannot be read, or a message in it that cannot be decoded."""

    code = "BAG"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A topic as the bag describes it.

    Attributes:
        type: ``sensor_msgs/msg/Image``.
        definition: The embedded text of the type and of all that it uses; "" if there is none.
        definition_format: ``ros2msg`` or ``ros2idl``.
        encoding: How its messages are serialised: ``cdr``.
        offered_qos: YAML, as the recorder wrote it.
        type_hash: ``RIHS01_...``, or "".
    """

    name: str
    type: str
    definition: str = ""
    definition_format: str = "ros2msg"
    encoding: str = "cdr"
    offered_qos: str = ""
    type_hash: str = ""


class RawMessage(NamedTuple):
    """One serialised message. A tuple, since millions of them are made.

    Attributes:
        received_ns: When the recorder got it.
        number: Its place among the bag's readable messages, from 0; the same in each reading.
    """

    topic: str
    received_ns: int
    data: bytes
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A damaged or missing piece of a bag.

    Attributes:
        file: Its name.
        what: What is wrong there.
        offset: Where it starts in the file, if that can be said.
        bytes: How much was passed over.
        messages: How many messages were lost with it; None when that cannot be known.
        topics: The same by topic, as far as known.
        doubtful: Messages of this piece were delivered, and some of their bytes may be wrong.
    """

    file: str
    what: str
    offset: int | None = None
    bytes: int = 0
    messages: int | None = None
    topics: Mapping[str, int] = field(default_factory=dict)
    doubtful: bool = False


class Stored(NamedTuple):
    """A message as one file of a bag gives it."""

    topic: str
    received_ns: int
    data: bytes


class BagFile(Protocol):
    """One opened file of a bag."""

    @property
    def topics(self) -> Mapping[str, Topic]:
        """All of its topics by name."""

    @property
    def metadata(self) -> str:
        """The YAML text that the recorder embedded in it, or ""."""

    @property
    def losses(self) -> list[Loss]:
        """What the newest reading met; complete when it is exhausted."""

    @property
    def kept(self) -> Mapping[str, int]:
        """How many messages of each topic that reading found, asked for or not."""

    @property
    def unchecked(self) -> int:
        """How many of them no checksum protects."""

    def messages(self, topics: frozenset[str] | None) -> Iterator[Stored | None]:
        """All messages in file order; None stands for one of a topic not asked for."""

    def close(self) -> None:
        """Closes the file."""
