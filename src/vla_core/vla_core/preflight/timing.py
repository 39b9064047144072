"""Rates, ages on two clocks, and the skew between streams.

Letters in shapes: N messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from vla_core.contract import Camera, Stream
from vla_core.preflight.findings import Finding, Level
from vla_core.preflight.measured import Measured, SourceMeasured, Values
from vla_core.sampling import FUTURE_TOLERANCE_NS

SLOW_FAIL, SLOW_WARN, FAST_WARN = 0.7, 0.9, 1.5  # shares of the contract's rate
LATE_SHARE = 0.05  # of the messages may be older than allowed without a warning
GAPS_FAIL = 3  # gaps above the age limit, or one of as many age limits
SKEW_WARN_S = 0.1
UNFILLED_S = 1e6  # an age that no late message has: its stamp was never filled

Source = Stream | Camera


def judge_timing(source: Source, measured: Measured) -> Iterator[Finding]:
    """Rate and ages of one stream or camera from which messages came.

    A simulation that is late says that this machine is busy: such a finding warns only.
    """
    late = Level.WARN if measured.simulated else Level.FAIL
    of_source = measured.sources[source.name]
    if not of_source.arrivals:
        return
    yield _rate(source, of_source, late)
    yield _gaps(source, of_source, measured, late)
    yield _age(source, ages_s(of_source), late)


def _rate(source: Source, measured: SourceMeasured, late: Level) -> Finding:
    at_ns = [arrival.received_ns for arrival in measured.arrivals]
    span_s = (at_ns[-1] - at_ns[0]) / 1e9
    lost = f", {measured.lost} lost on the way" if measured.lost else ""
    if span_s <= 0:
        found = f"{len(at_ns)} message{lost}; the contract says {source.rate_hz:g} Hz"
        return _finding(late, "rate", source, found, "see `ros2 topic hz`, and measure for longer")
    rate_hz = (len(at_ns) - 1) / span_s
    found = f"{rate_hz:.1f} Hz, the contract says {source.rate_hz:g} Hz{lost}"
    share = rate_hz / source.rate_hz
    if share < SLOW_WARN:
        level = late if share < SLOW_FAIL else Level.WARN
        advice = "raise the driver's rate, look for a full USB bus or network, or correct rate_hz"
        return _finding(level, "rate", source, found, advice)
    if share > FAST_WARN:
        return _finding(Level.WARN, "rate", source, found, "correct rate_hz in the contract")
    return _finding(Level.PASS, "rate", source, found)


def _gaps(source: Source, measured: SourceMeasured, window: Measured, late: Level) -> Finding:
    """Receipt judged against the age limit; a stop shows as a gap before the end."""
    at_ns = [arrival.received_ns for arrival in measured.arrivals]
    gaps_s = np.diff([window.began_ns, *at_ns, window.ended_ns]) / 1e9
    longest_s, limit_s = float(gaps_s.max()), source.max_age_s
    found = f"longest silence {_ms(longest_s)}, limit {_ms(limit_s)}"
    count = int((gaps_s > limit_s).sum())
    if not count:
        return _finding(Level.PASS, "receipt", source, found)
    if gaps_s[-1] > limit_s:
        found += f"; the last message came {gaps_s[-1]:.1f} s before the end"
    level = late if count >= GAPS_FAIL or longest_s > GAPS_FAIL * limit_s else Level.WARN
    advice = "the robot holds at each: find what stalls the driver, or raise max_age_s with care"
    return _finding(level, "receipt", source, f"{found}; {count} above it", advice)


def ages_s(measured: SourceMeasured) -> Values:
    """(N,) how old each message was by its header stamp when it came; empty without stamps."""
    ages = [a.clock_ns - a.stamp_ns for a in measured.arrivals if a.stamp_ns is not None]
    return np.array(ages, dtype=np.float64) / 1e9


def _age(source: Source, ages: Values, late: Level) -> Finding:
    if not ages.size:
        return _finding(Level.PASS, "age", source, "no header stamp: judged by receipt")
    median_s, limit_s = float(np.median(ages)), source.max_age_s
    found = (
        f"stamps {_ms(median_s)} old (from {_ms(float(ages.min()))} to {_ms(float(ages.max()))}),"
        f" limit {_ms(limit_s)}"
    )
    if ages.min() < -FUTURE_TOLERANCE_NS / 1e9:
        found = f"a stamp {_ms(-float(ages.min()))} in the future"
        advice = "synchronise the clocks of the machines (chrony, PTP), or use_sim_time on none"
        return _finding(Level.FAIL, "age", source, found, advice)
    if median_s > UNFILLED_S:
        found, advice = "stamps are zero or weeks old", "let the driver fill header.stamp"
        return _finding(Level.FAIL, "age", source, found, advice)
    if median_s > limit_s:
        advice = "let the driver stamp with the time of capture, and synchronise the clocks"
        return _finding(late, "age", source, found, advice)
    if np.mean(ages > limit_s) > LATE_SHARE:
        advice = "some come too late to be used: look for a busy machine or network"
        return _finding(Level.WARN, "age", source, found, advice)
    return _finding(Level.PASS, "age", source, found)


def judge_skew(sources: Mapping[str, SourceMeasured]) -> Iterator[Finding]:
    """How much longer one stream is on its way than another: the policy sees both as one time."""
    lag_s = {
        name: float(np.median(ages))
        for name, measured in sources.items()
        if (ages := ages_s(measured)).size
    }
    if len(lag_s) < 2:
        return
    first, last = min(lag_s, key=lag_s.__getitem__), max(lag_s, key=lag_s.__getitem__)
    skew_s = lag_s[last] - lag_s[first]
    found = f"{_ms(skew_s)}: {first} comes {_ms(lag_s[first])}, {last} {_ms(lag_s[last])} after"
    is_wide = skew_s > SKEW_WARN_S
    yield Finding(
        level=Level.WARN if is_wide else Level.PASS,
        check="skew",
        where="between streams",
        found=f"{found} its stamp",
        advice=f"shorten the way of {last}, unless the training data had the same lag"
        if is_wide
        else "",
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms" if abs(seconds) < 1 else f"{seconds:.1f} s"


def _finding(level: Level, check: str, source: Source, found: str, advice: str = "") -> Finding:
    return Finding(level=level, check=check, where=source.topic, found=found, advice=advice)
