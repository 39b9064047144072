"""Preflight: rates, ages and skew."""

from __future__ import annotations

from dataclasses import replace

import pytest
from preflight_robot import CONTRACT, SECOND, arrivals, bad, only, source

from vla_core.preflight import judge
from vla_core.preflight.findings import Level
from vla_core.preflight.measured import Arrival

TOP = CONTRACT.cameras[0]  # 30 Hz, at most 0.25 s old


@pytest.mark.parametrize(
    ("share", "levels"),
    [(1.0, []), (0.95, []), (0.8, [Level.WARN]), (0.5, [Level.FAIL]), (2.0, [Level.WARN])],
)
def test_the_rate_is_compared_with_the_contracts(share: float, levels: list[Level]) -> None:
    found = bad(source("top", arrivals=arrivals(share * TOP.rate_hz)))
    assert found == [(level, "rate", TOP.topic) for level in levels]


def test_a_single_message_has_no_rate_and_fails() -> None:
    found = bad(source("top", arrivals=arrivals(TOP.rate_hz)[:1]))
    assert (Level.FAIL, "rate", TOP.topic) in found


def test_losses_are_told_with_the_rate() -> None:
    robot = source("top", lost=7)
    assert any("7 lost" in f.found for f in judge(CONTRACT, robot) if f.check == "rate")


def test_a_stream_that_stops_fails_though_its_rate_was_right() -> None:
    found = only(source("top", arrivals=arrivals(TOP.rate_hz, seconds=0.5)))
    assert (found.level, found.check) == (Level.FAIL, "receipt")
    assert "before the end" in found.found


def test_one_gap_above_the_age_limit_warns() -> None:
    all_of_them = arrivals(TOP.rate_hz)
    robot = source("top", arrivals=(*all_of_them[:40], *all_of_them[48:]))
    assert (Level.WARN, "receipt", TOP.topic) in bad(robot)


@pytest.mark.parametrize("age_s", [1.0, 3600.0])
def test_old_stamps_fail(age_s: float) -> None:
    found = bad(source("top", arrivals=arrivals(TOP.rate_hz, age_s=age_s)))
    assert (Level.FAIL, "age", TOP.topic) in found


@pytest.mark.parametrize("ahead_s", [0.02, 1.0, 3600.0])
def test_stamps_from_the_future_fail(ahead_s: float) -> None:
    found = bad(source("arm", arrivals=arrivals(100, age_s=-ahead_s)))
    assert (Level.FAIL, "age", "/joint_states") in found


def test_a_clock_within_the_tolerance_of_the_policy_passes() -> None:
    assert not bad(source("arm", arrivals=arrivals(100, age_s=-0.004)))


def test_stamps_that_were_never_filled_fail_and_say_so() -> None:
    now_ns = 1_800_000_000 * SECOND
    empty = tuple(
        replace(a, stamp_ns=0, clock_ns=now_ns + a.received_ns) for a in arrivals(TOP.rate_hz)
    )
    robot = source("top", arrivals=empty)
    assert (Level.FAIL, "age", TOP.topic) in bad(robot)
    assert any("zero" in f.found for f in judge(CONTRACT, robot) if f.check == "age")


def test_some_late_messages_warn() -> None:
    both = zip(arrivals(TOP.rate_hz), arrivals(TOP.rate_hz, age_s=0.4), strict=True)
    mixed = tuple(late if k % 8 == 0 else soon for k, (soon, late) in enumerate(both))
    assert bad(source("top", arrivals=mixed)) == [(Level.WARN, "age", TOP.topic)]


def test_a_type_without_stamps_is_judged_by_receipt_alone() -> None:
    bare = tuple(
        Arrival(stamp_ns=None, clock_ns=0, received_ns=a.received_ns) for a in arrivals(50)
    )
    assert not bad(source("hand", arrivals=bare))


def test_streams_that_lag_each_other_warn_and_are_named() -> None:
    found = only(source("top", arrivals=arrivals(TOP.rate_hz, age_s=0.2)))
    assert (found.level, found.check) == (Level.WARN, "skew")
    assert "top" in found.found
    assert "190 ms" in found.found


def test_a_slow_simulation_only_warns_but_its_clock_must_be_right() -> None:
    slow = source("top", arrivals=arrivals(10, age_s=0.3))
    assert {level for level, _, _ in bad(slow)} == {Level.FAIL, Level.WARN}
    assert {level for level, _, _ in bad(replace(slow, simulated=True))} == {Level.WARN}
    ahead = replace(source("arm", arrivals=arrivals(100, age_s=-1)), simulated=True)
    assert (Level.FAIL, "age", "/joint_states") in bad(ahead)
