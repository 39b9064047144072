"""P5: a late tick is skipped and counted, never caught up in a burst."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from vla_core.pacing import KEPT, Pacing

PERIOD = 10_000_000


def paced(wake_ups_ns: list[int]) -> tuple[Pacing, list[int]]:
    """The pacing and the wake-ups on which it acted."""
    pacing = Pacing(period_ns=PERIOD)
    return pacing, [t_ns for t_ns in wake_ups_ns if pacing.tick(t_ns)]


def test_a_punctual_loop_acts_on_every_wake_up() -> None:
    times_ns = [k * PERIOD for k in range(100)]
    pacing, acted = paced(times_ns)
    assert acted == times_ns
    figures = pacing.figures()
    assert (figures["ticks_done"], figures["ticks_missed"]) == (100, 0)
    assert figures["jitter_p99_ms"] == "0.000"


def test_p5_wake_ups_after_a_stall_are_not_caught_up() -> None:
    stall_ns = 5 * PERIOD + 9_900_000
    burst_ns = [stall_ns + k * 1000 for k in range(6)]  # the timer delivers what it owes at once
    times_ns = [0, PERIOD, *burst_ns, 7 * PERIOD, 8 * PERIOD]
    pacing, acted = paced(times_ns)
    assert acted == [0, PERIOD, stall_ns, 7 * PERIOD, 8 * PERIOD]
    figures = pacing.figures()
    assert figures["wake_ups_skipped"] == 5
    assert figures["ticks_missed"] == 4


@settings(deadline=None)
@given(st.lists(st.integers(0, 50_000_000), min_size=1, max_size=200))
def test_p5_no_two_ticks_are_closer_than_three_quarters_of_a_period(gaps_ns: list[int]) -> None:
    times_ns = [sum(gaps_ns[: k + 1]) for k in range(len(gaps_ns))]
    pacing, acted = paced(times_ns)
    assert all(later - earlier >= PERIOD * 3 // 4 for earlier, later in pairwise(acted))
    figures = pacing.figures()
    assert figures["ticks_done"] == len(acted)
    assert figures["wake_ups_skipped"] == len(times_ns) - len(acted)


def test_missed_ticks_are_those_the_clock_allowed_for() -> None:
    pacing, _ = paced([0, 3 * PERIOD, 4 * PERIOD])
    assert pacing.figures()["ticks_missed"] == 2


def test_figures_before_the_first_tick_and_after_many() -> None:
    pacing = Pacing(period_ns=PERIOD)
    assert pacing.figures() == {"ticks_done": 0, "ticks_missed": 0, "wake_ups_skipped": 0}
    for k in range(2 * KEPT):
        pacing.tick(k * PERIOD + (k % 2) * 1_000_000)
        pacing.note_age(k * 1000)
    figures = pacing.figures()
    assert figures["jitter_p50_ms"] == "1.000"
    assert float(str(figures["chunk_age_p50_ms"])) > KEPT * 1000 / 1e6  # only the newest are kept
