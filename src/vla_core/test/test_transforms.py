"""Steps between observation and model agree with openpi and never change what they are given."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import vla_core.transforms as tf
from vla_core.errors import PolicyError
from vla_core.images import as_uint8_hwc
from vla_core.scaling import MIN_SPAN
from vla_core.stats import NormStats

TROSSEN = np.load(Path(__file__).resolve().parents[3] / "test/golden/transforms/trossen.npz")
GOLDEN = Path(__file__).resolve().parents[3] / "test/golden/transforms"
ARRAYS = np.load(GOLDEN / "normalize.npz")
CASES = {
    case["name"]: case for case in json.loads((GOLDEN / "normalize.json").read_text())["cases"]
}
PLAIN = {"min_span": 0.0}  # the reference knows no floor, and one case has a span of zero


def stats_of(case: str) -> dict[str, NormStats]:
    fields = ("mean", "std", "q01", "q99")
    return {
        key: NormStats(**{f: ARRAYS[f"{case}/stats/{key}/{f}"] for f in fields})
        for key in ("state", "actions")
    }


def data_of(case: str, side: str) -> dict[str, Any]:
    return {k: ARRAYS[f"{case}/{side}/{k}"] for k in CASES[case]["keys"]}


def both(scaling: tf.Scaling) -> dict[str, tf.Scaling]:
    return {"state": scaling, "actions": scaling}


def step_of(case: str, **options: Any) -> tf.Transform:
    spec = CASES[case]
    scaling = tf.Scaling.QUANTILES if spec["quantiles"] else tf.Scaling.Z_SCORE
    fixed = {"stats": stats_of(case), "scaling": both(scaling), "formula": tf.Formula.OPENPI}
    if spec["inverse"]:
        return tf.Unnormalize(**fixed, **options)
    return tf.Normalize(**fixed, strict=spec["strict"], **options)


@pytest.mark.parametrize("case", [name for name, spec in CASES.items() if "error" not in spec])
def test_normalisation_equals_the_reference_bit_for_bit(case: str) -> None:
    result = step_of(case, **PLAIN)(data_of(case, "in"))
    for key, expected in data_of(case, "out").items():
        np.testing.assert_array_equal(result[key], expected, strict=True)


@pytest.mark.parametrize("case", [name for name, spec in CASES.items() if "error" not in spec])
def test_floor_changes_only_dimensions_that_stood_still(case: str) -> None:
    stats, result = stats_of(case), step_of(case)(data_of(case, "in"))
    for key, expected in data_of(case, "out").items():
        entry, dims = stats[key], expected.shape[-1]
        assert entry.q01 is not None
        assert entry.q99 is not None
        span = entry.q99 - entry.q01 if CASES[case]["quantiles"] else entry.std
        ordinary = np.ones(dims, bool)
        ordinary[: span.size] = np.abs(span[:dims]) >= MIN_SPAN
        np.testing.assert_array_equal(result[key][..., ordinary], expected[..., ordinary])
        assert np.abs(result[key]).max() < 1e5


@pytest.mark.parametrize(
    "name", ["zscore_unnormalize_missing_actions", "quantile_unnormalize_missing_actions"]
)
def test_unnormalise_needs_every_quantity(name: str) -> None:
    with pytest.raises(PolicyError, match="lacks"):
        step_of(name)(data_of(name, "in"))


def test_strict_normalise_needs_every_quantity() -> None:
    name = "zscore_normalize_missing_actions"
    step = tf.Normalize(
        stats=stats_of(name),
        scaling=both(tf.Scaling.Z_SCORE),
        formula=tf.Formula.OPENPI,
        strict=True,
    )
    with pytest.raises(PolicyError, match="lacks"):
        step(data_of(name, "in"))


def test_group_nests_each_push_inside_the_last() -> None:
    outer = tf.Group().push(
        inputs=[tf.DeltaActions((True,))], outputs=[tf.AbsoluteActions((True,))]
    )
    group = outer.push(inputs=[tf.PadStatesAndActions(4)], outputs=[tf.PadStatesAndActions(5)])
    assert [type(step) for step in group.inputs] == [tf.DeltaActions, tf.PadStatesAndActions]
    assert [type(step) for step in group.outputs] == [tf.PadStatesAndActions, tf.AbsoluteActions]


def test_bool_mask_reads_run_lengths() -> None:
    assert tf.bool_mask(2, -1, 0, 1) == (True, True, False, True)


def test_state_wider_than_the_model_is_refused() -> None:
    with pytest.raises(PolicyError, match="more dimensions"):
        tf.PadStatesAndActions(3)({"state": np.zeros(4)})


@pytest.mark.parametrize(
    ("case", "cameras", "size"),
    [
        ("center_crop_min", ("wrist",), None),
        ("center_crop_size", ("cam_high", "wrist"), 15),
        ("center_crop_hwc", ("left",), 11),
    ],
)
def test_centre_crop_equals_the_reference(case: str, cameras: Any, size: int | None) -> None:
    def images(side: str) -> dict[str, Any]:
        prefix, found = f"{case}/{side}/", {}
        for name in TROSSEN.files:
            if name.startswith(prefix):
                key, camera = name.removeprefix(prefix).split(".")
                found.setdefault(key, {})[camera] = TROSSEN[name]
        return found

    result = tf.CenterCrop(cameras=cameras, size=size)(images("in"))
    for key, wanted in images("out").items():
        assert set(result[key]) == set(wanted)
        for camera, image in wanted.items():
            np.testing.assert_array_equal(
                as_uint8_hwc(result[key][camera]), as_uint8_hwc(image), strict=True
            )


def test_missing_prompt_is_refused() -> None:
    with pytest.raises(PolicyError, match="no prompt"):
        tf.Tokenize(tokenizer=Letters(), discrete_state=False)({"state": np.zeros(2)})


@pytest.mark.parametrize(("data", "prompt"), [({}, "default"), ({"prompt": "own"}, "own")])
def test_default_prompt_gives_way_to_the_observation(data: dict, prompt: str) -> None:
    assert tf.InjectDefaultPrompt("default")(data)["prompt"] == prompt


class Letters:
    """A tokenizer that shows what it was given."""

    def tokenize(self, prompt: str, state: Any) -> tuple[Any, Any]:
        ids = np.array([ord(letter) for letter in prompt], np.int32)
        return ids if state is None else np.append(ids, np.int32(state.size)), np.ones(
            ids.size, bool
        )


@pytest.mark.parametrize(("discrete", "count"), [(False, 2), (True, 3)])
def test_state_is_read_as_text_only_when_asked(discrete: bool, count: int) -> None:
    step = tf.Tokenize(tokenizer=Letters(), discrete_state=discrete)
    assert step({"prompt": "go", "state": np.zeros(7)})["tokenized_prompt"].size == count


DIMS = 3
FINITE = st.floats(-100, 100, width=32)
LOW, HIGH = {"q01", "min", "q10"}, {"std", "q99", "max", "q90"}
ENTRY = {name: -np.ones(DIMS) for name in LOW} | {name: np.ones(DIMS) for name in HIGH}
STATS = {key: NormStats(mean=np.zeros(DIMS), **ENTRY) for key in ("state", "actions")}
STEPS = [
    *(
        kind(stats=STATS, scaling=both(scaling), formula=formula)
        for kind in (tf.Normalize, tf.Unnormalize)
        for scaling in tf.Scaling
        for formula in tf.Formula
    ),
    tf.DeltaActions((True, False)),
    tf.AbsoluteActions((True, True, False)),
    tf.ResizeImages(height=8, width=8),
    tf.ResizeImagesLerobot(height=8, width=8),
    tf.StretchImages(height=8, width=8),
    tf.StandardizeImages(mean=(1.0, 2.0, 3.0), std=(1.0, 2.0, 3.0)),
    tf.CenterCrop(cameras=("base",)),
    tf.InjectDefaultPrompt("do"),
    tf.Tokenize(tokenizer=Letters(), discrete_state=True),
    tf.PadStatesAndActions(6),
]


@st.composite
def samples(draw: st.DrawFn) -> dict[str, Any]:
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    return {
        "state": draw(hnp.arrays(dtype, DIMS, elements=FINITE)),
        "actions": draw(hnp.arrays(dtype, (2, DIMS), elements=FINITE)),
        "image": {
            "base": draw(hnp.arrays(np.uint8, st.tuples(*[st.integers(4, 9)] * 2, st.just(3))))
        },
        "image_mask": {"base": np.True_},
        "prompt": draw(st.text(max_size=8)),
    }


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
@settings(max_examples=25, deadline=None)
@given(data=samples())
def test_steps_do_not_change_their_inputs(step: tf.Transform, data: dict[str, Any]) -> None:
    before = copy.deepcopy(data)
    result = step(data)
    assert result is not data
    np.testing.assert_equal(data, before)


@settings(max_examples=50, deadline=None)
@given(data=samples())
def test_absolute_actions_undo_delta_actions(data: dict[str, Any]) -> None:
    mask = (True, False, True)
    back = tf.AbsoluteActions(mask)(tf.DeltaActions(mask)(data))
    np.testing.assert_allclose(back["actions"], data["actions"], atol=1e-4)
