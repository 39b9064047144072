"""A description of processing survives its file, and nothing else passes for one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from vla_core.errors import CheckpointError
from vla_core.scaling import Formula, Scaling
from vla_policy.models.config import Pi0Config, Pi0FastConfig
from vla_policy.processing import Processing, Resize
from vla_policy.tokenizers.prompts import PromptFormat

FULL = Processing(
    formula=Formula.FLUXVLA,
    scaling={"state": Scaling.MIN_MAX, "actions": Scaling.QUANTILES_10_90},
    prompt=PromptFormat.LEROBOT_PI05,
    prompt_state_dims=32,
    resize=Resize.LEROBOT_0_4,
    image_mean_std=((123.5, 116.0, 103.25), (58.0, 57.5, 57.25)),
    relative_actions=(True, False),
    robot="plain",
    cameras={"front": "base_0_rgb"},
    state_names=("waist", "gripper"),
    action_names=("waist", "gripper"),
)


def written(processing: Processing) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(json.dumps(processing.to_json()))
    return content


@pytest.mark.parametrize(
    "processing",
    [
        FULL,
        replace(FULL, relative_actions=None, image_mean_std=None, cameras={}),
        Processing.openpi(Pi0Config(pi05=True)),
        Processing.openpi(Pi0FastConfig()),
    ],
)
def test_a_description_is_read_back_as_it_was(processing: Processing) -> None:
    assert Processing.from_json(written(processing), "config.json") == processing


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("formula", "mine"),
        ("formula", ["openpi"]),
        ("scaling", {"state": "z_score"}),
        ("scaling", {"state": "z_score", "actions": 3}),
        ("prompt", None),
        ("prompt_state_dims", "32"),
        ("prompt_state_dims", True),
        ("prompt_state_dims", -1),
        ("prompt_state_dims", 10**12),
        ("resize", "nearest"),
        ("image_mean_std", [[1, 2, 3]]),
        ("image_mean_std", [[1, 2, 3], [1, 2, 0]]),
        ("image_mean_std", [[1, 2, float("nan")], [1, 2, 3]]),
        ("relative_actions", [1, 0]),
        ("robot", 5),
        ("cameras", {"front": 1}),
        ("action_names", "waist"),
        ("unknown", 1),
    ],
)
def test_a_value_that_cannot_be_is_refused(key: str, value: Any) -> None:
    with pytest.raises(CheckpointError, match=rf"config\.json(, {key}|;.*{key})"):
        Processing.from_json(written(FULL) | {key: value}, "config.json")


def test_a_description_with_a_key_left_out_is_refused() -> None:
    content = written(FULL)
    del content["formula"]
    with pytest.raises(CheckpointError, match="formula"):
        Processing.from_json(content, "config.json")
