"""UR3: as a UR5, with its own statistics; and repeated to the width of two arms.

One model for a UR3 and an ALOHA sees 14 numbers from both: those of the UR3 stand there twice, and
the first seven of the model's actions are executed. Its actions are joint angles, no differences.

Source: FluxVLA, fluxvla/transforms/transform_inputs.py (PadKeyToDim) and
configs/pi0/pi0_paligemma_aloha+ur_full_finetune.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vla_core.transforms import Data, Group
from vla_policy.robots import ur5

MIXED_DIMS = 14


@dataclass(frozen=True, slots=True)
class RepeatToDims:
    """State and actions as often behind themselves as it takes to reach `dims` elements."""

    dims: int

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        keys = [key for key in ("state", "actions") if key in data]
        return {**data, **{key: self._repeat(np.asarray(data[key])) for key in keys}}

    def _repeat(self, vector: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        times = -(-self.dims // vector.shape[-1])
        return np.tile(vector, [1] * (vector.ndim - 1) + [times])


def _build_mixed(fast: bool) -> Group:
    return Group(
        inputs=(ur5.FromContract(), ur5.Inputs(fast=fast), RepeatToDims(MIXED_DIMS)),
        outputs=(ur5.Outputs(),),
    )


UR3 = replace(ur5.UR5, name="ur3", asset_id="ur3")
UR3_MIXED = replace(UR3, name="ur3_mixed", build=_build_mixed, model_dims=MIXED_DIMS)
