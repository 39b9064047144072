"""Keeps a periodic loop honest: no burst after a late tick, and every missed tick counted."""

from __future__ import annotations

from collections import deque

import numpy as np

KEPT = 6000


class Pacing:
    """Deadlines on a grid of the monotonic clock, for a loop that sleeps until ``due_ns``.

    After a late tick the next one comes at its own time, but never sooner than 3/4 of a period
    later: each command moves as far as a whole period allows.

    Args:
        period_ns: The period of the loop.
        start_ns: The first deadline.
    """

    def __init__(self, *, period_ns: int, start_ns: int) -> None:
        self.due_ns = start_ns
        self._period_ns = period_ns
        self._grid_ns = start_ns
        self._last_ns: int | None = None
        self._done = 0
        self._missed = 0
        self._jitter_ns: deque[int] = deque(maxlen=KEPT)
        self._ages_ns: deque[int] = deque(maxlen=KEPT)

    def tick(self, now_ns: int) -> None:
        """Take note of a tick at ``now_ns``, not before ``due_ns``, and set the next deadline."""
        missed = (now_ns - self._grid_ns) // self._period_ns
        self._missed += missed
        self._done += 1
        self._grid_ns += (missed + 1) * self._period_ns
        if self._last_ns is not None:
            self._jitter_ns.append(abs(now_ns - self._last_ns - self._period_ns))
        self._last_ns = now_ns
        self.due_ns = max(self._grid_ns, now_ns + self._period_ns * 3 // 4)

    def note_age(self, age_ns: int) -> None:
        """Age of the observation behind a command."""
        self._ages_ns.append(age_ns)

    def figures(self) -> dict[str, object]:
        """Ticks done and missed, and percentiles in milliseconds of the last ``KEPT`` ticks."""
        figures: dict[str, object] = {"ticks_done": self._done, "ticks_missed": self._missed}
        for name, values in (("jitter", self._jitter_ns), ("chunk_age", self._ages_ns)):
            if values:
                # one pass over an array: the loop waits meanwhile
                p50, p99 = np.percentile(np.fromiter(values, np.int64), (50, 99)) / 1e6
                figures[f"{name}_p50_ms"], figures[f"{name}_p99_ms"] = f"{p50:.3f}", f"{p99:.3f}"
        return figures
