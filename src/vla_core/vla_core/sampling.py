"""Causal as-of sampling: which sample of each stream belongs to a tick, live and offline.

All times are integer nanoseconds of one clock.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from vla_core.errors import SampleError

FUTURE_TOLERANCE_NS = 5_000_000
REWIND_NS = 1_000_000_000
P = TypeVar("P")


def pick(stamps_ns: Sequence[int], t_ns: int, max_age_ns: int) -> int:
    """As `as_of`, live: a stamp that is ahead of now says that the clocks disagree.

    Raises:
        SampleError: as `as_of`, or the newest stamp is from the future.
    """
    ahead_ns = stamps_ns[-1] - t_ns if stamps_ns else 0
    if ahead_ns > FUTURE_TOLERANCE_NS:
        raise SampleError(
            "a stamp from the future",
            found=f"{ahead_ns / 1e9:.3f} s ahead",
            allowed=f"{FUTURE_TOLERANCE_NS / 1e9} s",
            fix="synchronise the clocks of the machines",
        )
    return as_of(stamps_ns, t_ns, max_age_ns)


def as_of(stamps_ns: Sequence[int], t_ns: int, max_age_ns: int) -> int:
    """Index of the newest stamp that is not after ``t_ns``; later ones do not count.

    Args:
        stamps_ns: Ascending header stamps of one stream.
        t_ns: The tick.
        max_age_ns: Oldest age at which a sample still counts.

    Raises:
        SampleError: no sample yet, or the newest one not after the tick is too old.
    """
    if not stamps_ns:
        raise SampleError("no message has arrived")
    index = bisect_right(stamps_ns, t_ns) - 1
    age_ns = t_ns - stamps_ns[max(index, 0)]
    if index < 0 or age_ns > max_age_ns:
        raise SampleError(
            "too old" if index >= 0 else "no message from before the tick",
            found=f"{age_ns / 1e9:.3f} s",
            allowed=f"{max_age_ns / 1e9:.3f} s",
        )
    return index


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(Generic[P]):
    """A message, serialised or not, with its header stamp and the monotonic time of receipt."""

    stamp_ns: int
    received_ns: int
    payload: P


class StreamBuffer(Generic[P]):
    """The newest samples of one stream, in the order of their stamps.

    A stamp that goes back by more than ``REWIND_NS`` means that the clock was set back: what was
    there before belongs to another time and is dropped.
    """

    def __init__(self, *, name: str, max_age_s: float, length: int = 64) -> None:
        self.name = name
        self.max_age_ns = round(max_age_s * 1e9)
        self.rewinds = 0
        self._length = length
        self._stamps_ns: list[int] = []
        self._samples: list[Sample[P]] = []

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, sample: Sample[P]) -> None:
        """Insert by stamp; the oldest sample leaves when the buffer is full."""
        if self._stamps_ns and sample.stamp_ns < self._stamps_ns[-1] - REWIND_NS:
            self.rewinds += 1
            self._stamps_ns.clear()
            self._samples.clear()
        at = bisect_right(self._stamps_ns, sample.stamp_ns)
        self._stamps_ns.insert(at, sample.stamp_ns)
        self._samples.insert(at, sample)
        if len(self._samples) > self._length:
            del self._stamps_ns[0], self._samples[0]

    def at(self, t_ns: int, received_now_ns: int | None = None) -> Sample[P]:
        """The sample for a tick; live callers also give the monotonic time, to judge receipt.

        Raises:
            SampleError: as ``pick``, or nothing was received for longer than the age limit.
        """
        try:
            sample = self._samples[pick(self._stamps_ns, t_ns, self.max_age_ns)]
        except SampleError as error:
            error.where = self.name
            raise
        if received_now_ns is not None:
            silent_ns = received_now_ns - sample.received_ns
            if silent_ns > self.max_age_ns:
                raise SampleError(
                    "received too long ago",
                    where=self.name,
                    found=f"{silent_ns / 1e9:.3f} s",
                    allowed=f"{self.max_age_ns / 1e9:.3f} s",
                )
        return sample

    def as_of(self, t_ns: int) -> Sample[P] | None:
        """The newest sample not after ``t_ns``, else the oldest there is, whatever its age."""
        if not self._samples:
            return None
        return self._samples[max(bisect_right(self._stamps_ns, t_ns) - 1, 0)]


def select(
    buffers: Mapping[str, StreamBuffer[P]], t_ns: int, received_now_ns: int | None = None
) -> dict[str, Sample[P]]:
    """The sample of every stream for one tick.

    Raises:
        SampleError: naming every stream that has none, with its reason.
    """
    chosen: dict[str, Sample[P]] = {}
    refused: list[SampleError] = []
    for name, buffer in buffers.items():
        try:
            chosen[name] = buffer.at(t_ns, received_now_ns)
        except SampleError as error:
            refused.append(error)
    if refused:
        raise SampleError(
            "no observation at this tick",
            where=", ".join(error.where for error in refused),
            found="; ".join(f"{e.where}: {e.what} {e.found}".rstrip() for e in refused),
            allowed="a fresh message on every stream and camera of the contract",
            fix="check with: ros2 topic hz",
        )
    return chosen
