"""First reading of a bag: times, marks and losses; no picture is decoded and none is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from vla_core.contract import Contract
from vla_recorder.bags import Bag, BagError, Decoder, Loss, RawMessage, open_bag
from vla_recorder.convert.clock import Times, jumps, without_strays
from vla_recorder.convert.columns import Column
from vla_recorder.convert.errors import ConvertError
from vla_recorder.convert.sources import is_command, sensors, wanted_topics
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
        marks: In the order of the bag.
        messages: How many there are, of all topics that were read.
        losses: Of the bag's files.
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
    topics = wanted_topics(task.contract, types)
    _require_streams(task.contract, topics, types, task.bag)
    with ThreadPoolExecutor(1) as pool:  # hashing lets other threads run
        hashes = pool.submit(bag.sha256)
        columns, marks, messages, dropped = _read(bag, task, topics, progress)
        sha256 = hashes.result()
    found: dict[str, Times] = {}
    cuts: dict[int, str] = {}
    for name, topic in topics.items():
        times, of_topic = columns[topic].times(by_receipt=task.receive_time)
        found[name], strays = without_strays(times)
        of_topic |= {"stray stamp": strays} if strays else {}
        dropped |= {name: of_topic} if of_topic else {}
        cuts |= {int(at): name for at in jumps(found[name], silences=not is_command(name))}
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
        marks=tuple(marks),
        messages=messages,
        losses=tuple(bag.losses),
        dropped=dropped,
        cuts=cuts,
    )
    _require_times(scanned, task.contract)
    return scanned


def _read(
    bag: Bag, task: ScanTask, topics: Mapping[str, str], progress: Progress
) -> tuple[dict[str, Column], list[Mark], int, dict[str, dict[str, int]]]:
    """One pass: times by topic, marks, the number behind the last message, marks that are lost."""
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
    marks: list[Mark] = []
    lost: dict[str, dict[str, int]] = {}
    end = seen_bytes = 0
    for message in bag.messages({*columns, *marked}):
        end = message.number + 1
        if message.topic in marked:
            try:
                marks += _mark(decoder, message)
            except (BagError, AttributeError, TypeError):  # that name, with other fields
                counted = lost.setdefault(message.topic, Counter())
                counted["cannot be decoded"] += 1
        else:
            columns[message.topic].add(message)
        seen_bytes += len(message.data)
        if seen_bytes > _REPORT_BYTES:
            progress(seen_bytes)
            seen_bytes = 0
    progress(seen_bytes)
    return columns, marks, end, lost


def _mark(decoder: Decoder, message: RawMessage) -> list[Mark]:
    """The mark that a message is, if it is one.

    Raises:
        BagError: It cannot be decoded.
    """
    decoded = decoder.decode(message.topic, message.data)
    mark = read_mark(decoded, number=message.number, received_ns=message.received_ns)
    return [] if mark is None else [mark]


def _require_streams(
    contract: Contract, topics: Mapping[str, str], types: Mapping[str, str], bag: Path
) -> None:
    streams = sensors(contract)
    if missing := [source.topic for source in streams if source.name not in topics]:
        raise ConvertError(
            "the bag lacks topics of the contract",
            where=str(bag),
            found=f"no {', '.join(missing)}, but {', '.join(sorted(types)) or 'no topic at all'}",
            allowed="all streams and cameras of the contract",
            fix="record them, or give the contract that the bag was recorded with",
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
