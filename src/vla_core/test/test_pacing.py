"""P5: a late tick is skipped and counted, never caught up in a burst."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from vla_core.pacing import KEPT, Pacing

PERIOD = 10_000_000


def looped(late_ns: list[int]) -> tuple[Pacing, list[int]]:
    """A loop that wakes each time as much too late as the list says, and its times."""
    pacing = Pacing(period_ns=PERIOD, start_ns=0)
    times_ns = []
    for late in late_ns:
        times_ns.append(pacing.due_ns + late)
        pacing.tick(times_ns[-1])
    return pacing, times_ns


def test_a_punctual_loop_stays_on_the_grid() -> None:
    pacing, times_ns = looped([0] * 100)
    assert times_ns == [k * PERIOD for k in range(100)]
    figures = pacing.figures()
    assert (figures["ticks_done"], figures["ticks_missed"]) == (100, 0)
    assert figures["jitter_p99_ms"] == "0.000"


def test_a_slightly_late_tick_costs_none_and_the_grid_is_found_again() -> None:
    pacing, times_ns = looped([0, 4_000_000, 0, 0, 0])
    assert times_ns == [0, 14_000_000, 21_500_000, 30_000_000, 40_000_000]
    assert pacing.figures()["ticks_missed"] == 0


def test_p5_ticks_missed_in_a_stall_are_counted_and_not_caught_up() -> None:
    pacing, times_ns = looped([0, 5 * PERIOD, 0, 0])
    assert times_ns == [0, 6 * PERIOD, 7 * PERIOD, 8 * PERIOD]
    assert pacing.figures()["ticks_missed"] == 5


@settings(deadline=None)
@given(st.lists(st.integers(0, 50_000_000), min_size=1, max_size=200))
def test_p5_no_two_ticks_come_in_a_burst_and_each_is_accounted_for(late_ns: list[int]) -> None:
    pacing, times_ns = looped(late_ns)
    assert all(later - earlier >= PERIOD * 3 // 4 for earlier, later in pairwise(times_ns))
    figures = pacing.figures()
    assert figures["ticks_done"] == len(late_ns)
    allowed_for = times_ns[-1] // PERIOD + 1
    assert figures["ticks_done"] + figures["ticks_missed"] in (allowed_for, allowed_for + 1)


def test_figures_before_the_first_tick_and_after_many() -> None:
    pacing = Pacing(period_ns=PERIOD, start_ns=0)
    assert pacing.figures() == {"ticks_done": 0, "ticks_missed": 0}
    for _ in range(2 * KEPT):
        pacing.tick(pacing.due_ns)
        pacing.note_age(5_000_000)
    assert pacing.figures()["chunk_age_p99_ms"] == "5.000"
