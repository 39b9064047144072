"""The text of pi0-FAST is the reference's, to the model and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_core.errors import CheckpointError, PolicyError
from vla_policy.models.config import FastLayout
from vla_policy.tokenizers.fast import FastTokenizer
from vla_policy.tokenizers.fast_codec import FastCodec
from vla_policy.tokenizers.paligemma import PaligemmaTokenizer
from vla_policy.tokenizers.prompts import PromptFormat

TRANSFORMS = Path(__file__).resolve().parents[3] / "test/golden/transforms"
GOLDEN, MODEL = TRANSFORMS / "fast", TRANSFORMS / "tokenizer/tokenizer.model"
RECORDED = json.loads((GOLDEN / "prompts.json").read_text())
IDS = json.loads((TRANSFORMS / "tokenizer/prompts.json").read_text())["ids"]
CODEC = FastCodec.load(GOLDEN)
STATE = np.array([-0.3, 0.2, 1.4])
ACTIONS = np.sin(np.linspace(0, 3, 40)).reshape(20, 2) * np.array([0.5, -0.7])


def recorded() -> dict[str, Any]:
    with np.load(GOLDEN / "prompts.npz", allow_pickle=False) as file:
        return dict(file)


def fast(max_len: int = 120) -> FastTokenizer:
    text = PaligemmaTokenizer(MODEL, max_len, prompt_format=PromptFormat.FAST)
    return FastTokenizer(text, CODEC)


def lerobot(max_len: int = 60, max_action_tokens: int = 80) -> FastTokenizer:
    text = PaligemmaTokenizer(MODEL, max_len, prompt_format=PromptFormat.LEROBOT_FAST)
    return FastTokenizer(
        text, CODEC, layout=FastLayout.LEROBOT, max_action_tokens=max_action_tokens
    )


@pytest.mark.parametrize("case", RECORDED["cases"], ids=lambda case: case["name"])
def test_rows_equal_the_reference(case: dict[str, Any]) -> None:
    name, arrays, tokenizer = case["name"], recorded(), fast(case["max_len"])
    state = arrays[f"{name}/state"]
    if case["has_actions"]:
        row = tokenizer.training_row(case["prompt"], state, arrays[f"{name}/actions"])
        np.testing.assert_array_equal(row.ar_mask, arrays[f"{name}/ar_mask"])
        np.testing.assert_array_equal(row.loss_mask, arrays[f"{name}/loss_mask"])
        tokens, mask = row.tokens, row.mask
        assert row.ar_mask.dtype == np.int32
    else:
        tokens, mask = tokenizer.tokenize(case["prompt"], state)
    np.testing.assert_array_equal(tokens, arrays[f"{name}/tokens"])
    np.testing.assert_array_equal(mask, arrays[f"{name}/token_mask"])
    assert tokens.dtype == np.int32


@pytest.mark.parametrize("case", RECORDED["extract"], ids=lambda case: case["name"])
def test_actions_equal_the_reference_and_its_zeros_are_no_chunk(case: dict[str, Any]) -> None:
    arrays, size = recorded(), {"horizon": case["horizon"], "action_dim": case["dim"]}
    ids, expected = (arrays[f"extract/{case['name']}/{what}"] for what in ("ids", "actions"))
    if expected.any():
        np.testing.assert_allclose(fast().actions(ids, **size), expected, rtol=0, atol=1e-12)
    else:
        with pytest.raises(PolicyError, match="no action chunk"):
            fast().actions(ids, **size)


def test_generation_ends_where_the_layout_says() -> None:
    assert fast().stop_token == IDS["eos"]
    assert [lerobot().stop_token] == IDS["bar"]


@pytest.mark.parametrize("make", [fast, lerobot])
def test_a_training_row_holds_the_actions_that_come_back(make: Any) -> None:
    tokenizer = make()
    row = tokenizer.training_row("pick up", STATE, ACTIONS)
    answer = row.tokens[row.loss_mask]
    found = tokenizer.actions(answer, horizon=20, action_dim=2)
    np.testing.assert_allclose(found, ACTIONS, atol=0.3)
    codes = CODEC.encode(ACTIONS)
    np.testing.assert_array_equal(
        found, CODEC.decode(codes, horizon=20, action_dim=2, relaxed=make is lerobot)
    )


def test_lerobots_row_puts_a_second_start_behind_the_padded_prompt() -> None:
    tokenizer = lerobot()
    tokens, mask = tokenizer.tokenize("Pick_Up", STATE)
    row = tokenizer.training_row("Pick_Up", STATE, ACTIONS)
    codes = [IDS["fast_id_0"] - code for code in CODEC.encode(ACTIONS)]
    answer = [IDS["bos"], *IDS["action_prefix"], *codes, *IDS["bar"], IDS["eos"]]
    assert row.tokens.shape == row.mask.shape == (140,)
    np.testing.assert_array_equal(row.tokens[:60], tokens)
    np.testing.assert_array_equal(row.mask[:60], mask)
    assert not mask.all()
    assert row.tokens[60:].tolist() == answer + [0] * (80 - len(answer))
    np.testing.assert_array_equal(row.ar_mask[60:], np.arange(80) < len(answer))
    assert not row.ar_mask[:60].any()
    assert row.loss_mask.sum() == len(answer) - 1
    assert not row.loss_mask[60]


def test_lerobots_actions_begin_with_the_opening_and_end_at_the_first_bar() -> None:
    tokenizer, size = lerobot(), {"horizon": 20, "action_dim": 2}
    opening, bar = IDS["action_prefix"], IDS["bar"]
    codes = [IDS["fast_id_0"] - code for code in CODEC.encode(ACTIONS)]
    expected = tokenizer.actions([*opening, *codes, *bar], **size)
    for ids in (
        [*opening, *codes],
        [*opening, *codes, *bar, 999, 0, 0],
        [*opening, *opening, *codes[:3], *opening, *codes[3:], *bar],
        [*opening, *codes, IDS["fast_id_0"] - 48, *bar],
    ):
        np.testing.assert_array_equal(tokenizer.actions(ids, **size), expected)
    for ids in ([], codes, [*bar, *opening, *codes], [*opening, *bar], [*opening, 9, *codes]):
        with pytest.raises(PolicyError, match="no action chunk"):
            tokenizer.actions(ids, **size)


@given(st.lists(st.integers(-3, IDS["vocab_size"] + 3), max_size=40), st.booleans())
@settings(deadline=None)
def test_any_tokens_give_a_finite_chunk_or_no_chunk(ids: list[int], with_opening: bool) -> None:
    for tokenizer in (OPENPI, LEROBOT):
        try:
            found = tokenizer.actions(
                [*IDS["action_prefix"], *ids] if with_opening else ids, horizon=2, action_dim=2
            )
        except PolicyError:
            continue
        assert found.shape == (2, 2)
        assert np.isfinite(found).all()


OPENPI, LEROBOT = fast(), lerobot()


def test_a_codec_larger_than_the_text_vocabulary_is_refused() -> None:
    class Large:
        vocab_size = IDS["vocab_size"] - 128

    text = PaligemmaTokenizer(MODEL, 9, prompt_format=PromptFormat.FAST)
    with pytest.raises(CheckpointError, match="vocabulary"):
        FastTokenizer(text, Large())  # type: ignore[arg-type]
