"""Where a new chunk meets what is left of the previous one, in the model's space.

The way there is the one of training: actions in contract units become differences to the new
state, are normalised and padded, all by the policy's own input steps. So the new chunk continues
the old one exactly, whatever the robot did meanwhile.

Shape letters: L steps left, H horizon, A action dims of the robot, D action dims of the model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_core.errors import PolicyError
from vla_core.rtc import Committed, Rtc, Schedule, prefix_weights
from vla_core.transforms import Group, apply
from vla_core.types import FloatArray
from vla_policy.robots.robot import Robot

FloatArray32 = npt.NDArray[np.float32]
PROBES = 2  # rows behind the leftover
ROUND_TRIP = 1e-4  # rad, m or 1; the formulas of normalisation differ by less


@dataclass(frozen=True, slots=True, kw_only=True)
class Splice:
    """What a new chunk continues.

    Attributes:
        target: (H, D) normalised actions, 0 where the leftover does not reach.
        weights: (H, D) how strongly each is pulled; 0 there and in padded dims.
        delay_steps: Committed steps, all of them covered by the leftover.
    """

    target: FloatArray32
    weights: FloatArray32
    delay_steps: int


def with_probes(previous: Committed) -> FloatArray:
    """(L + 2, A): the leftover, and two rows that show which model dims an action reaches.

    Not-a-number in the stepped quantities, then in all, passes through every step of arithmetic
    and is found where it came out. They stand last, because steps may take differences in time.
    """
    stepped = np.where(previous.stepped, np.nan, previous.actions[-1])
    everything = np.full_like(stepped, np.nan)
    return np.concatenate([previous.actions, [stepped, everything]])


def splice(mapped: FloatArray, previous: Committed, rtc: Rtc, horizon: int) -> Splice:
    """Target and weights from what the input steps made of `with_probes`, (L + 2, D).

    Stepped quantities, the grippers, are pulled in the committed steps alone: what is executed
    from the old chunk is given, and what follows is the new chunk's own decision.
    """
    stepped, reached = np.isnan(mapped[-PROBES:])
    covered = min(len(mapped) - PROBES, horizon)
    target = np.zeros((horizon, mapped.shape[1]), np.float32)
    target[:covered] = mapped[:covered]
    delay = min(previous.delay_steps, covered)
    end = min(max(rtc.execution_horizon, delay), covered)
    pulled, committed = (
        prefix_weights(schedule, delay=delay, end=end, total=horizon)[:, None]
        for schedule in (rtc.schedule, Schedule.ZEROS)
    )
    weights = np.where(stepped, committed, pulled) * reached
    return Splice(target=target, weights=weights.astype(np.float32), delay_steps=delay)


def check_round_trip(robot: Robot, steps: Group) -> None:
    """Refuse a robot whose actions the steps in do not undo: each splice would shift them.

    Raises:
        PolicyError: Out and in again is another action.
    """
    example = robot.make_example()
    state = apply(steps.inputs, example)["state"]

    def out(actions: FloatArray) -> FloatArray:
        result = apply(steps.outputs, {"state": state, "actions": actions})["actions"]
        return np.asarray(result, np.float64)

    action = out(np.zeros((2, len(state))))
    back = out(apply(steps.inputs, example | {"actions": action})["actions"])
    offset = np.abs(back - action)
    if not (offset <= ROUND_TRIP).all():
        column = int(np.argmax(offset.max(0)))
        raise PolicyError(
            f"robot {robot.name} cannot continue chunks: its actions do not map back",
            where=f"rtc, {robot.action_names[column]}",
            found=f"an offset of {offset.max():.3g}",
            allowed=f"at most {ROUND_TRIP:g}",
            fix="set rtc to off",
        )
