"""Keeps a periodic loop honest: a late tick is skipped and counted, never caught up in a burst."""

from __future__ import annotations

from collections import deque

import numpy as np

KEPT = 6000


class Pacing:
    """Judges each wake-up of a periodic loop by the monotonic clock.

    Args:
        period_ns: The period of the loop.
    """

    def __init__(self, *, period_ns: int) -> None:
        self._period_ns = period_ns
        self._first_ns: int | None = None
        self._last_ns = 0
        self._ticks = 0
        self._skipped = 0
        self._jitter_ns: deque[int] = deque(maxlen=KEPT)
        self._ages_ns: deque[int] = deque(maxlen=KEPT)

    def tick(self, now_ns: int) -> bool:
        """Whether to act on this wake-up: not within 3/4 of a period of the last one.

        Each command moves as far as a whole period allows, so two must not come closer.
        """
        if self._first_ns is None:
            self._first_ns = now_ns
        elif now_ns - self._last_ns < self._period_ns * 3 // 4:
            self._skipped += 1
            return False
        else:
            self._jitter_ns.append(abs(now_ns - self._last_ns - self._period_ns))
        self._last_ns = now_ns
        self._ticks += 1
        return True

    def note_age(self, age_ns: int) -> None:
        """Age of the observation behind a command."""
        self._ages_ns.append(age_ns)

    def figures(self) -> dict[str, object]:
        """Ticks done and missed, and percentiles in milliseconds of the last ``KEPT`` ticks.

        ``ticks_missed`` is what the clock allowed for and the loop did not do, whatever the cause.
        """
        elapsed_ns = 0 if self._first_ns is None else self._last_ns - self._first_ns
        expected = round(elapsed_ns / self._period_ns) + 1
        figures: dict[str, object] = {
            "ticks_done": self._ticks,
            "ticks_missed": max(0, expected - self._ticks) if self._ticks else 0,
            "wake_ups_skipped": self._skipped,
        }
        for name, values in (("jitter", self._jitter_ns), ("chunk_age", self._ages_ns)):
            if values:
                figures[f"{name}_p50_ms"] = f"{np.percentile(values, 50) / 1e6:.3f}"
                figures[f"{name}_p99_ms"] = f"{np.percentile(values, 99) / 1e6:.3f}"
        return figures
