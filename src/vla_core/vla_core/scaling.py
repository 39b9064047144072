"""Arithmetic of normalisation: which statistics scale a quantity, and in whose formula.

Shape letter: D dims of a quantity.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_core.errors import CheckpointError
from vla_core.stats import NormStats, Vector

Array = npt.NDArray[Any]

OPENPI_EPSILON = 1e-6
LEROBOT_EPSILON = 1e-8

MIN_SPAN = 1e-4
"""Smallest believable span of a dimension in its own unit (rad, m, or a share of the stroke).

A dimension that stood still in the training data has a span of about 0, and a deviation of
0.01 rad would reach the model as 1e4. Such a span is raised to this value, which makes that 1e2,
with a warning. Any wider span is used as it is, bit for bit.
"""

_log = logging.getLogger(__name__)


class Scaling(Enum):
    """Statistics that a quantity is scaled by; all but z-score and identity map to [-1, 1]."""

    Z_SCORE = "mean, std"
    QUANTILES = "q01, q99"
    MIN_MAX = "min, max"
    QUANTILES_10_90 = "q10, q90"
    IDENTITY = ""

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields of `NormStats` that are needed."""
        return tuple(filter(None, self.value.split(", ")))


class Formula(Enum):
    """Whose arithmetic; they differ where a dimension hardly moves.

    OPENPI: epsilon 1e-6 on every span, both ways.
    LEROBOT: z-score adds 1e-8 to the deviation on the way in alone; other spans are used as they
    are, and 1e-8 where they are exactly 0.
    FLUXVLA: openpi's on the way in, no epsilon on the way back.

    Source: openpi, src/openpi/transforms.py; LeRobot,
    src/lerobot/processor/normalize_processor.py; FluxVLA, fluxvla/transforms/normalize.py.
    """

    OPENPI = "openpi"
    LEROBOT = "lerobot"
    FLUXVLA = "fluxvla"


def normalize(x: Array, low: Vector, span: Vector, scaling: Scaling, formula: Formula) -> Array:
    """(.., D) in its own unit to the model's; see `low_and_span`. Nothing is clipped."""
    if formula is not Formula.LEROBOT:
        scaled = (x - low) / (span + OPENPI_EPSILON)
        return scaled if scaling is Scaling.Z_SCORE else scaled * 2.0 - 1.0
    if scaling is Scaling.Z_SCORE:
        return (x - low) / (span + LEROBOT_EPSILON)
    return 2.0 * (x - low) / np.where(span == 0, LEROBOT_EPSILON, span) - 1.0


def unnormalize(x: Array, low: Vector, span: Vector, scaling: Scaling, formula: Formula) -> Array:
    """(.., D) in the model's unit to its own."""
    if formula is Formula.OPENPI:
        span = span + OPENPI_EPSILON
    elif formula is Formula.LEROBOT and scaling is not Scaling.Z_SCORE:
        span = np.where(span == 0, LEROBOT_EPSILON, span)
    return (x if scaling is Scaling.Z_SCORE else (x + 1.0) / 2.0) * span + low


def low_and_span(
    key: str, stats: NormStats, scaling: Scaling, min_span: float
) -> tuple[Vector, Vector]:
    """Offset (D,) and span (D,) of a scaling, the span with its floor.

    Args:
        key: Name of the quantity, for the warning.
        stats: Holds the scaling's fields.
        scaling: Not the identity.
        min_span: See `MIN_SPAN`.
    """
    low, high = (getattr(stats, field) for field in scaling.fields)
    span: Vector = high if scaling is Scaling.Z_SCORE else high - low
    narrow = np.abs(span) < min_span
    if narrow.any():
        _warn_narrow(key, tuple(np.flatnonzero(narrow).tolist()), min_span)
        span = np.where(narrow, min_span, span)
    return low, span


@functools.lru_cache(maxsize=64)  # once per set of dimensions, not once per inference
def _warn_narrow(key: str, dims: tuple[int, ...], min_span: float) -> None:
    names = ",".join(f"{key}[{dim}]" for dim in dims)
    _log.warning(
        "norm_stats=narrow dims=%s raised_to=%g reason=stood_still_in_training", names, min_span
    )


def check_statistics(stats: Mapping[str, NormStats], scaling: Mapping[str, Scaling]) -> None:
    """Refuse statistics that lack what a scaling needs.

    Raises:
        CheckpointError: A quantity, or one of its fields, is missing.
    """
    missing = [
        f"{key}.{field}"
        for key, kind in scaling.items()
        for field in kind.fields
        if key not in stats or getattr(stats[key], field) is None
    ]
    if missing:
        raise CheckpointError(
            "the normalisation statistics lack what this model is scaled by",
            found=f"no {', '.join(missing)}",
            allowed="; ".join(f"{key}: {kind.value}" for key, kind in scaling.items()),
            fix="use the statistics of the data that the model was trained on",
        )
