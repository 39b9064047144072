"""Which rows show a robot at rest.

Shape letters: Q quantities.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from vla_core.contract import Contract, Kind
from vla_core.types import FloatArray

REST_S: Final = 1.0  # so much of a rest is kept
_STILL: Final = 0.005  # share of a joint's range that counts as no movement


class IdleFilter:
    """Drops rows after `REST_S` in which neither state nor action moved, until one does.

    A position rests near where it was when it last moved, a velocity near zero.

    Args:
        contract: Gives ranges.
        fps: Rows per second.
    """

    def __init__(self, contract: Contract, fps: float) -> None:
        joints = [contract.joints[name] for name in (*contract.state, *contract.action_names)]
        self.dropped = 0
        self._still = np.array([_STILL * (joint.upper - joint.lower) for joint in joints])
        self._velocity = np.array([joint.kind is Kind.VELOCITY for joint in joints])
        self._rest_rows = round(REST_S * fps)
        self._reference: FloatArray | None = None
        self._resting = 0

    def keeps(self, state: npt.NDArray[np.floating], action: npt.NDArray[np.floating]) -> bool:
        """Judge the next row, (Q,) of state and action together."""
        values = np.concatenate([state, action]).astype(np.float64)
        reference = values if self._reference is None else self._reference
        away = np.abs(values - np.where(self._velocity, 0.0, reference))
        if self._reference is None or (away > self._still).any():
            self._reference, self._resting = values, 0
        else:
            self._resting += 1
        keep = self._resting <= self._rest_rows
        self.dropped += not keep
        return keep
