"""The recorded LeRobot policies, run through this suite's own loader and pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from golden_model_case import GOLDEN
from numpy.typing import NDArray

from vla_core.transforms import Group
from vla_core.types import Observation
from vla_policy.checkpoints import load_checkpoint
from vla_policy.policies.local import LocalPolicy
from vla_policy.policies.pipeline import make_tokenizer, steps_for
from vla_policy.robots.plain import NAME, Inputs
from vla_policy.robots.robot import FirstActions, Robot, quantities
from vla_policy.tokenizers.fast import FastTokenizer

LEROBOT = GOLDEN / "lerobot_checkpoints"
TOKENIZER = GOLDEN / "transforms" / "tokenizer" / "tokenizer.model"
CASES = ("pi0", "pi05", "pi0_peft", "pi0_fast")
Case = dict[str, NDArray[np.floating]]


def recorded(name: str) -> Case:
    with np.load(LEROBOT / name / "case.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def images(case: Case) -> dict[str, NDArray[np.uint8]]:
    """Pictures by the camera's name in the recordings."""
    prefix = "in/image/"
    return {k.removeprefix(prefix): v for k, v in case.items() if k.startswith(prefix)}


def plain_robot(case: Case, renamed: Mapping[str, str]) -> Robot:
    """The plain adapter of a robot of a case's sizes."""
    cameras, dims = tuple(images(case)), case["out/actions"].shape[1]
    slots = {camera: renamed.get(camera, camera) for camera in cameras}
    return Robot(
        name=NAME,
        state=quantities([f"s{i}" for i in range(case["in/state"].size)], "rad", "as measured"),
        action=quantities([f"a{i}" for i in range(dims)], "rad", "position"),
        cameras=cameras,
        required_cameras=cameras,
        asset_id=NAME,
        build=lambda _fast: Group(inputs=(Inputs(slots=slots),), outputs=(FirstActions(dims),)),
        make_example=partial(dict),
    )


def answered(directory: Path, case: Case) -> NDArray[np.float64]:
    """The actions (H, A) of a checkpoint for the observation of a case."""
    loaded = load_checkpoint(directory)
    robot = plain_robot(case, loaded.stored.processing.cameras)
    tokenizer = make_tokenizer(loaded.stored)
    fast = {"stop_token": tokenizer.stop_token} if isinstance(tokenizer, FastTokenizer) else {}
    policy = LocalPolicy(
        loaded.model, robot=robot, steps=steps_for(loaded.stored, robot, tokenizer), **fast
    )
    observation = Observation(
        stamp_ns=0,
        state=case["in/state"],
        images=images(case),
        prompt=(LEROBOT / "pi0" / "task.txt").read_text(),
    )
    return policy.infer(observation, noise=case.get("in/noise"))


def rel(a: NDArray[np.floating], reference: NDArray[np.floating]) -> float:
    return float(np.abs(a - reference).max() / np.abs(reference).max())
