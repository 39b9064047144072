"""What is told of an episode beside its data, as JSON has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from vla_recorder.convert.clock import Integers
from vla_recorder.convert.grid import Plan
from vla_recorder.convert.pictures import Stillness
from vla_recorder.convert.rows import Damage

SKEW_EDGES_MS: Final = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000)


def report_plan(plan: Plan, lost_ticks: int) -> dict[str, Any]:
    """Ticks, lost ones by stream, and how old the messages were at their ticks."""
    return {
        "begin_ns": int(plan.ticks_ns[0]) if len(plan) else None,
        "end_ns": int(plan.ticks_ns[-1]) if len(plan) else None,
        "ticks": len(plan),
        "lost_ticks": lost_ticks,
        "lost_by_stream": dict(plan.lost),
        "short": plan.short,
        "skew": {name: _skew(ages_ns) for name, ages_ns in plan.ages_ns.items() if ages_ns.size},
    }


def _skew(ages_ns: Integers) -> dict[str, Any]:
    ages_ms = ages_ns / 1e6
    median, p99 = np.percentile(ages_ms, (50, 99))
    counts, _ = np.histogram(ages_ms, SKEW_EDGES_MS)
    return {
        "median_ms": round(float(median), 3),
        "p99_ms": round(float(p99), 3),
        "max_ms": round(float(ages_ms.max()), 3),
        "edges_ms": list(SKEW_EDGES_MS),
        "counts": counts.tolist(),
    }


def report_damage(damaged: Iterable[Damage]) -> dict[str, Any]:
    """Messages that could not be read, by stream, with the first reason of each."""
    by_stream: dict[str, int] = {}
    first: dict[str, str] = {}
    for damage in sorted(damaged):
        by_stream[damage.source] = by_stream.get(damage.source, 0) + 1
        first.setdefault(damage.source, f"message {damage.number}: {damage.reason}")
    return {"damaged": by_stream, "damaged_first": first}


def report_stillness(still: Mapping[str, Stillness]) -> dict[str, Any]:
    """Pictures that equal the one before, and seconds for which a camera stood still."""
    return {
        "cameras": {
            name: {"duplicates": camera.duplicates, "frozen_s": round(camera.frozen_ns / 1e9, 3)}
            for name, camera in still.items()
        }
    }
