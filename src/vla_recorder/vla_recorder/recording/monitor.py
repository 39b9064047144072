"""Whether the topics of an episode are what the contract says: counted live, judged at the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from vla_core.errors import CodecError
from vla_core.image_codecs import IMAGE
from vla_core.stamps import peek_stamp_ns
from vla_recorder.recording.topics import Raw, Recorded, Role

RATE_TOLERANCE = 0.2  # of the contract's rate; what the converter refuses, too
LATE_START_NS = 1_000_000_000  # a stream that begins later than so into an episode is a gap
MOVED = 0.02  # rad or m: more than a joint at rest is measured to move
CHECK_STREAM_NS = 100_000_000  # how often a stream's message is read, and not only counted
CHECK_CAMERA_NS = 1_000_000_000
FIRST_COMPARED = 4096  # bytes; pictures of a camera that works differ early
COMPARED = 1 << 16
STAMP_END = 12  # encapsulation (4 bytes), then the stamp (8)
MAX_FAULTS = 1000  # characters of all faults together

Check = Callable[[bytes], Mapping[str, float]]
"""Reads a message: joint values of a stream, nothing of a camera; raises CodecError."""


class Pose:
    """Where the joints were measured last, by name."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}

    def moved_from(self, before: Mapping[str, float]) -> bool:
        """Whether a joint is not where it was."""
        return any(abs(v - before.get(name, v)) > MOVED for name, v in self.values.items())


@dataclass(slots=True)
class Window:
    """Counts of a topic since somebody looked last."""

    received: int = 0
    repeated: int = 0
    age_sum_ns: int = 0
    age_max_ns: int = 0


@dataclass(slots=True)
class Counts:
    """Counts of a topic in one episode; times in ns, ``None`` before there was any."""

    received: int = 0
    lost: int = 0  # by the middleware, as numbers of its messages tell
    dropped: int = 0  # by this recorder, whose disk is too slow
    repeated: int = 0  # equal to the message before
    refused: int = 0
    refusal: str = ""
    unstamped: int = 0
    backwards: int = 0
    first_received_ns: int = 0
    last_received_ns: int = 0
    first_stamp_ns: int = 0
    last_stamp_ns: int = 0
    largest_gap_ns: int = 0
    frozen_ns: int = 0  # longest time with the same picture while joints moved

    def rate_hz(self) -> float:
        """Mean by stamps; nan for fewer than two messages."""
        span_ns = self.last_stamp_ns - self.first_stamp_ns
        return (self.received - 1) * 1e9 / span_ns if span_ns > 0 else math.nan


@dataclass(slots=True)
class Monitor:
    """Watches one topic.

    Args:
        recorded: The topic.
        has_header: Whether its messages start with a std_msgs/Header.
        check: Reads a message of a stream or camera.
        pose: Of the robot, shared by all monitors.
    """

    recorded: Recorded
    has_header: bool
    check: Check
    pose: Pose
    counts: Counts = field(default_factory=Counts)
    window: Window = field(default_factory=Window)
    several: bool = False
    """Several publishers, whose numbers cannot be told apart."""
    _number: int = 0
    _previous: bytes = b""
    _checked_ns: int | None = None
    _run_began_ns: int | None = None
    _run_pose: dict[str, float] = field(default_factory=dict)

    def restart(self) -> None:
        """An episode begins."""
        self.counts = Counts()
        self._checked_ns = None
        self._run_began_ns = None

    def take(self, message: Raw) -> None:
        """Count a message, and look at it as far as its role needs."""
        counts, window = self.counts, self.window
        window.received += 1
        if counts.received and message.number > self._number and not self.several:
            counts.lost += message.number - self._number - 1
        self._number = message.number
        if not counts.received:
            counts.first_received_ns = message.received_ns
        counts.last_received_ns = message.received_ns
        self._take_stamp(message)
        counts.received += 1
        if self.recorded.source is not None:
            self._compare(message)
            self._look(message)

    def _take_stamp(self, message: Raw) -> None:
        counts, stamp_ns = self.counts, message.received_ns
        if self.has_header:
            try:
                stamp_ns = peek_stamp_ns(message.data)
            except CodecError:
                stamp_ns = 0
            if stamp_ns == 0:
                counts.unstamped += 1
                stamp_ns = message.received_ns
        age_ns = message.received_ns - stamp_ns
        self.window.age_sum_ns += age_ns
        self.window.age_max_ns = max(self.window.age_max_ns, abs(age_ns))
        if not counts.received:
            counts.first_stamp_ns = stamp_ns
        elif stamp_ns < counts.last_stamp_ns:
            counts.backwards += 1
        else:
            counts.largest_gap_ns = max(counts.largest_gap_ns, stamp_ns - counts.last_stamp_ns)
        counts.last_stamp_ns = stamp_ns

    def _compare(self, message: Raw) -> None:
        """Count messages equal to the one before but for the stamp."""
        previous, self._previous = self._previous, message.data
        if self.recorded.type == IMAGE and len(previous) != len(message.data):
            self._checked_ns = None  # its size or encoding has changed
        is_equal = _equal(previous, message.data, STAMP_END if self.has_header else 0)
        if not is_equal or self._run_began_ns is None:
            self._run_began_ns = message.received_ns
            self._run_pose = dict(self.pose.values)
        if not is_equal:
            return
        self.counts.repeated += 1
        self.window.repeated += 1
        run_ns = message.received_ns - self._run_began_ns
        if run_ns > self.counts.frozen_ns and self.pose.moved_from(self._run_pose):
            self.counts.frozen_ns = run_ns

    def _look(self, message: Raw) -> None:
        """Read a message now and then: drivers do not change what they send ten times a second."""
        is_stream = self.recorded.role is Role.STREAM
        period_ns = CHECK_STREAM_NS if is_stream else CHECK_CAMERA_NS
        now_ns = message.received_ns
        if self._checked_ns is not None and abs(now_ns - self._checked_ns) < period_ns:
            return
        self._checked_ns = now_ns
        try:
            self.pose.values.update(self.check(message.data))
        except CodecError as error:
            self.counts.refused += 1
            self.counts.refusal = self.counts.refusal or f"{error.what}: {error.found}"


def _equal(one: bytes, other: bytes, begin: int) -> bool:
    """Whether two messages are equal from an offset on; leaves at the first difference."""
    if len(one) != len(other):
        return False
    end = begin + FIRST_COMPARED
    while begin < len(one):
        if one[begin:end] != other[begin:end]:
            return False
        begin, end = end, end + COMPARED
    return True


def faults(
    monitors: Sequence[Monitor],
    *,
    began_ns: int,
    ended_ns: int,
    frozen_ns: int,
    action_required: bool,
) -> str:
    """How an episode breaks the contract; empty when it does not.

    Args:
        began_ns, ended_ns: ROS time of the episode.
        frozen_ns: How long a camera may show the same picture while the robot moves.
        action_required: Whether an episode without any action is bad.
    """
    found = [
        f"{monitor.recorded.name}: {fault}"
        for monitor in monitors
        for fault in _faults(monitor, began_ns, ended_ns, frozen_ns)
    ]
    actions = [m for m in monitors if m.recorded.role is Role.ACTION]
    if action_required and actions and not any(m.counts.received for m in actions):
        found.append("no action: " + ", ".join(m.recorded.topic for m in actions))
    text = "; ".join(found)
    return text if len(text) <= MAX_FAULTS else f"{text[:MAX_FAULTS]}..."


def _faults(monitor: Monitor, began_ns: int, ended_ns: int, frozen_ns: int) -> list[str]:
    counts, source = monitor.counts, monitor.recorded.source
    found = [f"{counts.dropped} dropped, the disk is too slow"] if counts.dropped else []
    if source is None:
        return found
    if not counts.received:
        return [*found, "missing"]
    if counts.refused:
        found.append(counts.refusal)
    if counts.unstamped:
        found.append(f"{counts.unstamped} without a stamp")
    if counts.backwards:
        found.append(f"{counts.backwards} stamps run backwards")
    rate_hz = counts.rate_hz()
    if abs(rate_hz / source.rate_hz - 1) > RATE_TOLERANCE:
        found.append(f"{rate_hz:.1f} Hz, the contract says {source.rate_hz:g}")
    gap_ns = max(counts.largest_gap_ns, ended_ns - counts.last_received_ns)
    allowed_s = max(source.max_age_s, 2 / source.rate_hz)
    if gap_ns > allowed_s * 1e9:
        found.append(f"a gap of {gap_ns / 1e9:.2f} s, the contract allows {allowed_s:g}")
    if (late_ns := counts.first_received_ns - began_ns) > LATE_START_NS:
        found.append(f"begins {late_ns / 1e9:.1f} s late")
    if monitor.recorded.role is Role.CAMERA and counts.frozen_ns > frozen_ns:
        found.append(f"the same picture for {counts.frozen_ns / 1e9:.1f} s while joints moved")
    return found


def figures(monitors: Sequence[Monitor], span_s: float) -> tuple[dict[str, str], list[str]]:
    """What /diagnostics shows, and what is wrong at this moment; the windows begin anew.

    Args:
        span_s: Time since the last call.
    """
    values: dict[str, str] = {}
    wrong: list[str] = []
    ages_ms: list[float] = []
    for monitor in monitors:
        name, source, counts = monitor.recorded.name, monitor.recorded.source, monitor.counts
        window, monitor.window = monitor.window, Window()
        rate_hz = window.received / span_s
        values[f"rate_hz/{name}"] = f"{rate_hz:.1f}"
        if monitor.recorded.role is Role.CONTEXT:
            continue
        values[f"lost/{name}"] = (
            "unknown: several publishers" if monitor.several else f"{counts.lost}"
        )
        values[f"dropped/{name}"] = f"{counts.dropped}"
        if source is None:
            continue
        values[f"repeated/{name}"] = f"{counts.repeated}"
        if window.received and monitor.has_header:
            ages_ms.append(window.age_sum_ns / window.received / 1e6)
            values[f"age_ms/{name}"] = f"{ages_ms[-1]:.1f}"
            values[f"max_age_ms/{name}"] = f"{window.age_max_ns / 1e6:.1f}"
        if rate_hz < source.rate_hz * (1 - RATE_TOLERANCE) - 1 / span_s:
            wrong.append(f"{name}: {rate_hz:.1f} Hz of {source.rate_hz:g}")
        elif monitor.recorded.role is Role.CAMERA and window.repeated == window.received:
            wrong.append(f"{name}: the same picture")
    if ages_ms:
        values["skew_ms"] = f"{max(ages_ms) - min(ages_ms):.1f}"
    return values, wrong
