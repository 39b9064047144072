"""The figures of a demo, as JSON and as a table."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from vla_bringup.demo.observed import Observed
from vla_bringup.demo.recorder import CHUNKS, COMMANDED, EXECUTOR, POLICY

SIMULATION = "aloha_sim"


def summarise(observed: Observed) -> dict[str, Any]:
    """Everything that the messages tell; None where nothing was heard."""
    contract = observed.contract
    policy, executor, simulation = (
        observed.diagnostics.get(name, {}) for name in (POLICY, EXECUTOR, SIMULATION)
    )
    commanded = observed.flow(COMMANDED)
    period_ns = 1e9 / contract.control_rate_hz
    factors = list(observed.real_time_factors)
    return {
        "real_time_factor": {
            "mean": _rounded(float(np.mean(factors))) if factors else None,
            "min": _rounded(min(factors)) if factors else None,
            "lost_time_s": _number(simulation, "lost_time_s"),
        },
        "observation_rate_hz": {
            name: _rounded(observed.flow(name).rate_hz)
            for name in (*(c.name for c in contract.cameras), *(s.name for s in contract.streams))
        },
        "inference": {
            "count": _number(policy, "inferences"),
            "latency_ms": _reported(policy, "latency"),
        },
        "observation_to_chunk_ms": _percentiles(d / 1e6 for d in observed.chunk_delays_ns),
        "chunk_age_at_use_ms": _reported(executor, "chunk_age"),
        "commands": {
            "count": commanded.count,
            "limited": _count(executor, "commands_limited"),
            "rate_hz": _rounded(commanded.rate_hz),
            "jitter_ms": _percentiles(abs(i - period_ns) / 1e6 for i in commanded.intervals_ns),
            "ticks_missed": _number(executor, "ticks_missed"),
        },
        "holds": observed.holds,
        "latches": observed.transitions["LATCHED"],
        "chunks": {
            "seen": observed.flow(CHUNKS).losses.received,
            **{
                name: _count(executor, f"chunks_{name}")
                for name in ("received", "refused", "withdrawn")
            },
        },
        "messages_lost": {
            POLICY: _lost(policy),
            EXECUTOR: _lost(executor),
            "demo": {name: flow.losses.lost for name, flow in observed.flows.items()},
        },
        "messages_unreadable": observed.unreadable,
    }


def surroundings(repository: Path | None) -> dict[str, Any]:
    """Where and with what the figures were made."""
    return {
        "versions": {
            "commit": _commit(repository),
            "python": platform.python_version(),
            **{name: _version(name) for name in ("torch", "numpy", "mujoco")},
        },
        "machine": {"cores": len(os.sched_getaffinity(0)), "cpu": _cpu_name()},
    }


def table(summary: Mapping[str, Any]) -> str:
    """The figures that matter, for people."""
    commands, chunks = summary["commands"], summary["chunks"]
    lost = {who: sum(by_topic.values()) for who, by_topic in summary["messages_lost"].items()}
    rates = summary["observation_rate_hz"].items()
    factor = summary["real_time_factor"]
    rows = {
        "real-time factor": f"mean {_shown(factor['mean'])}   min {_shown(factor['min'])}",
        "observations, Hz": "   ".join(f"{name} {_shown(rate)}" for name, rate in rates),
        "inferences": _shown(summary["inference"]["count"]),
        "inference, ms": _pair(summary["inference"]["latency_ms"]),
        "observation to chunk, ms": _pair(summary["observation_to_chunk_ms"]),
        "chunk age at use, ms": _pair(summary["chunk_age_at_use_ms"]),
        "commands": f"{commands['count']} at {_shown(commands['rate_hz'])} Hz"
        f"   limited {_shown(commands['limited'])}",
        "command jitter, ms": _pair(commands["jitter_ms"]),
        "control ticks missed": _shown(commands["ticks_missed"]),
        "holds, latches": f"{summary['holds']}, {summary['latches']}",
        "chunks": "   ".join(f"{name} {_shown(value)}" for name, value in chunks.items()),
        "messages lost": "   ".join(f"{who} {count}" for who, count in lost.items()),
        "CPU, cores": "   ".join(f"{name} {c:.2f}" for name, c in summary["cpu_cores"].items()),
        "start to first chunk, s": _shown(summary["start_to_first_chunk_s"]),
    }
    return "\n".join(f"  {name:<26}{value}" for name, value in rows.items())


def _number(values: Mapping[str, str], key: str) -> float | int | None:
    if key not in values:
        return None
    number = float(values[key])
    return int(number) if number.is_integer() else number


def _count(values: Mapping[str, str], key: str) -> float | int | None:
    """A counter, which a node names only once it has counted; None where it was never heard."""
    return _number(values, key) if key in values or not values else 0


def _reported(values: Mapping[str, str], name: str) -> dict[str, float | None]:
    return {q: _number(values, f"{name}_{q}_ms") for q in ("p50", "p99")}


def _percentiles(values: Iterable[float]) -> dict[str, float | None]:
    known = list(values)
    return {f"p{q}": _rounded(float(np.percentile(known, q))) if known else None for q in (50, 99)}


def _lost(values: Mapping[str, str]) -> dict[str, int]:
    return {
        key.removeprefix("lost/"): int(value)
        for key, value in values.items()
        if key.startswith("lost/")
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _shown(value: float | int | None) -> str:
    return (
        "unknown" if value is None else f"{value:g}" if isinstance(value, int) else f"{value:.2f}"
    )


def _pair(values: Mapping[str, float | None]) -> str:
    return "   ".join(f"{name} {_shown(value)}" for name, value in values.items())


def _commit(repository: Path | None) -> str | None:
    if repository is None:
        return None
    try:
        found = subprocess.run(
            ["git", "-C", str(repository), "rev-parse", "HEAD"], capture_output=True, text=True
        )
    except OSError:
        return None
    return found.stdout.strip() or None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu_name() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), None)
