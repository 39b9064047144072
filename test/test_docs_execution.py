"""docs/execution.md and docs/contract.md name all that there is, and nothing else."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from vla_core.contract_safety import Safety
from vla_core.execution import State
from vla_core.strategies import STRATEGIES

ROOT = Path(__file__).resolve().parents[1]
EXECUTION = (ROOT / "docs" / "execution.md").read_text()


def section(title: str) -> str:
    return EXECUTION.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def first_column(text: str) -> set[str]:
    cells = re.findall(r"^\| (`[^|]*`) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_the_strategies_are_those_of_the_code() -> None:
    table = section("Strategies").split("| file |")[0]
    assert first_column(table) == {*STRATEGIES, "strategy"}


def test_the_states_are_those_of_the_code() -> None:
    assert first_column(section("States")) == {s.value for s in State} | {
        "~/estop", "~/resume", "~/dry_run", "~/speed"
    }  # fmt: skip


def test_the_policy_files_choose_what_the_table_says() -> None:
    rows = re.findall(r"^\| (`\w+\.yaml`.*?) \| `(\w+)` \|", section("Strategies"), re.MULTILINE)
    said = {file: name for cell, name in rows for file in re.findall(r"`([^`]+)`", cell)}
    chosen = {
        path.name: re.findall(r"strategy: (\w+)", path.read_text())[0]
        for path in (ROOT / "config" / "policies").glob("*.yaml")
    }
    assert said == chosen


def test_the_keys_of_safety_are_those_of_the_code() -> None:
    text = (
        (ROOT / "docs" / "contract.md").read_text().split("## safety\n", 1)[1].split("\n##", 1)[0]
    )
    assert first_column(text) == {field.name for field in fields(Safety)}
