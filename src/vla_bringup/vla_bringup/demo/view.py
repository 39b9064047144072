"""What one frame of the demo shows, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vla_core.contract import Joint
from vla_core.types import FloatArray, ImageArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A quantity over time.

    Attributes:
        times_s: (N,) seconds from now, the past below zero.
        values: (N,) in the unit of the joint.
    """

    times_s: FloatArray
    values: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class JointTraces:
    """One joint of the action: what was measured, what was sent, what the chunk wants next."""

    joint: Joint
    measured: Trace
    commanded: Trace
    chunk: Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything that is drawn.

    Attributes:
        state: Of the executor (docs/execution.md), or STARTING before it is heard of.
        cause: Why it is not running.
        elapsed_s: Since the first executed chunk; None before it.
        latency_ms: From the observation to the arrival of the newest chunk; None before it.
        chunk_age_ms: Since the observation of the chunk in use; None without one.
        images: Camera name -> (height, width, 3) uint8 RGB; cameras not yet heard of are absent.
    """

    state: str
    cause: str
    prompt: str
    elapsed_s: float | None
    latency_ms: float | None
    chunk_age_ms: float | None
    cameras: tuple[str, ...]
    images: Mapping[str, ImageArray]
    joints: tuple[JointTraces, ...]
