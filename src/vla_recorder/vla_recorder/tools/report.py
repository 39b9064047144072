"""What the checks of a dataset have found: the same fault of many episodes is one line."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from vla_core.preflight.findings import Finding, Level, worst

EXIT_CODES = {Level.PASS: 0, Level.FAIL: 1, Level.WARN: 3}
VERDICTS = {Level.PASS: "fine", Level.WARN: "usable, with warnings", Level.FAIL: "broken"}
_WIDTH = 100
_EPISODES_SHOWN = 6

FAIL, WARN = Level.FAIL, Level.WARN


@dataclass(slots=True)
class _Fault:
    found: str
    advice: str
    episodes: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """Collects findings; its size depends on the kinds of faults, not on the length of the data.

    Attributes:
        checks: What was looked at, in order: a check that found nothing passed.
        facts: Figures that are no judgement, such as how many keyframes were decoded.
    """

    checks: dict[str, None] = field(default_factory=dict)
    facts: dict[str, int] = field(default_factory=dict)
    _faults: dict[tuple[Level, str, str], _Fault] = field(default_factory=dict)

    def looked_at(self, check: str, fact: str = "", count: int = 1) -> None:
        """A check was made, whatever it finds; ``fact`` names what is counted."""
        self.checks.setdefault(check)
        if fact:
            self.facts[fact] = self.facts.get(fact, 0) + count

    def add(
        self,
        level: Level,
        check: str,
        where: str,
        found: str,
        *,
        advice: str = "",
        episode: int | None = None,
    ) -> None:
        """The first of its kind is kept with its values; of the others, the episode."""
        self.looked_at(check)
        fault = self._faults.setdefault((level, check, where), _Fault(found, advice))
        if episode is not None and episode not in fault.episodes[-1:]:
            fault.episodes.append(episode)

    def findings(self) -> list[Finding]:
        """Faults first, then one line for each check that passed."""
        order = list(Level)
        found = [
            Finding(
                level=level,
                check=check,
                where=where,
                found=_with_episodes(fault),
                advice=fault.advice,
            )
            for (level, check, where), fault in self._faults.items()
        ]
        found.sort(key=lambda finding: -order.index(finding.level))
        faulty = {finding.check for finding in found}
        passed = [
            Finding(level=Level.PASS, check=check, where="", found="nothing found")
            for check in self.checks
            if check not in faulty
        ]
        return [*found, *passed]

    @property
    def level(self) -> Level:
        return worst(self.findings())

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "result": self.level.value,
            "exit": EXIT_CODES[self.level],
            "facts": self.facts,
            "findings": [
                {"level": f.level.value, "check": f.check, "where": f.where, "found": f.found}
                | {"advice": f.advice}
                for f in self.findings()
            ],
        }

    def text(self, name: str) -> str:
        """For a person, at most 100 columns wide."""
        lines = [line for finding in self.findings() for line in _lines(finding)]
        facts = ", ".join(f"{count:,} {fact}" for fact, count in self.facts.items())
        return "\n".join([*lines, f"{name}: {VERDICTS[self.level]}" + (facts and f" ({facts})")])


def _with_episodes(fault: _Fault) -> str:
    if not fault.episodes:
        return fault.found
    shown = ", ".join(map(str, fault.episodes[:_EPISODES_SHOWN]))
    if len(fault.episodes) == 1:
        return f"episode {shown}: {fault.found}"
    more = ", ..." if len(fault.episodes) > _EPISODES_SHOWN else ""
    return f"{len(fault.episodes)} episodes ({shown}{more}), the first: {fault.found}"


def _lines(finding: Finding) -> Iterator[str]:
    head = f"{finding.level.value}  {finding.check:<12}"
    if finding.level is Level.PASS:
        yield head.rstrip()
        return
    text = f"{finding.where}: {finding.found}" if finding.where else finding.found
    yield from textwrap.wrap(
        text, _WIDTH, initial_indent=head, subsequent_indent=" " * 8, break_on_hyphens=False
    )
    if finding.advice:
        yield from textwrap.wrap(
            finding.advice, _WIDTH, initial_indent="      -> ", subsequent_indent=" " * 9
        )
