"""Whole chains of LIBERO agree with openpi: pi0.5 that sees no state, and pi0-FAST."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vla_core.stats import NormStats
from vla_core.transforms import Group, apply
from vla_policy.models.config import IMAGE_KEYS, Pi0Config, Pi0FastConfig
from vla_policy.policies.pipeline import assemble
from vla_policy.processing import Processing
from vla_policy.robots import libero
from vla_policy.tokenizers.fast import FastTokenizer
from vla_policy.tokenizers.fast_codec import FastCodec
from vla_policy.tokenizers.paligemma import PaligemmaTokenizer

GOLDEN = Path(__file__).resolve().parents[3] / "test/golden/transforms"
ARRAYS = np.load(GOLDEN / "chains.npz")
VOCABULARY = 1672
PROMPTS = {
    "libero_pi05_no_discrete_state": "stack 12 blocks on 3 plates",
    "libero_fast": "pick up the red cube",
}


def arrays_of(name: str, side: str) -> dict[str, Any]:
    prefix = f"{name}/{side}/"
    return {k.removeprefix(prefix): ARRAYS[k] for k in ARRAYS.files if k.startswith(prefix)}


def chain_of(name: str) -> Group:
    stats: dict[str, dict[str, Any]] = {}
    for path, vector in arrays_of(name, "stats").items():
        key, field = path.split("/")
        stats.setdefault(key, {})[field] = vector
    fast = name == "libero_fast"
    config: Pi0Config | Pi0FastConfig
    if fast:
        config = Pi0FastConfig.tiny(
            vocab_size=VOCABULARY,
            action_dim=7,
            action_horizon=20,
            max_token_len=180,
            image_keys=IMAGE_KEYS,
        )
    else:
        config = Pi0Config.tiny(pi05=True, vocab_size=VOCABULARY, discrete_state_input=False)
    processing = Processing.openpi(config)
    text = PaligemmaTokenizer(
        GOLDEN / "tokenizer/tokenizer.model", config.max_token_len, prompt_format=processing.prompt
    )
    return assemble(
        Group(inputs=(libero.Inputs(fast=fast),), outputs=(libero.Outputs(),)),
        config=config,
        processing=processing,
        stats={key: NormStats(**fields) for key, fields in stats.items()},
        tokenizer=FastTokenizer(text, FastCodec.load(GOLDEN / "fast")) if fast else text,
    )


@pytest.mark.parametrize("name", PROMPTS)
def test_model_inputs_equal_openpi(name: str) -> None:
    found = arrays_of(name, "in")
    data = {f"observation/{path.removeprefix('observation.')}": x for path, x in found.items()}
    data |= {"prompt": PROMPTS[name]}
    before = copy.deepcopy(data)
    result = apply(chain_of(name).inputs, data)
    for path, expected in arrays_of(name, "model_in").items():
        key, _, slot = path.partition(".")
        if key in ("token_ar_mask", "token_loss_mask"):  # of training
            continue
        value = result[key][slot] if slot else result[key]
        if np.issubdtype(expected.dtype, np.floating):
            np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-9)
        else:
            np.testing.assert_array_equal(value, expected)
    np.testing.assert_equal(data, before)


@pytest.mark.parametrize("name", PROMPTS)
def test_actions_equal_openpi(name: str) -> None:
    output = arrays_of(name, "model_out")
    if name == "libero_fast":
        output["tokens"] = output.pop("actions").astype(np.int64)
    actions = apply(chain_of(name).outputs, output)["actions"]
    np.testing.assert_allclose(actions, arrays_of(name, "out")["actions"], rtol=1e-9, atol=1e-9)
