"""A random pi0-FAST checkpoint goes the whole road: prompt, tokens, actions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vla_policy import robots
from vla_policy.checkpoints import load_checkpoint
from vla_policy.cli.make_random_checkpoint import main
from vla_policy.models.inputs import ModelInputs
from vla_policy.models.pi0_fast import Pi0Fast
from vla_policy.tokenizers.fast import FastTokenizer
from vla_policy.tokenizers.fast_codec import FastCodec
from vla_policy.tokenizers.paligemma import PaligemmaTokenizer
from vla_policy.tokenizers.prompts import PromptFormat

torch.set_num_threads(1)


@pytest.mark.parametrize("robot", ["aloha", "droid", "libero", "ur5"])
def test_it_writes_the_resting_pose(robot: str, tmp_path: Path) -> None:
    out, adapter = tmp_path / "out", robots.get(robot)
    assert main(["--output", str(out), "--model", "pi0_fast", "--robot", robot]) == 0
    loaded = load_checkpoint(out)
    model, stored = loaded.model, loaded.stored
    assert isinstance(model, Pi0Fast)
    assert stored.tokenizer is not None
    assert stored.fast_tokenizer is not None
    assert set(stored.norm_stats) == {adapter.asset_id}
    config = model.config
    text = PaligemmaTokenizer(
        stored.tokenizer, config.max_token_len, prompt_format=PromptFormat.FAST
    )
    tokenizer = FastTokenizer(text, FastCodec.load(stored.fast_tokenizer))
    tokens, mask = tokenizer.tokenize("pick up the cube", np.linspace(-1, 1, adapter.state_dim))
    inputs = ModelInputs.from_numpy(
        images={n: np.full((1, 224, 224, 3), 90, np.uint8) for n in config.image_keys[:1]},
        image_masks={n: np.ones(1, bool) for n in config.image_keys[:1]},
        tokens=tokens[None],
        token_mask=mask[None],
        state=np.zeros((1, adapter.state_dim)),
    )
    written = model.generate(inputs, stop_token=tokenizer.stop_token)
    assert written.steps < 20
    size = {"horizon": config.action_horizon, "action_dim": adapter.model_action_dim}
    assert not tokenizer.actions(written.tokens[0].tolist(), **size).any()


def test_equal_seeds_give_equal_bytes(tmp_path: Path) -> None:
    for name in "ab":
        assert main(["--output", str(tmp_path / name), "--model", "pi0_fast", "--seed", "5"]) == 0
    files = [f.relative_to(tmp_path / "a") for f in (tmp_path / "a").rglob("*") if f.is_file()]
    assert len(files) == 6
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
