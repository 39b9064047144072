"""The table of preflight."""

from __future__ import annotations

import pytest

from vla_core.preflight.findings import WIDTH, Finding, Level, as_json, table, worst

PASSED = Finding(level=Level.PASS, check="rate", where="/arm", found="50 Hz")
WARNED = Finding(level=Level.WARN, check="age", where="/cam", found="old", advice="hurry")
FAILED = Finding(
    level=Level.FAIL,
    check="topic",
    where="/a/topic/with/a/very/long/name/that/no/column/can/hold",
    found="words " * 60,
    advice="start the driver " * 12,
)


@pytest.mark.parametrize(
    ("findings", "level"),
    [
        ([], Level.PASS),
        ([PASSED], Level.PASS),
        ([WARNED, PASSED], Level.WARN),
        ([PASSED, FAILED, WARNED], Level.FAIL),
    ],
)
def test_the_worst_finding_is_the_result(findings: list[Finding], level: Level) -> None:
    assert worst(findings) is level
    assert table(findings).splitlines()[-1].startswith(f"preflight: {level.value} ")
    assert as_json(findings)["result"] == level.value


def test_every_line_of_the_table_fits_and_nothing_is_lost() -> None:
    text = table([PASSED, WARNED, FAILED])
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.count("words") == 60
    assert text.count("driver") == 12
    assert FAILED.where in text


def test_the_columns_stand_below_each_other() -> None:
    first, second, advice, _ = table([PASSED, WARNED]).splitlines()
    assert first.index("50 Hz") == second.index("old")
    assert advice.strip() == "-> hurry"


def test_json_has_all_that_the_table_has() -> None:
    assert as_json([WARNED])["findings"] == [
        {"level": "WARN", "check": "age", "where": "/cam", "found": "old", "advice": "hurry"}
    ]
