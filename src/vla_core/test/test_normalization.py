"""Normalisation in openpi's and LeRobot's formulas, its inverse, its floor and its refusals.

The golden cases stand in test_transforms.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vla_core import scaling as sc
from vla_core.errors import CheckpointError
from vla_core.scaling import Formula, Scaling
from vla_core.stats import NormStats
from vla_core.transforms import Normalize, Unnormalize

STATS = NormStats(
    mean=np.array([0.5, -1.0]),
    std=np.array([0.25, 2.0]),
    q01=np.array([-0.5, -4.0]),
    q99=np.array([1.5, 4.0]),
    min=np.array([-1.0, -9.0]),
    max=np.array([2.0, 7.0]),
    q10=np.array([0.0, -2.0]),
    q90=np.array([1.0, 3.0]),
)
X = np.array([0.75, 3.0])
SCALED = {
    Scaling.Z_SCORE: [1.0, 2.0],
    Scaling.QUANTILES: [0.25, 0.75],
    Scaling.MIN_MAX: [1 / 6, 0.5],
    Scaling.QUANTILES_10_90: [0.5, 1.0],
    Scaling.IDENTITY: [0.75, 3.0],
}
PAIRS = [(scaling, formula) for scaling in Scaling for formula in Formula]


def pair(
    stats: NormStats, scaling: Scaling, formula: Formula, **options: float
) -> list[Callable[[Any], Any]]:
    """Normalise and un-normalise a state."""
    fixed: dict[str, Any] = {"stats": {"state": stats}, "scaling": {"state": scaling}}
    return [
        lambda x, kind=kind: kind(**fixed, formula=formula, **options)({"state": x})["state"]
        for kind in (Normalize, Unnormalize)
    ]


@pytest.mark.parametrize(("scaling", "formula"), PAIRS)
def test_each_scaling_uses_its_own_statistics(scaling: Scaling, formula: Formula) -> None:
    forward, back = pair(STATS, scaling, formula)
    np.testing.assert_allclose(forward(X), SCALED[scaling], rtol=1e-5)
    np.testing.assert_allclose(back(np.array(SCALED[scaling])), X, rtol=1e-5)


@pytest.mark.parametrize(("scaling", "formula"), PAIRS)
@settings(max_examples=25, deadline=None)
@given(x=hnp.arrays(np.float64, (3, 2), elements=st.floats(-1e3, 1e3)))
def test_unnormalise_undoes_normalise(scaling: Scaling, formula: Formula, x: np.ndarray) -> None:
    forward, back = pair(STATS, scaling, formula)
    one_way = 0.0 if formula is Formula.OPENPI else sc.OPENPI_EPSILON  # epsilon, of a span > 0.2
    np.testing.assert_allclose(back(forward(x)), x, rtol=1e-9, atol=1e-9 + 1e4 * one_way)


def test_the_formulas_treat_a_span_of_nothing_each_in_its_own_way() -> None:
    zero = np.zeros(1)
    still = NormStats(mean=zero, std=zero, q01=zero, q99=zero, min=zero, max=zero)
    x = np.array([1e-3])

    def both_ways(scaling: Scaling, formula: Formula) -> tuple[float, float]:
        forward, back = pair(still, scaling, formula, min_span=0.0)
        return float(forward(x)[0]), float(back(np.ones(1))[0])

    assert both_ways(Scaling.Z_SCORE, Formula.OPENPI) == pytest.approx((1e3, 1e-6))
    assert both_ways(Scaling.Z_SCORE, Formula.LEROBOT) == pytest.approx((1e5, 0.0))
    assert both_ways(Scaling.QUANTILES, Formula.OPENPI) == pytest.approx((2e3 - 1, 1e-6))
    assert both_ways(Scaling.QUANTILES, Formula.LEROBOT) == pytest.approx((2e5 - 1, 1e-8))
    assert both_ways(Scaling.Z_SCORE, Formula.FLUXVLA) == pytest.approx((1e3, 0.0))
    assert both_ways(Scaling.MIN_MAX, Formula.FLUXVLA) == pytest.approx((2e3 - 1, 0.0))


@pytest.mark.parametrize(("scaling", "formula"), [p for p in PAIRS if p[0].fields])
def test_a_dimension_that_stood_still_does_not_explode(scaling: Scaling, formula: Formula) -> None:
    names = ("mean", "std", "q01", "q99", "min", "max", "q10", "q90")
    forward, back = pair(NormStats(**{n: np.zeros(1) for n in names}), scaling, formula)
    assert abs(forward(np.array([0.01]))[0]) < 250
    assert abs(back(np.array([1.0]))[0]) < 2e-4


@pytest.mark.parametrize("kind", [Normalize, Unnormalize])
@pytest.mark.parametrize("scaling", [s for s in Scaling if s.fields and s is not Scaling.Z_SCORE])
def test_missing_statistics_are_refused_at_construction(kind: Any, scaling: Scaling) -> None:
    stats = {"state": NormStats(mean=np.zeros(2), std=np.ones(2))}
    with pytest.raises(CheckpointError, match=f"no state.{scaling.fields[0]}"):
        kind(stats=stats, scaling={"state": scaling}, formula=Formula.OPENPI)


def test_a_missing_quantity_is_refused_at_construction() -> None:
    with pytest.raises(CheckpointError, match=r"no actions\.mean"):
        Normalize(stats={}, scaling={"actions": Scaling.Z_SCORE}, formula=Formula.LEROBOT)


def test_identity_needs_no_statistics() -> None:
    step = Unnormalize(stats={}, scaling={"actions": Scaling.IDENTITY}, formula=Formula.LEROBOT)
    assert step({"actions": 1})["actions"] == 1


def test_narrow_dimensions_are_named_in_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    sc._warn_narrow.cache_clear()
    stats = NormStats(mean=np.zeros(4), std=np.array([1.0, 0.0, 1.0, 1e-5]))
    forward, _ = pair(stats, Scaling.Z_SCORE, Formula.OPENPI)
    with caplog.at_level(logging.WARNING):
        scaled = [forward(np.full(3, 0.01)) for _ in range(3)][-1]
    assert [record.getMessage().split()[1] for record in caplog.records] == ["dims=state[1]"]
    assert scaled[1] == 0.01 / (sc.MIN_SPAN + sc.OPENPI_EPSILON)
