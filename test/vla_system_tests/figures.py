"""Measured figures of promises: lines of the test report, collected by measure_promises.py."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np

LONG = os.environ.get("VLA_FAULTS_LONG", "0") not in ("", "0")
MISSED = "missed:"

Record = Callable[[str, object], None]
"""pytest's ``record_testsuite_property``; names begin with the id of a promise."""


def record_times(
    record: Record, name: str, seconds: Sequence[float], allowed_s: Mapping[int, float]
) -> None:
    """Percentiles of times; a machine that is too busy misses, which is told and fails no test.

    Args:
        seconds: (N,) of the repeats.
        allowed_s: Percentile -> the promise.
    """
    reached_s = {q: float(np.percentile(seconds, q)) for q in (50, 99, 100)}
    text = ", ".join(f"p{q} {value * 1e3:.1f} ms" for q, value in reached_s.items())
    text = f"{text.replace('p100', 'worst')} of {len(seconds)}"
    for q, limit_s in allowed_s.items():
        if not reached_s[q] <= limit_s:
            text += f"; {MISSED} p{q} at most {limit_s * 1e3:.0f} ms".replace("p100", "worst")
    print(f"{name}: {text}")
    record(name, text)
