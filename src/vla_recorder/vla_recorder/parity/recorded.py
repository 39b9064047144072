"""What conversion chooses of a bag at some ticks, and what a node hears before each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from vla_core.contract import Contract
from vla_core.errors import CodecError, SampleError
from vla_core.sampling import as_of
from vla_core.types import ImageArray, Observation
from vla_recorder.bags import Decoder, RawMessage, open_bag
from vla_recorder.convert.gather import gather
from vla_recorder.convert.options import ActionSource
from vla_recorder.convert.pictures import Fit
from vla_recorder.convert.rows import DamagedMessage, RowReader
from vla_recorder.convert.scan import ScanTask, scan
from vla_recorder.convert.sources import sensors

HEARD = 3  # newest messages of each stream that are played before a tick: it chooses among them


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recorded:
    """One tick of a bag.

    Attributes:
        heard: Topic of the contract and serialised message, in the order of their stamps.
        observation: As conversion lays it out.
    """

    heard: Sequence[tuple[str, bytes]]
    observation: Observation


def read_ticks(
    bag_path: Path, contract: Contract, *, count: int, period_ns: int, prompt: str
) -> Iterator[Recorded]:
    """Up to ``count`` ticks, spread over the bag, at which every stream has a fresh message.

    Args:
        bag_path: The bag.
        contract: It was recorded under.
        count: How many ticks at most.
        period_ns: They are multiples of it.
        prompt: Of the observations.

    Raises:
        BagError, ConvertError: The bag cannot be converted.
        CodecError: A message does not hold what the contract says.
    """
    task = ScanTask(bag=bag_path, contract=contract, receive_time=False)
    scanned = scan(task, lambda _: None)
    names = {source.name: source for source in sensors(contract)}
    times = {name: scanned.times[name].sorted() for name in names}
    first_ns = max(int(found.stamps_ns[0]) for found in times.values())
    last_ns = min(int(found.stamps_ns[-1]) for found in times.values())
    stamps = {name: found.stamps_ns.tolist() for name, found in times.items()}
    ages = {name: round(1e9 * source.max_age_s) for name, source in names.items()}
    ticks, places = [], []
    for t_ns in range(-(-first_ns // period_ns) * period_ns, last_ns + 1, period_ns):
        try:
            places.append({name: as_of(stamps[name], t_ns, ages[name]) for name in names})
            ticks.append(t_ns)
        except SampleError:
            continue
    some = np.unique(np.linspace(0, len(ticks) - 1, min(count, len(ticks))).round().astype(int))
    chosen = {
        f"{back} {name}": np.array(
            [times[name].numbers[max(0, places[at][name] - back)] for at in some], np.int64
        )
        for name in names
        for back in range(HEARD)
    }
    stamp_of = {
        name: dict(zip(found.numbers.tolist(), found.stamps_ns.tolist(), strict=True))
        for name, found in times.items()
    }
    with open_bag(bag_path) as bag:
        decoder = Decoder(bag.topics)
        rows = RowReader(
            replace(contract, action=()),  # what was commanded is no input
            action=ActionSource.STATE,
            depth=scanned.depth,
            fit=Fit(crop={}, resize=None),
            decode=lambda raw: decoder.decode(raw.topic, raw.data),
        )
        wanted = {scanned.topics[name] for name in names}
        if not len(some):
            return
        for at, messages in zip(some, gather(bag.messages(wanted), chosen), strict=False):
            try:
                row = rows.read({name: messages[f"0 {name}"] for name in names}, ticks[at])
            except DamagedMessage as error:
                raise CodecError(
                    "a message cannot be read",
                    where=error.damage.source,
                    found=error.damage.reason,
                ) from error
            images = cast(Mapping[str, ImageArray], row.pictures)  # no policy takes depth
            yield Recorded(
                heard=_heard(messages, stamp_of, {n: s.topic for n, s in names.items()}),
                observation=Observation(
                    stamp_ns=ticks[at], state=row.state, images=images, prompt=prompt
                ),
            )


def _heard(
    messages: Mapping[str, RawMessage],
    stamp_of: Mapping[str, Mapping[int, int]],
    topics: Mapping[str, str],
) -> list[tuple[str, bytes]]:
    """Each message once, by stamp."""
    found = {}
    for key, raw in messages.items():
        name = key.partition(" ")[2]
        found[raw.number] = (stamp_of[name][raw.number], raw.number, topics[name], raw.data)
    return [(topic, bytes(data)) for _, _, topic, data in sorted(found.values())]
