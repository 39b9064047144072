"""Times of streams, and which message belongs to which tick."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_recorder.convert.clock import (
    Times,
    jumps,
    measure_rate,
    pieces,
    runs_backwards,
    without_strays,
)
from vla_recorder.convert.grid import Plan, Window, make_plan, ticks
from vla_recorder.convert.sources import Source

MS, SECOND = 10**6, 10**9
T = 1_700_000_000 * SECOND


def times(*offsets_ms: float, first: int = 0, received_ms: list[float] | None = None) -> Times:
    stamps = T + np.array([round(offset * MS) for offset in offsets_ms], np.int64)
    received = offsets_ms if received_ms is None else received_ms
    return Times(
        stamps_ns=stamps,
        received_ns=T + np.array([round(r * MS) for r in received], np.int64),
        numbers=np.arange(first, first + len(stamps)),
    )


def source(name: str, tolerance_ms: int = 100, rate_hz: float | None = 10.0) -> Source:
    return Source(name=name, topic=name, tolerance_ns=tolerance_ms * MS, rate_hz=rate_hz)


def plan(
    of: dict[str, Times], fps: float = 10.0, window: Window | None = None, **how: bool
) -> Plan:
    sources = [source(n, rate_hz=None if n.startswith("action") else 10.0) for n in of]
    return make_plan(of, sources, fps, window or Window(), **how)


def every_ms(step: int, count: int, start: int = 0) -> list[float]:
    return [float(start + step * index) for index in range(count)]


@pytest.mark.parametrize("fps", [15.0, 29.97, 30.0, 50.0])
def test_ticks_do_not_drift(fps: float) -> None:
    hour_ns = 3600 * SECOND
    found = list(ticks(T, T + hour_ns, fps))
    exact = SECOND / Fraction(str(fps))
    assert len(found) == hour_ns // exact + 1
    assert max(abs(t - T - n * exact) for n, t in enumerate(found)) < 1


@settings(deadline=None, max_examples=60)
@given(
    arm=st.lists(st.integers(0, 2000), min_size=1, max_size=60),
    camera=st.lists(st.integers(0, 2000), min_size=1, max_size=30),
    fps=st.sampled_from([5.0, 10.0, 30.0]),
)
def test_every_tick_takes_the_newest_message_not_after_it_in_any_order(
    arm: list[int], camera: list[int], fps: float
) -> None:
    of = {"arm": times(*arm), "camera": times(*camera, first=100)}
    found = plan(of, fps, allow_gaps=True)
    for row, t_ns in enumerate(found.ticks_ns):
        for name, stream in of.items():
            usable = [
                (s, n)
                for s, n in zip(stream.stamps_ns, stream.numbers, strict=True)
                if 0 <= t_ns - s <= 100 * MS
            ]
            assert found.chosen[name][row] == max(usable)[1]
            assert found.ages_ns[name][row] == t_ns - max(usable)[0]


@settings(deadline=None, max_examples=60)
@given(arm=st.lists(st.integers(0, 3000), min_size=2, max_size=60, unique=True))
def test_kept_and_lost_ticks_are_all_ticks(arm: list[int]) -> None:
    of = {"arm": times(*sorted(arm)), "clock": times(*every_ms(10, 301))}
    begin = max(0, min(arm))
    late = begin * 10 // 1000 if begin > 1000 else 0
    for gaps in (False, True):
        found = plan(of, allow_gaps=gaps)
        assert len(found) + found.lost_ticks == (3000 - begin) // 100 + 1 + late


def test_the_grid_begins_when_every_stream_has_a_sample() -> None:
    of = {"arm": times(*every_ms(20, 100)), "camera": times(*every_ms(50, 39, start=37))}
    found = plan(of)
    assert found.ticks_ns[0] == T + 37 * MS
    assert found.lost_ticks == 0


def test_a_camera_that_comes_seconds_late_has_cost_ticks() -> None:
    of = {"arm": times(*every_ms(20, 250)), "camera": times(*every_ms(50, 60, start=2000))}
    found = plan(of)
    assert found.ticks_ns[0] == T + 2000 * MS
    assert found.lost_ticks == 20


def test_a_gap_leaves_the_longest_piece_and_counts_the_rest() -> None:
    camera = every_ms(50, 20) + every_ms(50, 40, start=2000)
    of = {"arm": times(*every_ms(20, 200)), "camera": times(*camera)}
    found = plan(of)
    assert found.ticks_ns[0] == T + 2000 * MS
    assert len(found) == 20
    assert found.lost == {"camera": 9}
    assert found.lost_ticks == 20
    closed = plan(of, allow_gaps=True)
    assert (len(closed), closed.lost_ticks) == (31, 9)


def test_before_the_first_and_after_the_last_command_nothing_is_lost() -> None:
    of = {"arm": times(*every_ms(20, 200)), "action/commanded": times(*every_ms(10, 100, 1000))}
    found = plan(of)
    assert found.ticks_ns[0] == T + 1000 * MS
    assert found.ticks_ns[-1] == T + 2000 * MS
    assert found.lost_ticks == 0


def test_marks_and_trims_bound_the_episode_and_samples_before_it_count() -> None:
    window = Window(
        start_ns=T + 95 * MS, stop_ns=T + 1100 * MS, trim_start_ns=100 * MS, trim_end_ns=200 * MS
    )
    found = plan({"arm": times(*every_ms(20, 100))}, window=window)
    assert found.ticks_ns[0] == T + 195 * MS
    assert found.chosen["arm"][0] == 9
    assert found.ticks_ns[-1] == T + 895 * MS
    assert found.lost_ticks == 0


def test_a_camera_that_starts_up_after_the_mark_costs_nothing_and_a_late_one_does() -> None:
    arm = times(*every_ms(20, 200))
    window = Window(start_ns=T, stop_ns=T + 3900 * MS)
    camera = [t for t in every_ms(50, 80) if t >= 900]
    assert plan({"arm": arm, "camera": times(*camera)}, window=window).lost_ticks == 0
    camera = [t for t in every_ms(50, 80) if t >= 1100]
    assert plan({"arm": arm, "camera": times(*camera)}, window=window).lost_ticks == 11


def test_an_episode_without_time_for_two_ticks_says_why() -> None:
    arm = {"arm": times(*every_ms(20, 50))}
    assert "100 s are trimmed" in plan(arm, window=Window(trim_start_ns=100 * SECOND)).short
    window = Window(start_ns=T + 100 * MS, stop_ns=T + 100 * MS)
    assert plan(arm, window=window).short == "0.000 s lie between its marks"
    assert plan(arm).short == ""


def test_a_stream_that_dies_costs_every_tick_to_the_end() -> None:
    of = {"arm": times(*every_ms(20, 200)), "camera": times(*every_ms(50, 40))}
    found = plan(of)
    assert len(found) == 21
    assert found.lost == {"camera": 19}


def test_a_stream_without_messages_loses_all() -> None:
    found = plan({"arm": times(*every_ms(20, 101)), "camera": times()})
    assert (len(found), found.lost, found.lost_ticks) == (0, {"camera": 20}, 20)


def test_a_clock_that_is_set_back_or_ahead_cuts_and_a_late_message_does_not() -> None:
    back = times(0, 20, 40, -5000, -4980, received_ms=[0, 20, 40, 60, 80])
    ahead = times(0, 20, 40, 9040, 9060, received_ms=[0, 20, 40, 60, 80])
    late = times(0, 20, 40, 60, 80, received_ms=[0, 20, 40, 5060, 5061])
    paused = times(0, 20, 4040, 4060, received_ms=[0, 20, 4040, 4060])
    assert jumps(back).tolist() == [3]
    assert jumps(ahead).tolist() == [3]
    assert jumps(late).tolist() == []
    assert jumps(paused).tolist() == []
    assert pieces([3], 5) == [(0, 3), (3, 5)]
    assert pieces([], 5) == [(0, 5)]


def test_a_small_step_back_cuts_beyond_the_age_of_the_stream_and_a_late_message_does_not() -> None:
    back = times(0, 20, 40, 60, -220, -200, -180, -160)
    assert jumps(back, back_ns=250 * MS).tolist() == [4]
    assert jumps(back, back_ns=350 * MS).tolist() == []
    late = times(0, 20, 340, 360, 60, 380, 400)
    assert jumps(late, back_ns=250 * MS).tolist() == []


def test_stamps_that_mostly_go_backwards_are_known() -> None:
    assert runs_backwards(times(*range(100, 0, -1)))
    assert not runs_backwards(times(0, 60, 20, 80, 40, 100, 60))
    assert not runs_backwards(times(20, 0))


def test_a_long_silence_cuts_streams_but_not_commands() -> None:
    silent = times(0, 20, 11_020, 11_040)
    assert jumps(silent).tolist() == [2]
    assert jumps(silent, silences=False).tolist() == []


def test_one_stray_stamp_is_dropped() -> None:
    kept, strays = without_strays(times(0, 20, 99_000, 60, 80))
    assert strays == 1
    assert kept.numbers.tolist() == [0, 1, 3, 4]
    assert without_strays(times(0, 20, 40, -9000, -8980))[1] == 0


def test_the_rate_is_that_of_the_median_and_missing_messages_are_counted() -> None:
    steady = [index * 100 / 3 for index in range(300)]
    rate = measure_rate(times(*steady))
    assert (round(rate.rate_hz, 3), rate.missing) == (30.0, 0.0)
    gappy = measure_rate(times(*(t for n, t in enumerate(steady) if n % 4 != 1)))
    assert round(gappy.rate_hz, 3) == 30.0
    assert gappy.missing == pytest.approx(0.25, abs=0.01)
    odd = measure_rate(times(0, 20, 20, 10, 40))
    assert (odd.out_of_order, odd.duplicates) == (1, 1)
    assert measure_rate(times(0)).rate_hz == 0
