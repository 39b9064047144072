"""First reading of a bag: times, marks and losses; no picture is decoded and none is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from vla_core.contract import Contract
from vla_recorder.bags import Bag, BagError, Decoder, Loss, RawMessage, open_bag
from vla_recorder.bags.losses import read_recovered
from vla_recorder.convert.clock import Times, jumps, runs_backwards, without_strays
from vla_recorder.convert.columns import Column
from vla_recorder.convert.errors import ConvertError
from vla_recorder.convert.sources import (
    Place,
    command_age_s,
    find_robot,
    is_command,
    sensors,
    wanted_topics,
)
from vla_recorder.marks import SUFFIX, TYPE, Mark, read_mark

Progress = Callable[[int], None]
_CLOCKS_NS: Final = 1_000_000_000  # headers and receipt so far apart are two clocks
_REPORT_BYTES: Final = 32 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanTask:
    """A bag to be read."""

    bag: Path
    contract: Contract
    receive_time: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan:
    """What a bag holds.

    Attributes:
        bag: The bag.
        sha256: By file of it.
        custom: The metadata that its recorder gave it.
        topics: By source, the topic in the bag.
        times: By source, of its usable messages.
        depth: Cameras that measure depth.
        marks: Of this robot, in the order of the bag.
        other_marks: By topic, how many marks are of another robot.
        messages: How many there are, of all topics that were read.
        losses: Of the bag's files, and of those that it was recovered from.
        dropped: By source (marks: by topic) and reason, messages that cannot be used.
        cuts: Numbers at which a clock jumped, with the reason.
    """

    bag: Path
    sha256: Mapping[str, str]
    custom: Mapping[str, str]
    topics: Mapping[str, str]
    times: Mapping[str, Times]
    depth: frozenset[str]
    marks: tuple[Mark, ...]
    other_marks: Mapping[str, int]
    messages: int
    losses: tuple[Loss, ...]
    dropped: Mapping[str, Mapping[str, int]]
    cuts: Mapping[int, str]


def scan(task: ScanTask, progress: Progress) -> Scan:
    """Read a bag once.

    Args:
        task: Which.
        progress: Told of the bytes that were read.

    Raises:
        BagError: It is no bag, or a type of it cannot be decoded.
        ConvertError: It lacks a stream, or its stamps cannot be used.
    """
    with open_bag(task.bag) as bag:
        return _scan(bag, task, progress)


def _scan(bag: Bag, task: ScanTask, progress: Progress) -> Scan:
    types = {name: topic.type for name, topic in bag.topics.items()}
    place = find_robot(task.contract, types, str(task.bag))
    topics = wanted_topics(task.contract, types, place, str(task.bag))
    with ThreadPoolExecutor(1) as pool:  # hashing lets other threads run
        hashes = pool.submit(bag.sha256)
        columns, marks, messages = _read(bag, task, topics, place, progress)
        sha256 = hashes.result()
    dropped: dict[str, Mapping[str, int]] = {
        topic: {"cannot be decoded": count} for topic, count in marks.lost.items()
    }
    found: dict[str, Times] = {}
    cuts: dict[int, str] = {}
    ages_s = {source.name: source.max_age_s for source in sensors(task.contract)}
    for name, topic in topics.items():
        times, of_topic = columns[topic].times(by_receipt=task.receive_time)
        found[name], strays = without_strays(times)
        of_topic |= {"stray stamp": strays} if strays else {}
        dropped |= {name: of_topic} if of_topic else {}
        if runs_backwards(found[name]):
            raise _backwards(task.bag, topic)
        back_ns = round(1e9 * ages_s.get(name, command_age_s(task.contract)))
        at = jumps(found[name], back_ns=back_ns, silences=not is_command(name))
        cuts |= dict.fromkeys(at.tolist(), name)
    if not task.receive_time:
        _require_one_clock(columns, topics, found, task.bag)
    scanned = Scan(
        bag=task.bag,
        sha256=sha256,
        custom=dict(bag.custom),
        topics=topics,
        times=found,
        depth=frozenset(
            camera.name for camera in task.contract.cameras if columns[topics[camera.name]].depth
        ),
        marks=tuple(marks.found),
        other_marks=dict(marks.others),
        messages=messages,
        losses=(*read_recovered(bag.custom), *bag.losses),
        dropped=dropped,
        cuts=cuts,
    )
    _require_times(scanned, task.contract)
    return scanned


@dataclass(slots=True)
class _Marks:
    """Collects the marks of one robot; by topic it counts what is none."""

    place: Place
    robot: str
    decoder: Decoder
    found: list[Mark] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)

    def add(self, message: RawMessage) -> None:
        try:
            decoded = self.decoder.decode(message.topic, message.data)
            mark = read_mark(decoded, number=message.number, received_ns=message.received_ns)
            robot = str(decoded.hardware_id)
        except (BagError, AttributeError, TypeError):  # that name, with other fields
            self.lost[message.topic] += 1
            return
        if mark is None:
            return
        if robot in ("", self.robot) and self.place.holds(message.topic):
            self.found.append(mark)
        else:
            self.others[message.topic] += 1


def _read(
    bag: Bag, task: ScanTask, topics: Mapping[str, str], place: Place, progress: Progress
) -> tuple[dict[str, Column], _Marks, int]:
    """One pass: times by topic, marks, the number behind the last message."""
    decoder = Decoder(bag.topics)
    cameras = {topics[camera.name]: camera for camera in task.contract.cameras}
    commands = {topic for name, topic in topics.items() if is_command(name)}
    columns = {
        topic: Column(topic, decoder, camera=cameras.get(topic), zero_is_now=topic in commands)
        for topic in topics.values()
    }
    marked = {
        name for name, topic in bag.topics.items() if topic.type == TYPE and name.endswith(SUFFIX)
    }
    marks = _Marks(place=place, robot=task.contract.robot, decoder=decoder)
    end = seen_bytes = 0
    for message in bag.messages({*columns, *marked}):
        end = message.number + 1
        if message.topic in marked:
            marks.add(message)
        else:
            columns[message.topic].add(message)
        seen_bytes += len(message.data)
        if seen_bytes > _REPORT_BYTES:
            progress(seen_bytes)
            seen_bytes = 0
    progress(seen_bytes)
    return columns, marks, end


def _backwards(bag: Path, topic: str) -> ConvertError:
    return ConvertError(
        "the stamps of a stream go backwards",
        where=f"{bag}, {topic}",
        found="most of them lie before the one before",
        fix="correct header.stamp in the driver; or judge by receipt: --receive-time",
    )


def _require_times(scanned: Scan, contract: Contract) -> None:
    for source in sensors(contract):
        if not len(scanned.times[source.name]):
            raise ConvertError(
                "a stream has no message that can be placed in time",
                where=f"{scanned.bag}, {source.topic}",
                found=scanned.dropped.get(source.name) or "no message",
                allowed="header stamps",
                fix="fill header.stamp in the driver; or judge by receipt: --receive-time",
            )


def _require_one_clock(
    columns: Mapping[str, Column], topics: Mapping[str, str], times: Mapping[str, Times], bag: Path
) -> None:
    """What has no header is placed by its receipt, which then must be of the headers' clock."""
    by_header = [times[n] for n, t in topics.items() if columns[t].stamped and len(times[n])]
    by_receipt = [n for n, t in topics.items() if not columns[t].stamped and len(times[n])]
    offsets = [float(np.median(of.received_ns - of.stamps_ns)) for of in by_header]
    if by_receipt and offsets and max(offsets, key=abs) and max(map(abs, offsets)) > _CLOCKS_NS:
        raise ConvertError(
            "messages without a header cannot be placed beside those with one",
            where=f"{bag}: {', '.join(by_receipt)}",
            found=f"headers {max(offsets, key=abs) / 1e9:.1f} s from receipt",
            allowed=f"{_CLOCKS_NS / 1e9:g} s",
            fix="judge all by their receipt: --receive-time",
        )
