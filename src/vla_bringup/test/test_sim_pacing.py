"""Real time is kept by absolute deadlines, and what is lost is counted."""

from hypothesis import given
from hypothesis import strategies as st

from vla_bringup.sim.pacing import NS_PER_S, Deadlines, RateMeter, RealTimeClock

MS = NS_PER_S // 1000


def test_deadlines_do_not_drift_when_each_is_met_late() -> None:
    deadlines = Deadlines.at_rate(100.0, first_ns=1000 * MS)
    for tick in range(50):
        deadlines.meet((1000 + 10 * tick + 9) * MS)
    assert deadlines.next_ns == 1500 * MS
    assert deadlines.skipped == 0


def test_missed_deadlines_are_skipped_and_counted() -> None:
    deadlines = Deadlines.at_rate(100.0, first_ns=1000 * MS)
    deadlines.meet(1045 * MS)
    assert deadlines.skipped == 4
    assert not deadlines.is_due(1049 * MS)
    assert deadlines.is_due(1050 * MS)


def test_deadline_that_is_met_a_moment_early_is_not_met_again() -> None:
    deadlines = Deadlines.at_rate(100.0, first_ns=1000 * MS)
    deadlines.meet(1000 * MS - 1)
    assert deadlines.next_ns == 1010 * MS
    assert deadlines.skipped == 0


@given(st.lists(st.integers(min_value=1, max_value=10**9), min_size=1, max_size=50))
def test_every_deadline_is_either_met_or_counted(waits_ns: list[int]) -> None:
    deadlines, now_ns, met = Deadlines.at_rate(50.0, first_ns=10**9), 10**9, 0
    for wait_ns in waits_ns:
        now_ns += wait_ns
        if deadlines.is_due(now_ns):
            deadlines.meet(now_ns)
            met += 1
        assert deadlines.next_ns > now_ns
    assert deadlines.next_ns == 10**9 + (met + deadlines.skipped) * deadlines.period_ns


def test_rate_is_events_per_second_since_the_last_reading() -> None:
    meter = RateMeter(since_ns=0)
    for _ in range(30):
        meter.add()
    assert meter.read(2 * NS_PER_S) == 15.0
    assert meter.read(3 * NS_PER_S) == 0.0


def test_short_lag_is_caught_up_and_long_lag_is_given_up() -> None:
    clock = RealTimeClock(last_ns=0, max_lag_ns=100 * MS)
    assert clock.owed_s(80 * MS) == 0.08
    assert clock.owed_s(1080 * MS) == 0.1
    assert clock.lost_ns == 900 * MS


def test_clock_that_goes_back_owes_nothing() -> None:
    clock = RealTimeClock(last_ns=50 * MS)
    assert clock.owed_s(20 * MS) == 0.0
    assert clock.owed_s(60 * MS) == 0.01
