"""Rate statistics of a stream of receive times, over a sliding window of intervals."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RateReport:
    """Mean rate and the spread of the intervals in the window."""

    rate_hz: float
    min_s: float
    max_s: float
    std_dev_s: float
    window: int

    def __str__(self) -> str:
        return (
            f"average rate: {self.rate_hz:.3f}\n\tmin: {self.min_s:.3f}s max: {self.max_s:.3f}s "
            f"std dev: {self.std_dev_s:.5f}s window: {self.window}"
        )


class RateWindow:
    """The last `window_size` intervals, reported at most once per second of stream time."""

    def __init__(self, window_size: int) -> None:
        self._intervals_ns: deque[int] = deque(maxlen=window_size)
        self._first_ns: int | None = None
        self._newest_ns = 0
        self._reported_ns: int | None = None

    def add(self, now_ns: int) -> None:
        """Add a receive time; one before the first (a clock set back) starts the window anew."""
        if now_ns == 0:  # simulated time has not started
            self._intervals_ns.clear()
            return
        if self._first_ns is None or now_ns < self._first_ns:
            self._first_ns = now_ns
            self._intervals_ns.clear()
        else:
            self._intervals_ns.append(now_ns - self._newest_ns)
        self._newest_ns = now_ns

    def report(self) -> RateReport | None:
        """Return the statistics when a second has passed since the last ones."""
        if not self._intervals_ns:
            return None
        if self._reported_ns is None:
            self._reported_ns = self._newest_ns
        if self._newest_ns < self._reported_ns + 1_000_000_000:
            return None
        self._reported_ns = self._newest_ns
        intervals = self._intervals_ns
        mean_ns = sum(intervals) / len(intervals)
        variance = sum((interval - mean_ns) ** 2 for interval in intervals) / len(intervals)
        return RateReport(
            rate_hz=1e9 / mean_ns if mean_ns > 0 else 0.0,
            min_s=min(intervals) * 1e-9,
            max_s=max(intervals) * 1e-9,
            std_dev_s=math.sqrt(variance) * 1e-9,
            window=len(intervals),
        )
