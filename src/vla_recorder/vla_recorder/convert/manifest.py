"""``meta/conversion.json``: of what a dataset was made, and everything that was lost on the way.

It holds neither times of day nor paths: the same bags give the same bytes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from vla_core.contract import Contract
from vla_core.json_file import read_object
from vla_recorder.bags.losses import plain
from vla_recorder.convert.checks import measure_rates
from vla_recorder.convert.errors import ConvertError
from vla_recorder.convert.options import ActionSource, Options
from vla_recorder.convert.scan import Scan
from vla_recorder.convert.sources import sensors

FILE: Final = "meta/conversion.json"
MAX_BYTES: Final = 256 << 20
_MADE_AS: Final = 3  # to be raised when the same options make other episodes than before


def identity(
    scanned: Scan,
    contract: Contract,
    options: Options,
    *,
    fps: float,
    action: ActionSource,
    about: Mapping[str, Any],
) -> str:
    """A name for an episode: the same where the same is made, whatever the bag is called."""
    parts = {
        "made_as": _MADE_AS,
        "bag_sha256": sorted(scanned.sha256.values()),
        "contract": contract.sha256,
        "fps": fps,
        "action": action.value,
        "options": options.plain(),
        **about,
    }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def describe_bag(scanned: Scan, contract: Contract) -> dict[str, Any]:
    """A bag: its files, its streams as they really came, and its losses."""
    declared = {s.name: s.rate_hz for s in sensors(contract)}
    return {
        "name": scanned.bag.name,
        "sha256": dict(scanned.sha256),
        "contract_sha256": scanned.custom.get("contract_sha256"),
        "streams": {
            name: {
                "topic": scanned.topics[name],
                "declared_hz": declared[name],
                **{key: round(value, 4) for key, value in dataclasses.asdict(rate).items()},
            }
            for name, rate in measure_rates(scanned, contract).items()
        },
        "marks_of_other_robots": dict(scanned.other_marks),
        "dropped_messages": {name: dict(why) for name, why in scanned.dropped.items()},
        "clock_jumps": {str(number): name for number, name in sorted(scanned.cuts.items())},
        "losses": [plain(loss) for loss in scanned.losses],
    }


def losses(run: Mapping[str, Any]) -> list[str]:
    """What a conversion lost, each in a line; empty says that nothing was."""
    lines = []
    for bag in run["bags"]:
        lines += [f"{bag['name']}: {_loss(loss)}" for loss in bag["losses"]]
        lines += [
            f"{bag['name']}, {name}: {count} messages with {why}"
            for name, reasons in bag["dropped_messages"].items()
            for why, count in reasons.items()
        ]
    for episode in run["episodes"]:
        name = f"{episode['bag']}, episode {episode['episode'] or '(whole bag)'}"
        if episode["cut"]:
            lines.append(f"{name}: {episode['cut']}")
        if episode["lost_ticks"]:
            by = ", ".join(f"{stream} {n}" for stream, n in episode["lost_by_stream"].items())
            lines.append(f"{name}: {episode['lost_ticks']} ticks" + (f" ({by})" if by else ""))
        lines += [
            f"{name}: {n} messages of {stream} damaged; {_first(episode, stream)}"
            for stream, n in episode["damaged"].items()
        ]
        if not episode["rows"]:
            why = episode.get("short", "")  # which older manifests do not tell
            lines.append(f"{name}: nothing could be made of it" + (f": {why}" if why else ""))
    return lines + twin_lines(run["left_out"])


def twin_lines(left_out: Iterable[Mapping[str, str]]) -> list[str]:
    """What of the episodes that are left out is told as a loss."""
    return [
        f"{entry['bag']}, episode {entry['episode']}: left out, {entry['why']}"
        for entry in left_out
        if "twin" in entry
    ]


def _first(episode: Mapping[str, Any], stream: str) -> str:
    """The first reason of damage; older manifests have reasons of all streams in one list."""
    first = episode["damaged_first"]
    return f"first {first[stream] if isinstance(first, dict) else '; '.join(first)}"


def _loss(loss: Mapping[str, Any]) -> str:
    messages = "an unknown number of" if loss["messages"] is None else loss["messages"]
    return f"{loss['file']}: {loss['what']}, {messages} messages in {loss['bytes']} bytes"


def manifest(runs: Sequence[Mapping[str, Any]]) -> str:
    """The text of the file."""
    return json.dumps({"runs": runs}, indent=1, ensure_ascii=False) + "\n"


def read_manifest(dataset: Path) -> list[dict[str, Any]]:
    """The runs that made a dataset.

    Raises:
        ConvertError: It was not made by this converter, or the file is damaged.
    """
    try:
        runs = read_object(dataset / FILE, MAX_BYTES)["runs"]
        for run in runs:
            losses(run), [episode["id"] for episode in run["episodes"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConvertError(
            "not a dataset that was converted from bags",
            where=str(dataset / FILE),
            found=error,
            fix="merge datasets with: ros2 run vla_recorder dataset merge",
        ) from error
    return list(runs)
