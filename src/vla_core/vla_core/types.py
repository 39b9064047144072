"""Values that pass between packages.

Shape letters: H action horizon, A action dimension, S state dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
ImageArray = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a policy sees at one tick, in the contract's names, order and units.

    Attributes:
        stamp_ns: Time of the tick, nanoseconds of the ROS clock.
        state: (S,) float64, order of ``Contract.state``.
        images: camera name -> (height, width, 3) uint8 RGB.
        prompt: The task in words.
    """

    stamp_ns: int
    state: FloatArray
    images: Mapping[str, ImageArray]
    prompt: str
