#!/usr/bin/env python3
"""Runs the tests of all promises and writes docs/performance/promises.json and docs/promises.md.

Needs `source scripts/env.sh`, and a machine that does nothing else. A test belongs to the
promises whose ids its name begins with (test_P1_P12_...); figures are the properties that tests
give the report under names that begin with an id. Exits with 1 when a test fails or a figure
misses its target. ``--page`` only writes the page anew, ``--check`` only compares it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from measured_on import ROOT, measured_on

REPORT = ROOT / "docs" / "performance" / "promises.json"
PAGE = ROOT / "docs" / "promises.md"
SUITES = ("src/vla_core/test", "src/vla_policy/test", "src/vla_recorder/test", "test")
LONG = {"VLA_FAULTS_LONG": "1", "VLA_FUZZ_TICKS": "1000000", "VLA_FUZZ_CHUNKS": "10000"}
MISSED = "missed:"  # as in vla_system_tests.figures

PROMISES = {
    "P1": "No command outside the contract's position, rate and acceleration limits, and none"
    " that is not finite, is ever published.",
    "P2": "Joint states or images that are older than the contract allows, or stamped more than"
    " 5 ms ahead: hold, and latch when it lasts. Age is judged by stamp and by receipt.",
    "P3": "From fault to safe command: p99 at most one period and 20 ms, never over 100 ms.",
    "P4": "A policy that raises, hangs, eats all memory or is killed never takes the executor"
    " down: the chunk runs to its end, the robot brakes, the state latches until `~/resume`.",
    "P5": "A late tick is skipped, never caught up in a burst; missed ticks are counted.",
    "P6": "The death of a node is seen by the others within 1 s; nothing moves again by itself.",
    "P7": "kill -9 of a recorder loses at most 1 s of the open episode; a full disk stops it,"
    " marked partial.",
    "P8": "Conversion is deterministic, resumable after kill -9, and reports every loss.",
    "P9": "Training resumed after kill -9 continues bit-equal on CPU; a loss that is not finite"
    " stops before the update.",
    "P10": "Network: loopback, else token and TLS; malformed frames harm no other client.",
    "P11": "No code runs from data: hostile checkpoints, YAML, paths and archives are refused with"
    " a clear error.",
    "P12": "The first command continues from the robot's real pose; a chunk that starts farther"
    " away than the contract allows is refused.",
}


def promises_of(name: str) -> list[str]:
    """Ids at the beginning of the name of a test or of a figure."""
    found = re.match(r"(?:test_)?((?:[Pp]\d+[_ ])+)", name)
    return re.findall(r"P\d+", found[1].upper()) if found else []


def run_tests(suite: str, environment: Mapping[str, str], short: bool) -> ElementTree.Element:
    """The JUnit report of all tests of promises in one folder."""
    ids = " or ".join(f"test_{promise}_ or _{promise}_" for promise in PROMISES)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", "-q", suite, "-k", ids, f"--junitxml={report}"]
        given = (
            {}
            if short
            else {"PYTEST_ADDOPTS": f"{os.environ.get('PYTEST_ADDOPTS', '')} -o timeout=3600"}
        )
        subprocess.run(command, cwd=ROOT, env={**os.environ, **environment, **given}, check=False)
        return ElementTree.parse(report).getroot()


def collect(reports: Mapping[str, ElementTree.Element]) -> dict[str, dict[str, Any]]:
    """Tests passed, tests failed, and figures, by promise."""
    rows: dict[str, dict[str, Any]] = {
        promise: {"passed": 0, "failed": [], "files": [], "figures": {}} for promise in PROMISES
    }
    for suite, report in reports.items():
        for case in report.iter("testcase"):
            promises = promises_of(case.get("name", ""))
            if not promises or case.find("skipped") is not None:
                continue
            name = f"{case.get('classname', '').rpartition('.')[2]}.py"
            file = next((ROOT / suite).rglob(name)).relative_to(ROOT)
            has_failed = case.find("failure") is not None or case.find("error") is not None
            for row in map(rows.__getitem__, promises):
                row["passed"] += not has_failed
                row["failed"] += [case.get("name")] * has_failed
                row["files"] = sorted({*row["files"], str(file)})
        for item in report.iter("property"):
            for promise in promises_of(item.get("name", "")):
                what = re.sub(r"^(P\d+ )+", "", item.get("name", ""))
                rows[promise]["figures"][what] = item.get("value", "")
    return rows


def failures(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What was not kept, in words."""
    found = [
        f"{promise}: {name} failed" for promise, row in rows.items() for name in row["failed"]
    ]
    return found + [
        f"{promise}: {what}: {value}"
        for promise, row in rows.items()
        for what, value in row["figures"].items()
        if MISSED in value
    ]


def page(report: Mapping[str, Any]) -> str:
    """docs/promises.md."""
    machine, rows = report["machine"], report["promises"]
    lines = [
        "# Promises: what happens when something goes wrong",
        "",
        "Made by `scripts/measure_promises.py`: it injects each fault into running nodes and"
        " writes what it measured to [promises.json](performance/promises.json). A figure that is"
        " not reached says `missed`.",
        "",
        f"Measured at {report['date']}, commit {report['commit']}, on {machine['processor']},"
        f" {machine['cores']} cores, load {machine['load_1_min']:.1f} at the start, in"
        f" {report['minutes']:.0f} minutes; command: `{report['command']}`.",
        "",
        "| id | promise | measured | tests | command |",
        "|---|---|---|---|---|",
    ]
    for promise, text in PROMISES.items():
        row = rows[promise]
        links = ", ".join(f"[{Path(f).name}](../{f})" for f in row["files"]) or "none yet"
        cells = (promise, text, _measured(row), links, _command(promise, row))
        lines.append(f"| {' | '.join(cells)} |")
    if report["missed"]:
        lines += ["", "Not kept in this run:", "", *(f"- {line}" for line in report["missed"])]
    return "\n".join(lines) + "\n"


def _measured(row: Mapping[str, Any]) -> str:
    if not row["files"]:
        return "not measured"
    tests = f"{row['passed']} of {row['passed'] + len(row['failed'])} tests passed"
    return "<br>".join([tests, *(f"{what}: {value}" for what, value in row["figures"].items())])


def _command(promise: str, row: Mapping[str, Any]) -> str:
    if not row["files"]:
        return ""
    return (
        f"`pytest {' '.join(sorted({f.rpartition('/')[0] for f in row['files']}))} -k {promise}_`"
    )


def main() -> int:
    """Run, write, tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="repeats as in CI, not the long ones")
    parser.add_argument("--page", action="store_true", help="write the page from the report")
    parser.add_argument("--check", action="store_true", help="compare the page with the report")
    options = parser.parse_args()
    if options.page or options.check:
        text = page(json.loads(REPORT.read_text()))
        if options.check and PAGE.read_text() != text:
            print("docs/promises.md is stale: run scripts/measure_promises.py --page")
            return 1
        PAGE.write_text(text)
        return 0
    origin, began_s = measured_on(), time.time()
    environment = {} if options.short else LONG
    rows = collect({suite: run_tests(suite, environment, options.short) for suite in SUITES})
    report = {
        "command": "scripts/measure_promises.py" + " --short" * options.short,
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(began_s)),
        "minutes": round((time.time() - began_s) / 60, 1),
        **origin,
        "promises": rows,
        "missed": failures(rows),
    }
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    PAGE.write_text(page(report))
    print("\n".join(report["missed"]) or "all promises kept")
    return 1 if report["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
