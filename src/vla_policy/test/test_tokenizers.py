"""Prompts become the reference's ids."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vla_core.errors import CheckpointError
from vla_policy.tokenizers.paligemma import PaligemmaTokenizer, find_tokenizer

GOLDEN = Path(__file__).resolve().parents[3] / "test/golden/transforms/tokenizer"
CASES = json.loads((GOLDEN / "prompts.json").read_text())["cases"]
MODEL = GOLDEN / "tokenizer.model"


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_ids_equal_the_reference(case: dict[str, Any]) -> None:
    state = None if case["state"] is None else np.array(case["state"], case["state_dtype"])
    tokens, mask = PaligemmaTokenizer(MODEL, case["max_len"]).tokenize(case["prompt"], state)
    np.testing.assert_array_equal(tokens, case["tokens"])
    assert tokens.dtype == np.int32
    assert mask.sum() == case["valid"]
    assert mask[: case["valid"]].all()


def test_repeated_and_changed_prompts_get_their_own_ids() -> None:
    tokenizer = PaligemmaTokenizer(MODEL, 48)
    for prompt in ("", "a", "a", "b", "a", ""):
        fresh = PaligemmaTokenizer(MODEL, 48).tokenize(prompt)
        np.testing.assert_array_equal(tokenizer.tokenize(prompt)[0], fresh[0])


def test_caller_may_write_into_the_ids() -> None:
    tokenizer = PaligemmaTokenizer(MODEL, 48)
    first = tokenizer.tokenize("pick")[0].copy()
    tokenizer.tokenize("pick")[0][:] = 7
    np.testing.assert_array_equal(tokenizer.tokenize("pick")[0], first)


def test_long_prompt_is_cut_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = PaligemmaTokenizer(MODEL, 4)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            tokens, mask = tokenizer.tokenize("put every red cube into the blue box")
    assert tokens.shape == (4,)
    assert mask.all()
    assert [record.getMessage().split()[0] for record in caplog.records] == ["prompt=cut"]


def test_file_that_is_not_a_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(b"\x00garbage")
    with pytest.raises(CheckpointError, match="cannot be read"):
        PaligemmaTokenizer(tmp_path / "tokenizer.model", 48)


def test_tokenizer_is_found_in_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VLA_TOKENIZER", raising=False)
    with pytest.raises(CheckpointError, match="big_vision"):
        find_tokenizer(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(MODEL.read_bytes())
    assert find_tokenizer(tmp_path) == tmp_path / "tokenizer.model"


def test_tokenizer_named_in_the_environment_serves_a_checkpoint_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLA_TOKENIZER", str(MODEL))
    assert find_tokenizer(tmp_path) == MODEL
    monkeypatch.setenv("VLA_TOKENIZER", str(tmp_path / "none.model"))
    with pytest.raises(CheckpointError, match=r"none\.model"):
        find_tokenizer(tmp_path)
