"""Chunks of LeRobot's policies, compared with what LeRobot's own loop makes of the same folder."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from lerobot_policies import Lerobots, contract, edit_json, observation, tiny_vlm
from safetensors.torch import load_file, save_file

from vla_core.errors import CheckpointError, PolicyError
from vla_core.types import FloatArray, Observation
from vla_policy.policies.lerobot import LerobotPolicy, import_lerobot

pytest.importorskip("lerobot", reason="LeRobot is not installed: scripts/test_lerobot.sh")
import_lerobot()
torch.set_num_threads(1)


def infer(policy: LerobotPolicy, *seen: Observation) -> FloatArray:
    chunk = None
    for each in seen:
        torch.manual_seed(1)
        chunk = policy.infer(each)
    assert chunk is not None
    return chunk


@pytest.fixture(scope="module")
def saved_act(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Lerobots("act").save(tmp_path_factory.mktemp("act"))


@pytest.fixture
def act(saved_act: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    for file in saved_act.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "horizon", "sent", "settings"),
    [
        ("act", 7, 5, {}),
        ("act", 7, 1, {"temporal_ensemble_coeff": 0.01, "n_action_steps": 1}),
        ("diffusion", 4, 4, {}),
        ("diffusion", 4, 4, {"noise_scheduler_type": "DDIM", "n_obs_steps": 3}),
        ("vqbet", 5, 5, {}),
        ("tdmpc", 2, 2, {}),
        ("tdmpc", 2, 2, {"n_action_repeats": 1, "n_action_steps": 2}),
        ("smolvla", 6, 4, {}),
    ],
)
def test_a_chunk_is_what_lerobot_sends_action_by_action(
    kind: str, horizon: int, sent: int, settings: dict[str, object], tmp_path: Path
) -> None:
    vlm = {"vlm_model_name": tiny_vlm(tmp_path / "vlm")} if kind == "smolvla" else {}
    theirs = Lerobots(kind, **vlm, **settings)
    ours = LerobotPolicy.open(theirs.save(tmp_path / "policy"), contract())
    chunk = infer(ours, observation())
    assert chunk.shape == (ours.horizon, 3) == (horizon, 3)
    np.testing.assert_allclose(chunk[:sent], theirs.actions(observation(), steps=sent), atol=1e-6)
    assert np.abs(infer(ours, observation(1)) - chunk).max() > 1e-3


def test_a_policy_that_looks_back_sees_observations_a_period_apart(tmp_path: Path) -> None:
    theirs = Lerobots("diffusion")
    ours = LerobotPolicy.open(theirs.save(tmp_path), contract())
    before, now = observation(1, 0.0), observation(2, 0.104)
    chunk = infer(ours, before, now)
    np.testing.assert_allclose(chunk, theirs.actions(before, now, steps=4), atol=1e-6)
    assert np.abs(chunk - theirs.actions(now, steps=4)).max() > 1e-4


@pytest.mark.parametrize("after_s", [0.04, 0.5, -1.0])
def test_an_observation_of_another_time_is_not_taken_for_the_last(
    after_s: float, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = Lerobots("diffusion")
    ours = LerobotPolicy.open(theirs.save(tmp_path), contract())
    now = observation(2, after_s)
    with caplog.at_level(logging.WARNING):
        chunk = infer(ours, observation(1, 0.0), now)
    np.testing.assert_allclose(chunk, theirs.actions(now, steps=4), atol=1e-6)
    assert "run inference at the policy rate" in caplog.text


def test_reset_forgets_earlier_observations(tmp_path: Path) -> None:
    ours = LerobotPolicy.open(Lerobots("diffusion").save(tmp_path), contract())
    fresh = infer(ours, observation(2, 0.1))
    ours.reset()
    infer(ours, observation(1, 0.0))
    ours.reset()
    np.testing.assert_array_equal(infer(ours, observation(2, 0.1)), fresh)


def test_a_policy_of_single_actions_holds_each_for_two_steps(act: Path) -> None:
    ours = LerobotPolicy.open(act, contract())
    whole = infer(ours, observation())

    def no_chunk(_batch: object) -> torch.Tensor:
        raise NotImplementedError

    first = ours._policy.predict_action_chunk
    ours._policy.select_action = lambda batch: first(batch)[:, 0]
    ours._policy.predict_action_chunk = no_chunk
    np.testing.assert_allclose(infer(ours, observation()), whole[[0, 0]], atol=1e-6)


def test_a_chunk_that_is_not_finite_is_an_error(act: Path) -> None:
    ours = LerobotPolicy.open(act, contract())
    with pytest.raises(PolicyError, match="not finite"):
        ours.infer(dataclasses.replace(observation(), state=np.array([0, np.nan, 0])))


def test_given_noise_is_refused(act: Path) -> None:
    with pytest.raises(PolicyError, match="own noise"):
        LerobotPolicy.open(act, contract()).infer(observation(), noise=np.zeros((7, 3)))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"cameras": ()}, "observation.images.top"),
        ({"state": ("a", "b")}, r"observation.state.*\(2,\).*\(3,\)"),
        ({"height": 48}, r"observation.images.top.*\(3, 48, 64\).*\(3, 64, 64\)"),
        ({"action": ()}, r"action.*\(0,\).*\(3,\)"),
    ],
)
def test_a_contract_of_other_names_and_shapes_is_refused(
    act: Path, changes: dict[str, object], complaint: str
) -> None:
    robot = contract()
    if "height" in changes:
        changes = {"cameras": tuple(dataclasses.replace(c, height=48) for c in robot.cameras)}
    with pytest.raises(PolicyError, match=complaint):
        LerobotPolicy.open(act, dataclasses.replace(robot, **changes))  # type: ignore[arg-type]


def test_a_type_that_the_factory_does_not_know_is_refused(act: Path) -> None:
    edit_json(act / "config.json", type="os.system")
    with pytest.raises(CheckpointError, match=r"no policy of this type.*os\.system.*diffusion"):
        LerobotPolicy.open(act, contract())


def test_a_step_that_is_not_registered_is_refused(act: Path) -> None:
    edit_json(act / "policy_preprocessor.json", steps=[{"registry_name": "shell_step"}])
    with pytest.raises(CheckpointError, match=r"no processor step.*shell_step"):
        LerobotPolicy.open(act, contract())


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("action_tokenizer_processor", {"trust_remote_code": True}),
        ("action_tokenizer_processor", {"action_tokenizer_name": "/tmp/evil"}),
        ("groot_eagle_encode_v3", {"tokenizer_assets_repo": "/tmp/evil"}),
    ],
)
def test_repositories_whose_code_would_run_are_refused(
    act: Path, name: str, step: dict[str, object]
) -> None:
    steps = [{"registry_name": name, "config": step}]
    edit_json(act / "policy_preprocessor.json", steps=steps)
    with pytest.raises(CheckpointError, match=r"names code to run|no processor step"):
        LerobotPolicy.open(act, contract())


def test_weights_that_do_not_fit_are_refused(act: Path) -> None:
    weights = load_file(act / "model.safetensors")
    name = next(iter(weights))
    for changed in (
        {k: v for k, v in weights.items() if k != name},
        {**weights, "extra": torch.zeros(1)},
        {**weights, name: torch.full_like(weights[name], torch.nan)},
    ):
        save_file(changed, act / "model.safetensors")
        with pytest.raises(CheckpointError, match=f"{name}|extra"):
            LerobotPolicy.open(act, contract())


def test_the_device_of_the_training_machine_does_not_matter(act: Path) -> None:
    pipeline = act / "policy_preprocessor.json"
    pipeline.write_text(pipeline.read_text().replace('"cpu"', '"cuda"'))
    edit_json(act / "config.json", device="cuda")
    assert LerobotPolicy.open(act, contract()).horizon == 7
