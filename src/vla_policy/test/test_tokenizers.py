"""Prompts become the reference's ids."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vla_core.errors import CheckpointError, PolicyError
from vla_policy.tokenizers.paligemma import PaligemmaTokenizer, find_tokenizer
from vla_policy.tokenizers.prompts import PromptFormat, prompt_texts

GOLDEN = Path(__file__).resolve().parents[3] / "test/golden/transforms/tokenizer"
CASES = json.loads((GOLDEN / "prompts.json").read_text())["cases"]
MODEL = GOLDEN / "tokenizer.model"


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_ids_equal_the_reference(case: dict[str, Any]) -> None:
    state = None if case["state"] is None else np.array(case["state"], case["state_dtype"])
    stated = PromptFormat.PI0 if state is None else PromptFormat.PI05
    for prompt_format in (None, stated):
        tokenizer = PaligemmaTokenizer(MODEL, case["max_len"], prompt_format=prompt_format)
        tokens, mask = tokenizer.tokenize(case["prompt"], state)
        np.testing.assert_array_equal(tokens, case["tokens"])
        assert tokens.dtype == np.int32
        assert mask.sum() == case["valid"]
        assert mask[: case["valid"]].all()


STATE = np.array([-1.2, -1.0, 0.0, 0.992, 2.0])
BINS = "-1 0 128 254 255"


@pytest.mark.parametrize(
    ("prompt_format", "texts"),
    [
        (PromptFormat.PI0, ("Fold the Towel", "\n")),
        (PromptFormat.PI05, (f"Task: Fold the Towel, State: {BINS};\nAction: ",)),
        (PromptFormat.FAST, (f"Task: fold the\ntowel, State: {BINS};\n",)),
        (PromptFormat.LEROBOT_PI0, (" Fold_the\nTowel \n",)),
        (PromptFormat.LEROBOT_PI05, (f"Task: Fold the Towel, State: {BINS};\nAction: ",)),
        (PromptFormat.LEROBOT_FAST, (f"Task: Fold the Towel, State: {BINS};\n",)),
    ],
)
def test_each_format_has_its_own_text(prompt_format: PromptFormat, texts: tuple[str, ...]) -> None:
    assert prompt_texts(prompt_format, " Fold_the\nTowel ", STATE) == texts
    tokenizer = PaligemmaTokenizer(MODEL, 99, prompt_format=prompt_format)
    expected = [tokenizer.bos_id, *(i for text in texts for i in tokenizer.encode(text))]
    tokens, mask = tokenizer.tokenize(" Fold_the\nTowel ", STATE)
    assert tokens[mask].tolist() == expected


def test_lerobots_newline_is_not_doubled() -> None:
    assert prompt_texts(PromptFormat.LEROBOT_PI0, "pick\n", None) == ("pick\n",)


def test_an_older_lerobot_pads_the_state_before_it_becomes_text() -> None:
    [text] = prompt_texts(PromptFormat.LEROBOT_PI05, "pick", STATE, state_dims=8)
    assert text == f"Task: pick, State: {BINS} 128 128 128;\nAction: "
    tokenizer = PaligemmaTokenizer(
        MODEL, 99, prompt_format=PromptFormat.LEROBOT_PI05, state_dims=8
    )
    padded, _ = tokenizer.tokenize("pick", np.append(STATE, [0, 0, 0]))
    np.testing.assert_array_equal(tokenizer.tokenize("pick", STATE)[0], padded)


@pytest.mark.parametrize("state", [None, np.array([0.1, np.nan]), np.zeros((1, 3))])
def test_a_prompt_that_needs_the_state_refuses_to_go_without(state: Any) -> None:
    for prompt_format in PromptFormat:
        if prompt_format.reads_state:
            with pytest.raises(PolicyError, match="state"):
                prompt_texts(prompt_format, "pick", state)
        else:
            assert prompt_texts(prompt_format, "pick", state)[0].startswith("pick")


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


def test_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "tokenizer.model").open("wb") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(CheckpointError, match="bytes"):
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
