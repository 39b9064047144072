"""The command that makes a small random checkpoint."""

from __future__ import annotations

from pathlib import Path

import golden_model_case as golden
import numpy as np
import pytest
import torch

from vla_core.errors import CheckpointError
from vla_core.transforms import Formula, Scaling, Unnormalize, apply
from vla_policy import robots
from vla_policy.checkpoints import load_checkpoint
from vla_policy.cli.make_random_checkpoint import REST, main, rest_stats
from vla_policy.models.config import IMAGE_KEYS, Pi0Config
from vla_policy.models.inputs import ModelInputs
from vla_policy.models.random_init import random_pi0

FAMILIES = golden.FAMILIES


def content(directory: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(directory)): file.read_bytes()
        for file in directory.rglob("*")
        if file.is_file()
    }


def observation(config: Pi0Config, seed: int) -> tuple[ModelInputs, torch.Tensor]:
    generator = np.random.default_rng(seed)
    tokens = np.zeros((1, config.max_token_len), np.int64)
    tokens[0, :8] = generator.integers(3, config.vocab_size, 8)
    inputs = ModelInputs.from_numpy(
        images={
            n: generator.integers(256, size=(1, 224, 224, 3), dtype=np.uint8) for n in IMAGE_KEYS
        },
        image_masks={name: np.ones(1, bool) for name in IMAGE_KEYS},
        tokens=tokens,
        token_mask=tokens > 0,
        state=generator.standard_normal((1, config.action_dim)),
    )
    shape = (1, config.action_horizon, config.action_dim)
    return inputs, torch.from_numpy(generator.standard_normal(shape, np.float32))


@pytest.mark.parametrize("family", FAMILIES)
def test_equal_seeds_give_equal_bytes_and_others_do_not(family: str, tmp_path: Path) -> None:
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        out = str(tmp_path / name)
        assert main(["--output", out, "--seed", seed, "--model", family]) == 0
    first, same, other = (content(tmp_path / name) for name in "abc")
    assert first == same
    assert first["model.safetensors"] != other["model.safetensors"]
    assert sum(map(len, first.values())) < 10 * 2**20


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("robot", ["aloha", "ur3_mixed", "droid_velocity", "libero"])
def test_the_checkpoint_loads_with_statistics_and_tokenizer(
    family: str, robot: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["--output", str(out), "--model", family, "--robot", robot]) == 0
    assert "RANDOM" in capsys.readouterr().out
    loaded, adapter = load_checkpoint(out), robots.get(robot)
    assert loaded.config.pi05 == (family == "pi05")
    assert loaded.stored.tokenizer is not None
    stats = loaded.stored.norm_stats[adapter.asset_id]
    assert stats["state"].mean.shape == (adapter.model_state_dim,)
    assert stats["actions"].q99.shape == (adapter.model_action_dim,)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(3))
def test_random_actions_are_finite_small_and_smoother_than_their_noise(
    family: str, seed: int
) -> None:
    config = Pi0Config.tiny(pi05=family == "pi05", vocab_size=100)
    inputs, noise = observation(config, seed)
    actions = random_pi0(config, seed).sample_actions(inputs, noise)
    assert actions.isfinite().all()
    assert 0.01 < actions.abs().max() < 3.0
    assert actions.diff(dim=1).std() < 0.05 * noise.diff(dim=1).std()


@pytest.mark.parametrize("family", FAMILIES)
def test_random_actions_depend_on_what_the_model_sees(family: str) -> None:
    config = Pi0Config.tiny(pi05=family == "pi05", vocab_size=100)
    model = random_pi0(config, 0)
    inputs, noise = observation(config, 0)
    other, _ = observation(config, 1)
    difference = model.sample_actions(inputs, noise) - model.sample_actions(other, noise)
    assert difference.abs().max() > 1e-2


@pytest.mark.parametrize("robot", REST)
@pytest.mark.parametrize("quantiles", [False, True])
def test_a_normalised_zero_holds_the_resting_pose(robot: str, quantiles: bool) -> None:
    adapter, rest = robots.get(robot), REST[robot]
    assert len(rest.state) == adapter.state_dim
    stats = rest_stats(adapter, 0.05)
    held = {
        "state": np.zeros(adapter.model_state_dim),
        "actions": np.zeros((2, adapter.model_action_dim)),
    }
    scaling = dict.fromkeys(stats, Scaling.QUANTILES if quantiles else Scaling.Z_SCORE)
    unnormalize = Unnormalize(stats=stats, scaling=scaling, formula=Formula.OPENPI)
    outputs = [unnormalize, *adapter.transforms().outputs]
    actions = apply(outputs, held)["actions"]
    np.testing.assert_allclose(actions, [rest.action] * 2, atol=1e-5)


def test_the_working_directory_is_a_place_to_write_when_it_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["--output", "."]) == 0
    assert "model.safetensors" in content(tmp_path / "here")


def test_an_existing_directory_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("work")
    assert main(["--output", str(tmp_path)]) == 1
    assert "never written over" in capsys.readouterr().err
    assert content(tmp_path) == {"mine": b"work"}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--output", "x", "--model", "pi9"],
        ["--output", "x", "--seed", "-1"],
        ["--output", "x", "--action-std", "nan"],
        ["--output", "x", "--action-std", "0"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_an_expert_too_narrow_for_the_actions_is_refused() -> None:
    with pytest.raises(CheckpointError, match="too narrow"):
        random_pi0(Pi0Config.tiny(pi05=False, vocab_size=9, action_dim=33), 0)
