"""Rate statistics of ros2 topic hz."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ros2cli.rate import RateWindow

SECOND_NS = 1_000_000_000


def test_steady_stream_is_reported_once_per_second():
    window = RateWindow(10_000)
    reports = []
    for tick in range(101):
        window.add(SECOND_NS + tick * SECOND_NS // 50)
        reports.append(window.report())
    shown = [str(report) for report in reports if report is not None]
    assert len(shown) == 1
    expected = "average rate: 50.000\n\tmin: 0.020s max: 0.020s std dev: 0.00000s window: 51"
    assert shown[0] == expected


@given(st.lists(st.integers(0, SECOND_NS), min_size=2, max_size=30), st.integers(1, 10))
def test_report_is_about_the_last_intervals(intervals_ns, size):
    window, now_ns = RateWindow(size), 1
    window.add(now_ns)
    for index, interval_ns in enumerate([*intervals_ns, 2 * SECOND_NS]):
        now_ns += interval_ns
        window.add(now_ns)
        if index == 0:
            window.report()
    report = window.report()
    kept = [*intervals_ns, 2 * SECOND_NS][-size:]
    assert report.window == len(kept)
    assert report.rate_hz == pytest.approx(len(kept) / (sum(kept) * 1e-9))
    assert (report.min_s, report.max_s) == pytest.approx((min(kept) * 1e-9, max(kept) * 1e-9))


def test_clock_set_back_starts_anew():
    window = RateWindow(100)
    for now_ns in (5 * SECOND_NS, 6 * SECOND_NS, SECOND_NS):
        window.add(now_ns)
    assert window.report() is None
