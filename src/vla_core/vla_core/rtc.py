"""Real-time chunking: a new chunk continues the one that is being executed while it is computed.

Two ways. Guided: at each step of the flow the action chunk is pulled towards what is left of the
previous one, by weights that fall along the chunk. Trained: a model that was trained for it is
given the first actions as they are, and completes them.

Here is the arithmetic; ``vla_policy.models.rtc`` samples with it. Flow time is 1 at noise, 0 at
data. Shape letters: H action horizon, L steps left of the previous chunk, A action dimension.

Source: Black et al. 2025, "Real-Time Execution of Action Chunking Flow Policies",
arXiv 2506.07339; "Training-Time Action Conditioning for Efficient Real-Time Chunking",
arXiv 2512.05964.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from vla_core.types import FloatArray


class RtcMode(Enum):
    """How a new chunk continues the previous one."""

    OFF = "off"
    GUIDED = "guided"
    TRAINED = "trained"


class Schedule(Enum):
    """How the weights fall from the end of the committed steps to the execution horizon."""

    LINEAR = "linear"
    EXP = "exp"
    ONES = "ones"
    ZEROS = "zeros"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rtc:
    """Settings.

    Attributes:
        schedule: See `prefix_weights`.
        max_guidance: Bound of `guidance_weight`.
        vjp: Pull through the model's Jacobian, which costs a backward pass at each step of the
            flow; otherwise the Jacobian counts as the identity.
        execution_horizon: Steps from the observation on that are pulled; at least the delay is.
    """

    mode: RtcMode = RtcMode.OFF
    schedule: Schedule = Schedule.LINEAR
    max_guidance: float = 10.0
    vjp: bool = False
    execution_horizon: int = 25  # LeRobot's 10 end at 50 Hz before a delay of 200 ms does


RTC_OFF = Rtc()


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """What is left of the previous chunk when an observation is taken.

    Attributes:
        actions: (L, A) float64, contract units, L at least 1; row k is due at the observation's
            time + k periods.
        delay_steps: How many of them will have been due before the new chunk can be used.
        stepped: (A,) bool, True where two plans are never mixed: grippers.
    """

    actions: FloatArray
    delay_steps: int
    stepped: np.ndarray[Any, np.dtype[np.bool_]]


def prefix_weights(schedule: Schedule, *, delay: int, end: int, total: int) -> FloatArray:
    """How strongly each step of a chunk is pulled: (total,) in [0, 1].

    Args:
        schedule: What lies between the two.
        delay: Steps that are committed, with weight 1; at most ``end`` of them.
        end: The first step with weight 0.
        total: H.

    Source: arXiv 2506.07339, equation 5 (exp); real-time-chunking-kinetix, src/model.py
    (`get_prefix_weights`).
    """
    steps = np.arange(total)
    delay = min(delay, end)
    fall = np.clip((end - steps) / (end - delay + 1), 0.0, 1.0)
    if schedule is Schedule.EXP:
        fall = fall * np.expm1(fall) / math.expm1(1)
    elif schedule is not Schedule.LINEAR:
        fall = np.full(total, float(schedule is Schedule.ONES))
    return np.where(steps < delay, 1.0, np.where(steps < end, fall, 0.0))


def guidance_weight(time: float, maximum: float) -> float:
    """Factor of the pull at a flow time in [0, 1]: large near noise and data, bounded.

    Source: arXiv 2506.07339, equations 2 and 4: with tau = 1 - time,
    min(maximum, (1 - tau) / (tau r^2)), r^2 = (1 - tau)^2 / (tau^2 + (1 - tau)^2).
    """
    tau = 1.0 - time
    spread = tau * time
    return maximum if spread <= 0.0 else min(maximum, (tau**2 + time**2) / spread)
