"""Folders in LeRobot's layout, judged without LeRobot."""

from __future__ import annotations

import importlib.util
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lerobot_policies import contract
from safetensors.numpy import save_file

from vla_core.errors import CheckpointError
from vla_policy.policies.lerobot import LerobotPolicy
from vla_policy.policies.lerobot_folder import read_folder

STATE = {"observation.state": {"type": "STATE", "shape": [3]}}
STATISTICS = "policy_preprocessor_step_1.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As LeRobot saves it, with one weight."""
    write(tmp_path / "config.json", {"type": "act"})
    save_file({"w": np.zeros(1, np.float32)}, tmp_path / "model.safetensors")
    mean_std = {f"observation.state.{key}": np.ones(3, np.float32) for key in ("mean", "std")}
    save_file(mean_std, tmp_path / STATISTICS)
    write_steps(tmp_path)
    write(tmp_path / "policy_postprocessor.json", {"steps": [{"registry_name": "any"}]})
    return tmp_path


def write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


def write_steps(folder: Path, **changes: Any) -> None:
    normalizer = {
        "registry_name": "normalizer_processor",
        "config": {"features": STATE, "norm_map": {"STATE": "MEAN_STD"}},
        "state_file": STATISTICS,
    } | changes
    rename = {
        "registry_name": "rename_observations_processor",
        "config": {"rename_map": {"observation.images.top": "observation.image"}},
    }
    write(folder / "policy_preprocessor.json", {"steps": [rename, normalizer]})


def test_a_whole_folder_is_read(folder: Path) -> None:
    read = read_folder(folder)
    assert read.kind == "act"
    assert [step.name for step in read.steps[1]] == ["any"]
    assert read.renamed == {"observation.image": "observation.images.top"}


@pytest.mark.parametrize(
    "name",
    ["config.json", "model.safetensors", "policy_preprocessor.json", "policy_postprocessor.json"],
)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        read_folder(folder)


@pytest.mark.parametrize("name", ["model.safetensors", STATISTICS])
@pytest.mark.parametrize("content", [b"", b"\x08" + b"\0" * 7, pickle.dumps([1])])
def test_what_is_no_safetensors_file_is_refused(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match="whole safetensors file"):
        read_folder(folder)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"class": "os.system"}, "named by a class.*found: os.system"),
        ({"registry_name": None}, "registry_name"),
        ({"config": [1]}, "step 1, config; found: .1.; allowed: dict"),
        ({"state_file": "../outside.safetensors"}, "state_file"),
        ({"state_file": "config.json"}, "state_file"),
        ({"state_file": ["x"]}, "state_file"),
        ({"config": {"rename_map": {"a": ["b"]}}}, "rename_map"),
        ({"config": {"norm_map": {}}}, "features"),
        ({"config": {"features": STATE, "norm_map": {"STATE": "MIN_MAX"}}}, "'min': None"),
        ({"config": {"features": STATE, "norm_map": {"STATE": "OTHER"}}}, "OTHER"),
        (
            {
                "config": {
                    "features": {"observation.state": {"type": "STATE", "shape": [4]}},
                    "norm_map": {"STATE": "MEAN_STD"},
                }
            },
            "of 4 values",
        ),
        (
            {
                "config": {
                    "features": {"observation.state": {"type": "STATE", "shape": ["a", 1 << 50]}},
                    "norm_map": {"STATE": "MEAN_STD"},
                }
            },
            "features, with type and shape",
        ),
    ],
)
def test_a_step_that_cannot_be_trusted_is_refused(
    folder: Path, changes: dict[str, object], complaint: str
) -> None:
    write_steps(folder, **changes)
    with pytest.raises(CheckpointError, match=complaint):
        read_folder(folder)


def test_statistics_that_are_not_there_are_missed(folder: Path) -> None:
    """LeRobot itself would leave the values as they are."""
    steps = json.loads((folder / "policy_preprocessor.json").read_text())
    del steps["steps"][1]["state_file"]
    write(folder / "policy_preprocessor.json", steps)
    with pytest.raises(CheckpointError, match="'mean': None"):
        read_folder(folder)


@pytest.mark.parametrize("steps", [None, [], {}, ["x"]])
def test_a_pipeline_without_steps_is_refused(folder: Path, steps: object) -> None:
    write(folder / "policy_postprocessor.json", {"steps": steps})
    with pytest.raises(CheckpointError, match="policy_postprocessor"):
        read_folder(folder)


def test_an_adapter_without_its_base_is_refused(folder: Path) -> None:
    write(folder / "adapter_config.json", {})
    with pytest.raises(CheckpointError, match="merge it"):
        read_folder(folder)


@pytest.mark.skipif(importlib.util.find_spec("lerobot") is not None, reason="it is installed")
def test_without_lerobot_the_error_says_how_to_install_it(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"pip install .* -r scripts/lerobot\.lock"):
        LerobotPolicy.open(folder, contract())
