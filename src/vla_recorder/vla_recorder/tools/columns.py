"""Columns of an episode's table as arrays, and which features are the robot's two sides.

Shape letters: T rows of an episode, D values of a row, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vla_core.dataset.columns import numbers as shaped_numbers
from vla_core.dataset.columns import stored_picture as one_picture
from vla_core.dataset.episode import Feature
from vla_core.dataset.info import NUMBERS, PICTURES, damaged
from vla_core.errors import CodecError
from vla_recorder.tools.number_checks import Numbers

# LeRobot's names, and those that openpi's examples give them
_STATES, _ACTIONS = ("observation.state", "state"), ("action", "actions")


def state_of(features: Mapping[str, Feature]) -> str | None:
    """The name of what is measured, where there is such a feature."""
    return next((name for name in _STATES if name in features), None)


def action_of(features: Mapping[str, Feature]) -> str | None:
    """The name of what is commanded."""
    return next((name for name in _ACTIONS if name in features), None)


def number_features(features: Mapping[str, Feature]) -> list[str]:
    """The features that hold numbers."""
    return [name for name, feature in features.items() if feature.dtype in NUMBERS]


def camera_features(features: Mapping[str, Feature]) -> list[str]:
    """The features that hold pictures, in videos or in the table."""
    return [name for name, feature in features.items() if feature.dtype in PICTURES]


def dimension_names(feature: Feature) -> tuple[str, ...]:
    """The names of its dimensions, or their numbers."""
    dims = range(int(np.prod(feature.shape)))
    named = feature.names is not None and len(feature.names) == len(dims)
    return feature.names if named and feature.names else tuple(f"dimension {d}" for d in dims)


def numbers(table: pa.Table, name: str, feature: Feature) -> Numbers:
    """(T, D) float64 of one feature, its shape made flat."""
    values = shaped_numbers(table[name], feature)
    return np.asarray(values, dtype=np.float64).reshape(table.num_rows, -1)


def stored_picture(table: pa.Table, name: str, row: int) -> npt.NDArray[np.generic]:
    """Of a feature whose pictures lie in the table: (H, W, 3) uint8, or depth (H, W) uint16.

    Raises:
        DatasetError: It cannot be decoded.
    """
    try:
        return one_picture(table[name], row, name)
    except CodecError as error:
        raise damaged(f"{name}, row {row}", error, "a PNG or JPEG picture") from error
