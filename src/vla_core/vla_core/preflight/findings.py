"""What a check has found: a level, where, the value, and one line of advice; as table or JSON."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

WIDTH = 100  # columns
_WHERE = 36  # columns of the widest place that still shares a line with what was found


class Level(Enum):
    """How bad it is. Only FAIL keeps the robot from starting."""

    PASS = "PASS"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the table.

    Attributes:
        check: What was looked at, one word.
        where: Topic, joint or file.
        found: What was met, with what was expected.
        advice: What to do; empty when it passed.
    """

    level: Level
    check: str
    where: str
    found: str
    advice: str = ""


def worst(findings: Sequence[Finding]) -> Level:
    """The level of the whole."""
    levels = {finding.level for finding in findings}
    return next((one for one in (Level.FAIL, Level.WARN) if one in levels), Level.PASS)


def summary(findings: Sequence[Finding]) -> str:
    """The last line of the table."""
    counts = Counter(finding.level for finding in findings)
    figures = ", ".join(f"{counts[level]} {level.value}" for level in Level)
    return f"preflight: {worst(findings).value} ({figures})"


def table(findings: Sequence[Finding]) -> str:
    """Aligned text of at most `WIDTH` columns."""
    checks = max((len(finding.check) for finding in findings), default=0)
    places = [len(finding.where) for finding in findings if len(finding.where) <= _WHERE]
    place = max(places, default=0)
    lines: list[str] = []
    for finding in findings:
        head = f"{finding.level.value}  {finding.check:<{checks}}  {finding.where:<{place}}  "
        indent = " " * (8 + checks + place + 2)
        if len(finding.where) > place:
            lines.append(head.rstrip())
            head = indent
        lines += _wrap(finding.found, head, indent)
        if finding.advice:
            lines += _wrap(finding.advice, "      -> ", "         ")
    return "\n".join([*lines, summary(findings)])


def _wrap(text: str, first: str, rest: str) -> list[str]:
    """Long names are kept whole where they fit a line, so that they can be copied."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    ) or [first.rstrip()]


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "result": worst(findings).value,
        "findings": [asdict(f) | {"level": f.level.value} for f in findings],
    }
