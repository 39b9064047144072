"""Observation to model input, and model output to actions, agree with openpi end to end."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vla_core.errors import CheckpointError, PolicyError, VlaError
from vla_core.stats import NormStats
from vla_core.transforms import AbsoluteActions, DeltaActions, Group, apply
from vla_core.types import Observation
from vla_policy import robots
from vla_policy.checkpoints import CheckpointFormat, StoredCheckpoint
from vla_policy.models.config import Pi0Config, SiglipConfig
from vla_policy.models.random_init import random_pi0
from vla_policy.policies import Policy
from vla_policy.policies.hold import HoldPolicy
from vla_policy.policies.local import LocalPolicy
from vla_policy.policies.pipeline import assemble, choose_statistics, make_tokenizer, steps_for
from vla_policy.processing import Processing
from vla_policy.robots import aloha, droid, ur5
from vla_policy.tokenizers.paligemma import PaligemmaTokenizer

GOLDEN = Path(__file__).resolve().parents[3] / "test/golden/transforms"
TOKENIZER = GOLDEN / "tokenizer/tokenizer.model"
ARRAYS = np.load(GOLDEN / "chains.npz")
ALL_CASES = json.loads((GOLDEN / "chains.json").read_text())["cases"]
CASES = {case["name"]: case for case in ALL_CASES if not case["name"].startswith("libero")}
EXAMPLES = {"aloha": aloha.make_example, "ur5": ur5.make_example, "droid": droid.make_example}
VOCABULARY = 1672


def arrays_of(prefix: str, separator: str) -> dict[str, Any]:
    """Arrays below a prefix, nested at dots as the model and ALOHA nest them."""
    result: dict[str, Any] = {}
    for name in ARRAYS.files:
        if name.startswith(prefix):
            *parents, leaf = name[len(prefix) :].split(separator)
            node = result
            for parent in parents:
                node = node.setdefault(parent, {})
            node[leaf] = ARRAYS[name]
    return result


def openpi_dialect(case: dict[str, Any]) -> Group:
    if "adapt_to_pi" not in case:
        return Group(inputs=(droid.Inputs(),), outputs=(droid.Outputs(),))
    mask = tuple(case["delta_mask"])
    return Group(
        inputs=(aloha.Inputs(adapt_to_pi=case["adapt_to_pi"]), DeltaActions(mask)),
        outputs=(AbsoluteActions(mask), aloha.Outputs(adapt_to_pi=case["adapt_to_pi"])),
    )


def chain_of(case: dict[str, Any]) -> Group:
    stats = {
        key: NormStats(**fields)
        for key, fields in arrays_of(f"{case['name']}/stats/", "/").items()
    }
    config = Pi0Config.tiny(
        pi05=case["model_type"] == "pi05",
        vocab_size=VOCABULARY,
        max_token_len=case["max_len"],
        action_dim=case["action_dim"],
    )
    return assemble(
        openpi_dialect(case),
        config=config,
        processing=Processing.openpi(config),
        stats=stats,
        tokenizer=PaligemmaTokenizer(TOKENIZER, case["max_len"]),
        default_prompt=case["default_prompt"] or "",
    )


def observed(case: dict[str, Any]) -> dict[str, Any]:
    data = arrays_of(f"{case['name']}/in/", ".")
    if "observation" in data:  # openpi's DROID keys are flat
        data = {f"observation/{key}": value for key, value in data["observation"].items()}
    if "actions" in data:  # recorded after openpi had turned them into differences in place
        data = AbsoluteActions(tuple(case["delta_mask"]))(data)
    return data | ({"prompt": case["prompt"]} if case["prompt"] is not None else {})


def assert_close(result: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert set(result) == set(expected)
        for key, wanted in expected.items():
            assert_close(result[key], wanted)
    elif np.issubdtype(expected.dtype, np.floating):
        np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-9)
    else:
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("name", CASES)
def test_model_inputs_equal_openpi(name: str) -> None:
    data = observed(CASES[name])
    before = copy.deepcopy(data)
    result = apply(chain_of(CASES[name]).inputs, data)
    assert_close(result, arrays_of(f"{name}/model_in/", "."))
    np.testing.assert_equal(data, before)


@pytest.mark.parametrize("name", CASES)
def test_actions_equal_openpi(name: str) -> None:
    result = apply(chain_of(CASES[name]).outputs, arrays_of(f"{name}/model_out/", "."))
    assert_close(result, arrays_of(f"{name}/out/", "."))


def stats_for(robot: robots.Robot, **change: Any) -> dict[str, NormStats]:
    def of(dims: int) -> NormStats:
        ones = np.full(dims, 0.5)
        return replace(NormStats(mean=0 * ones, std=ones, q01=-ones, q99=ones), **change)

    return {"state": of(robot.state_dim), "actions": of(robot.action_dim)}


def tiny(*, pi05: bool = False, vocab_size: int = VOCABULARY, action_dim: int = 32) -> Pi0Config:
    return Pi0Config.tiny(
        pi05=pi05,
        vocab_size=vocab_size,
        action_dim=action_dim,
        action_horizon=6,
        siglip=SiglipConfig(width=16, depth=1, mlp_dim=32, num_heads=2, image_size=56),
    )


def checkpoint(robot: robots.Robot, *, pi05: bool = False, **change: Any) -> StoredCheckpoint:
    config = change.pop("config", tiny(pi05=pi05))
    fields = {
        "format": CheckpointFormat.OPENPI_PYTORCH,
        "path": TOKENIZER.parent,
        "config": config,
        "processing": Processing.openpi(config),
        "shapes": {},
        "dtypes": {},
        "stream": lambda: iter(()),
        "norm_stats": {robot.asset_id: stats_for(robot)},
        "tokenizer": TOKENIZER,
    }
    return StoredCheckpoint(**(fields | change))


def policy_for(
    robot: robots.Robot, *, pi05: bool = False, default_prompt: str = ""
) -> LocalPolicy:
    stored = checkpoint(robot, pi05=pi05)
    return LocalPolicy(
        random_pi0(tiny(pi05=pi05), seed=0),
        robot=robot,
        steps=steps_for(stored, robot, make_tokenizer(stored), default_prompt=default_prompt),
        num_steps=2,
    )


def observation(name: str, **change: Any) -> Observation:
    return Observation(stamp_ns=0, **(EXAMPLES[name]() | change))


@pytest.mark.parametrize("pi05", [False, True], ids=["pi0", "pi05"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_policy_turns_an_observation_into_a_chunk_and_leaves_it_as_it_was(
    name: str, pi05: bool
) -> None:
    robot, seen = robots.get(name), observation(name)
    before = copy.deepcopy(seen)
    policy: Policy = policy_for(robot, pi05=pi05)
    chunk = policy.infer(seen)
    assert chunk.shape == (policy.horizon, len(policy.action_names)) == (6, robot.action_dim)
    assert chunk.dtype == np.float64
    np.testing.assert_equal(seen.state, before.state)
    np.testing.assert_equal(dict(seen.images), dict(before.images))


def test_reset_repeats_the_noise_and_given_noise_decides_the_chunk() -> None:
    robot, seen = robots.get("ur5"), observation("ur5")
    policy = policy_for(robot)
    first, second = policy.infer(seen), policy.infer(seen)
    assert not np.array_equal(first, second)
    policy.reset()
    np.testing.assert_array_equal(policy.infer(seen), first)
    noise = np.zeros((6, 32), np.float32)
    np.testing.assert_array_equal(policy.infer(seen, noise=noise), policy.infer(seen, noise=noise))


def test_prompt_state_and_images_all_reach_the_model() -> None:
    robot, example = robots.get("aloha"), aloha.make_example()
    policy = policy_for(robot)
    noise = np.random.default_rng(1).standard_normal((6, 32)).astype(np.float32)
    base = policy.infer(observation("aloha"), noise=noise)
    black = {camera: np.zeros_like(image) for camera, image in example["images"].items()}
    one_camera = {"cam_high": example["images"]["cam_high"]}
    for change in ({"prompt": "stop"}, {"images": black}, {"images": one_camera}):
        assert not np.allclose(policy.infer(observation("aloha", **change), noise=noise), base)
    shifted = policy.infer(observation("aloha", state=example["state"] + 0.01), noise=noise)
    assert not np.allclose(shifted - 0.01, base, atol=1e-6)  # more than the absolute offset


def test_default_prompt_serves_an_observation_without_one() -> None:
    robot = robots.get("ur5")
    policy = policy_for(robot, default_prompt="lift it")
    spoken = policy.infer(observation("ur5", prompt="lift it"))
    policy.reset()
    np.testing.assert_array_equal(policy.infer(observation("ur5", prompt=" ")), spoken)


def refusals() -> list[Any]:
    ur5_robot, aloha_robot = robots.get("ur5"), robots.get("aloha")
    return [
        pytest.param("aloha", {"config": tiny(action_dim=8)}, "too narrow", id="model too narrow"),
        pytest.param("ur5", {"config": tiny(vocab_size=100)}, "ids that", id="foreign tokenizer"),
        pytest.param("ur5", {"norm_stats": {}}, "no normalisation", id="no statistics"),
        pytest.param(
            "ur5",
            {"norm_stats": {"arx": stats_for(ur5_robot), "trossen": stats_for(aloha_robot)}},
            "found: ur5e; allowed: arx, trossen",
            id="several assets of other robots",
        ),
        pytest.param(
            "ur5",
            {"norm_stats": {"ur5e": stats_for(aloha_robot)}},
            "found: 14; allowed: 7",
            id="statistics of another robot",
        ),
        pytest.param(
            "ur5",
            {"norm_stats": {"ur5e": {"state": stats_for(ur5_robot)["state"]}}},
            "found: none",
            id="no action statistics",
        ),
        pytest.param(
            "ur5",
            {"pi05": True, "norm_stats": {"ur5e": stats_for(ur5_robot, q01=None, q99=None)}},
            "lack what this model is scaled by",
            id="no quantiles",
        ),
        pytest.param(
            "ur5",
            {"processing": replace(Processing.openpi(tiny()), relative_actions=(True,) * 32)},
            "relative actions do not fit.*found: 32 dimensions",
            id="relative actions of another robot",
        ),
    ]


@pytest.mark.parametrize(("name", "change", "message"), refusals())
def test_checkpoint_that_does_not_fit_is_refused_at_construction(
    name: str, change: dict[str, Any], message: str
) -> None:
    robot = robots.get(name)
    stored = checkpoint(robot, **change)
    with pytest.raises(CheckpointError, match=message):
        steps_for(stored, robot, make_tokenizer(stored))


def test_checkpoint_without_tokenizer_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VLA_TOKENIZER", raising=False)
    robot = robots.get("ur5")
    with pytest.raises(CheckpointError, match="no tokenizer"):
        make_tokenizer(checkpoint(robot, path=tmp_path, tokenizer=None))


def test_padded_statistics_and_a_chosen_asset_are_accepted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    robot = robots.get("ur5")
    short, padded = stats_for(robot), {}
    for key, entry in short.items():
        fields = ((f, getattr(entry, f)) for f in ("mean", "std", "q01", "q99"))
        padded[key] = NormStats(**{f: np.pad(vector, (0, 25)) for f, vector in fields})
    model = random_pi0(tiny(), seed=0)
    chunks = [
        LocalPolicy(
            model,
            robot=robot,
            steps=steps_for(
                checkpoint(robot, norm_stats={"mine": stats}),
                robot,
                PaligemmaTokenizer(TOKENIZER, tiny().max_token_len),
                asset_id="mine",
            ),
        ).infer(observation("ur5"))
        for stats in (short, padded)
    ]
    np.testing.assert_array_equal(chunks[0], chunks[1])
    assert not caplog.records  # zero spans of the padding are no dimensions of the robot


def test_padded_statistics_of_a_wider_robot_are_told(caplog: pytest.LogCaptureFixture) -> None:
    robot = robots.get("ur5")
    wide = {
        key: NormStats(mean=np.pad(np.ones(14), (0, 18)), std=np.pad(np.ones(14), (0, 18)))
        for key in ("state", "actions")
    }
    choose_statistics(checkpoint(robot, norm_stats={"trossen": wide}), robot)
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 2
    assert "norm_stats=cut of=trossen.state dims=14 used=7" in told[0]


@pytest.mark.parametrize(
    "change",
    [
        {"state": np.zeros(8)},
        {"images": {"base_rgb": np.zeros((8, 8, 3), np.uint8)}},
        {"prompt": ""},
    ],
    ids=["state", "camera", "prompt"],
)
def test_observation_that_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    robot = robots.get("ur5")
    policy = policy_for(robot)
    with pytest.raises(PolicyError):
        policy.infer(observation("ur5", **change))


def test_noise_of_another_shape_is_refused() -> None:
    robot = robots.get("ur5")
    policy = policy_for(robot)
    with pytest.raises(PolicyError, match="noise"):
        policy.infer(observation("ur5"), noise=np.zeros((6, 7), np.float32))


def test_chunk_that_is_not_finite_is_refused() -> None:
    robot = robots.get("ur5")
    policy = policy_for(robot)
    with pytest.raises(VlaError, match="not finite"):
        policy.infer(observation("ur5"), noise=np.full((6, 32), np.nan, np.float32))


@pytest.mark.parametrize("name", EXAMPLES)
def test_hold_policy_repeats_the_measured_pose(name: str) -> None:
    robot, seen = robots.get(name), observation(name)
    policy: Policy = HoldPolicy(robot=robot, horizon=4)
    chunk = policy.infer(seen)
    assert chunk.shape == (4, robot.action_dim)
    same = [i for i, n in enumerate(robot.action_names) if n == robot.state_names[i]]
    assert len(same) >= 7
    np.testing.assert_array_equal(chunk[:, same], np.tile(seen.state[same], (4, 1)))
