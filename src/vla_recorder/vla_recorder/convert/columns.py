"""The times of one topic's messages, as they come."""

from __future__ import annotations

import dataclasses
from array import array
from typing import Final

import numpy as np

from vla_core.contract import Camera
from vla_core.errors import CodecError
from vla_core.stamps import peek_stamp_ns
from vla_recorder.bags import BagError, Decoder, RawMessage
from vla_recorder.convert.clock import Times
from vla_recorder.convert.pictures import is_depth

_TRIED: Final = 100  # messages of a topic before it counts as one that cannot be decoded


class Column:
    """Collects stamps, times of receipt and numbers.

    Args:
        topic: In the bag.
        decoder: Of the bag.
        camera: Whose pictures these are, if any.
        zero_is_now: A stamp of zero asks for execution at once, as in commands to trajectory
            controllers, and stands for the time of receipt.

    Attributes:
        depth: Whether the pictures are depth.
        stamped: Whether messages begin with a header; None while that is not known.
    """

    def __init__(
        self, topic: str, decoder: Decoder, *, camera: Camera | None, zero_is_now: bool
    ) -> None:
        self.depth = False
        self.stamped: bool | None = None
        self._topic, self._decoder, self._camera = topic, decoder, camera
        self._zero_is_now = zero_is_now
        self._refusal: BagError | None = None
        self._tried = 0
        self._dropped: dict[str, int] = {}
        self._stamps_ns, self._received_ns, self._numbers = array("q"), array("q"), array("q")

    def add(self, message: RawMessage) -> None:
        """The next message of the topic.

        Raises:
            BagError: None of the first ones can be decoded.
        """
        if self.stamped is None and not self._look(message):
            return self._drop("cannot be decoded")
        stamp_ns = message.received_ns
        if self.stamped:
            try:
                stamp_ns = peek_stamp_ns(message.data, where=self._topic)
            except CodecError:
                return self._drop("no valid stamp")
        if stamp_ns == 0 and self._zero_is_now:
            stamp_ns = message.received_ns
        self._stamps_ns.append(stamp_ns)
        self._received_ns.append(message.received_ns)
        self._numbers.append(message.number)
        return None

    def _look(self, message: RawMessage) -> bool:
        """Learn from a whole message how those of this type begin."""
        self._tried += 1
        try:
            decoded = self._decoder.decode(self._topic, message.data)
        except BagError as error:
            self._refusal = self._refusal or error
            if self._tried == _TRIED:
                raise self._refusal from None
            return False
        first = dataclasses.fields(decoded)[0].name
        self.stamped = first == "header" and hasattr(decoded.header, "stamp")
        self.depth = self._camera is not None and is_depth(self._camera, decoded)
        return True

    def _drop(self, reason: str) -> None:
        self._dropped[reason] = self._dropped.get(reason, 0) + 1

    def times(self, *, by_receipt: bool) -> tuple[Times, dict[str, int]]:
        """What can be placed in time, and how many messages cannot, by reason.

        Raises:
            BagError: No message could be decoded.
        """
        if self.stamped is None and self._refusal is not None:
            raise self._refusal
        stamps_ns, received_ns, numbers = (
            np.array(values, np.int64)
            for values in (self._stamps_ns, self._received_ns, self._numbers)
        )
        times = Times(
            stamps_ns=received_ns if by_receipt else stamps_ns,
            received_ns=received_ns,
            numbers=numbers,
        )
        unset = times.stamps_ns <= 0
        dropped = {"stamp of zero": int(unset.sum())} if unset.any() else {}
        return times.chosen(~unset), self._dropped | dropped
