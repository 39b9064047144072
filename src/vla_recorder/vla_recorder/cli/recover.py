"""Makes a whole bag of all that is whole in a hurt one, and says what was lost.

What was lost is kept in its metadata, so that `convert` tells it too.

Exit codes: 0 when nothing was lost, 3 when something was, 1 when nothing could be read.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vla_recorder.bags import Bag, BagError, RawMessage, open_bag
from vla_recorder.bags.losses import RECOVERED, plain, read_recovered, write_recovered
from vla_recorder.bags.writer import write_bag
from vla_recorder.cli.command import DONE, FAILED, LOSS, outcome

_NS = 1e9


@dataclass(slots=True)
class _Span:
    """When the messages of a topic were received, by the recorder's clock."""

    first_ns: int
    last_ns: int


@dataclass(slots=True)
class _Tally:
    """Counts messages while they pass; behind the last one the bag's metadata tell the losses."""

    custom: dict[str, str]
    kept: Counter[str] = field(default_factory=Counter)
    spans: dict[str, _Span] = field(default_factory=dict)

    def through(self, bag: Bag) -> Iterator[RawMessage]:
        for message in bag.messages():
            self.kept[message.topic] += 1
            span = self.spans.setdefault(
                message.topic, _Span(message.received_ns, message.received_ns)
            )
            span.first_ns = min(span.first_ns, message.received_ns)
            span.last_ns = max(span.last_ns, message.received_ns)
            yield message
        if told := write_recovered([*read_recovered(bag.custom), *bag.losses]):
            self.custom[RECOVERED] = told


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code. Wrong usage exits with 2."""
    parser = argparse.ArgumentParser(prog="recover", description=__doc__)
    parser.add_argument("bag", type=Path, metavar="BAG", help="bag folder, or one of its files")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="folder to make (default: BAG_recovered)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(argv)
    return outcome("recover", lambda: _recover(options))


def _recover(options: argparse.Namespace) -> int:
    source: Path = options.bag.absolute()
    output: Path = (options.output or _beside(source)).absolute()
    if output.resolve().is_relative_to(source.resolve()):
        raise BagError("the output would lie inside the bag", where=str(output))
    with open_bag(source) as bag:
        tally = _Tally(custom=dict(bag.custom))
        made = write_bag(output, bag.topics, tally.through(bag), tally.custom)
        report = _report(bag, tally, source, output if made else None)
    print(json.dumps(report, indent=2) if options.json else _text(report))
    if not made:
        return FAILED
    return DONE if report["lost"] == 0 else LOSS


def _beside(source: Path) -> Path:
    name = source.name if source.is_dir() else source.name.split(".")[0]
    return source.with_name(f"{name}_recovered")


def _report(bag: Bag, tally: _Tally, source: Path, output: Path | None) -> dict[str, Any]:
    unknown = any(loss.messages is None for loss in bag.losses)
    return {
        "source": str(source),
        "output": str(output) if output else None,
        "kept": tally.kept.total(),
        "lost": None if unknown else sum(loss.messages or 0 for loss in bag.losses),
        "unchecked": bag.unchecked,
        "topics": {
            name: {
                "type": topic.type,
                "kept": tally.kept[name],
                "lost": _lost(bag, name, tally.kept[name]),
                **(asdict(tally.spans[name]) if name in tally.spans else {}),
            }
            for name, topic in bag.topics.items()
        },
        "losses": [plain(loss) for loss in bag.losses],
    }


def _lost(bag: Bag, topic: str, kept: int) -> int | None:
    """How many messages of a topic were lost; None when that cannot be known."""
    if bag.expected is not None and bag.expected.get(topic, 0) >= kept:
        return bag.expected.get(topic, 0) - kept
    if any(
        loss.messages is None or loss.messages != sum(loss.topics.values()) for loss in bag.losses
    ):
        return None
    return sum(loss.topics.get(topic, 0) for loss in bag.losses)


def _text(report: dict[str, Any]) -> str:
    lines = [f"{report['source']} -> {report['output'] or 'nothing: no message could be read'}"]
    width = max(map(len, report["topics"]), default=0)
    for name, topic in report["topics"].items():
        times = ""
        if "first_ns" in topic:
            span = (topic["last_ns"] - topic["first_ns"]) / _NS
            times = f"  from {topic['first_ns'] / _NS:.3f} s for {span:.3f} s"
        lines.append(
            f"  {name:{width}}  kept {topic['kept']:8}  lost {_count(topic['lost']):>8}{times}"
        )
    for loss in report["losses"]:
        place = "" if loss["offset"] is None else f" at byte {loss['offset']}"
        passed = f", {loss['bytes']} bytes passed over" if loss["bytes"] else ""
        lost = "messages that may be wrong" if loss["doubtful"] else "messages lost"
        lines.append(
            f"  {loss['file']}{place}: {loss['what']}{passed}; {lost}: {_count(loss['messages'])}"
        )
    if report["unchecked"]:
        lines.append(
            f"  {report['unchecked']} messages have no checksum: wrong bytes in them do not show"
        )
    lines.append(f"kept {report['kept']}, lost {_count(report['lost'])}")
    return "\n".join(lines)


def _count(count: int | None) -> str:
    return "unknown" if count is None else str(count)
