"""What preflight measures on the small robot of these tests when all is well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from robot_contract import TEXT

from vla_core.contract import Contract, parse_contract
from vla_core.preflight import judge
from vla_core.preflight.findings import Finding, Level
from vla_core.preflight.measured import (
    Arrival,
    CommandMeasured,
    Endpoint,
    Measured,
    SourceMeasured,
)

CONTRACT: Contract = parse_contract(TEXT)
SECOND = 10**9
WINDOW_S = 2


def arrivals(rate_hz: float, *, age_s: float = 0.01, seconds: float = WINDOW_S) -> Any:
    """Evenly spaced, each so old by its stamp."""
    times_ns = [round(k / rate_hz * SECOND) for k in range(round(rate_hz * seconds))]
    return tuple(
        Arrival(stamp_ns=t - round(age_s * SECOND), clock_ns=t, received_ns=t) for t in times_ns
    )


def pictures(seed: int) -> tuple[Any, ...]:
    """Noise, as every real camera has it."""
    rng = np.random.default_rng(seed)
    return tuple(rng.integers(256, size=(48, 64, 3), dtype=np.uint8) for _ in range(3))


def sound(**changes: SourceMeasured) -> Measured:
    """A sound robot, but for the sources that are given."""
    sources = {
        source.name: SourceMeasured(
            publishers=(Endpoint(node=f"/{source.name}_driver", type=source.type),),
            arrivals=arrivals(source.rate_hz),
        )
        for source in (*CONTRACT.streams, *CONTRACT.cameras)
    }
    values = {"a": 0.1, "b": -0.2, "g": 0.04}
    for stream in CONTRACT.streams:
        joints = {name: np.full(9, values[name]) for name in stream.joints}
        sources[stream.name] = replace(sources[stream.name], joints=joints)
    sources["top"] = replace(sources["top"], pictures=pictures(0))
    commands = {
        group.name: CommandMeasured(subscribers=(Endpoint(node="/servo", type=group.type),))
        for group in CONTRACT.action
    }
    return Measured(
        began_ns=0, ended_ns=WINDOW_S * SECOND, sources=sources | changes, commands=commands
    )


def source(name: str, **changes: Any) -> Measured:
    """A sound robot, but for some measurements of one source."""
    return sound(**{name: replace(sound().sources[name], **changes)})


def bad(measured: Measured) -> list[tuple[Level, str, str]]:
    """Level, check and place of all that did not pass; each such finding must give advice."""
    found: list[Finding] = [f for f in judge(CONTRACT, measured) if f.level is not Level.PASS]
    assert all(finding.advice for finding in found)
    return [(finding.level, finding.check, finding.where) for finding in found]


def only(measured: Measured) -> Finding:
    """The one finding that did not pass."""
    found = [f for f in judge(CONTRACT, measured) if f.level is not Level.PASS]
    assert len(found) == 1, found
    assert found[0].advice
    return found[0]
