"""A report: what is said of many episodes, and which exit code follows."""

from __future__ import annotations

import pytest

from vla_core.preflight.findings import Level
from vla_recorder.tools.report import EXIT_CODES, Report


def test_the_same_fault_of_many_episodes_is_one_line() -> None:
    report = Report()
    for episode in range(100):
        report.add(Level.WARN, "frozen", "cam", f"for {episode} s", episode=episode)
    (finding,) = report.findings()
    assert finding.found == "100 episodes (0, 1, 2, 3, 4, 5, ...), the first: for 0 s"


@pytest.mark.parametrize(
    ("levels", "code"),
    [([], 0), ([Level.WARN], 3), ([Level.FAIL], 1), ([Level.WARN, Level.FAIL], 1)],
)
def test_the_worst_finding_decides_the_exit(levels: list[Level], code: int) -> None:
    report = Report()
    report.looked_at("numbers")
    for level in levels:
        report.add(level, "index", "x", "something")
    assert EXIT_CODES[report.level] == code
    assert report.as_json()["exit"] == code


def test_a_check_that_found_nothing_is_listed_as_passed() -> None:
    report = Report()
    report.looked_at("numbers")
    report.add(Level.FAIL, "index", "index", "5 in row 4")
    assert [(f.level, f.check) for f in report.findings()] == [
        (Level.FAIL, "index"),
        (Level.PASS, "numbers"),
    ]


def test_the_text_keeps_its_width_and_ends_with_the_verdict() -> None:
    report = Report()
    report.add(Level.FAIL, "index", "index", "word " * 60, advice="do " * 60)
    lines = report.text("my_dataset").splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[-1] == "my_dataset: broken"
