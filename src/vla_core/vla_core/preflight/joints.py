"""Measured joints against the contract's limits: outside them, and perhaps in another unit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from vla_core.contract import Contract, Joint, Kind, Stream
from vla_core.preflight.findings import Finding, Level
from vla_core.preflight.measured import Values

ENCODER_SHARE = 0.01  # of a joint's range by which a sound one may be measured beyond it
NEAR_SHARE = 0.1  # from here on it is another joint, zero or unit, not a loose limit

# Unit -> what drivers use instead, and its factor.
_MISTAKEN = {
    "rad": (("degrees", math.pi / 180),),
    "rad/s": (("degrees per second", math.pi / 180),),
    "m": (("millimetres", 1e-3), ("centimetres", 1e-2)),
    "m/s": (("millimetres per second", 1e-3),),
    "1": (("percent", 1e-2), ("0 to 255", 1 / 255)),
}


def judge_joints(
    stream: Stream, contract: Contract, values: Mapping[str, Values]
) -> Iterator[Finding]:
    """One line per joint beyond its limits, else one for the stream.

    Args:
        stream: Of the contract.
        contract: The robot.
        values: Contract joint name -> (N,) values, in the units that the driver sends.
    """
    if not values:
        return
    bad = [
        finding
        for name in stream.joints
        if (finding := _judge(stream, contract.joints[name], values[name]))
    ]
    yield from bad
    if not bad:
        found = f"{len(stream.joints)} by name, all within the contract's limits"
        yield Finding(level=Level.PASS, check="joints", where=stream.topic, found=found)


def _judge(stream: Stream, joint: Joint, values: Values) -> Finding | None:
    low, high = float(values.min()), float(values.max())
    span = joint.upper - joint.lower
    beyond = max(joint.lower - low, high - joint.upper) / span
    if beyond <= ENCODER_SHARE:
        return None
    extreme = high if high - joint.upper > joint.lower - low else low
    found = f"{joint.name} is {extreme:.4g} {joint.unit}, limits"
    found += f" [{joint.lower:g}, {joint.upper:g}]"
    if beyond > NEAR_SHARE and (unit := mistaken_unit(joint, low, high)):
        advice = f"let the driver of {stream.topic} send {joint.unit}, or convert it on the way"
        return Finding(
            level=Level.FAIL,
            check="units",
            where=stream.topic,
            found=f"{found}: looks like {unit}",
            advice=advice,
        )
    advice = (
        "commands stay within the limits: move the joint inside them, or correct its range"
        if beyond <= NEAR_SHARE
        else "check that it is this joint, its zero and its unit; else correct its range"
    )
    level = Level.WARN if beyond <= NEAR_SHARE else Level.FAIL
    return Finding(level=level, check="joints", where=stream.topic, found=found, advice=advice)


def mistaken_unit(joint: Joint, low: float, high: float) -> str:
    """The unit in which values from low to high would fit the joint's limits; empty: none."""
    slack = ENCODER_SHARE * (joint.upper - joint.lower)
    if joint.kind is Kind.GRIPPER and joint.unit != "1" and -slack <= low and high <= 1.02:
        return "a share from 0 to 1"
    for name, factor in _MISTAKEN[joint.unit]:
        if joint.lower - slack <= low * factor and high * factor <= joint.upper + slack:
            return name
    return ""
