"""The recorded cases of the family, as tests use them."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vla_policy.checkpoints import load_checkpoint
from vla_policy.models.config import FAST_IMAGE_KEYS, IMAGE_KEYS
from vla_policy.models.inputs import ModelInputs
from vla_policy.models.pi0 import Pi0
from vla_policy.models.pi0_fast import Pi0Fast

torch.set_num_threads(1)  # the models are tiny: threads cost more than they give
GOLDEN = Path(__file__).resolve().parents[3] / "test" / "golden"
FAMILIES = ("pi0", "pi05")
FAST = "jax/pi0_fast"


@cache
def recorded(family: str) -> dict[str, NDArray[Any]]:
    with np.load(GOLDEN / family / "case.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def model(family: str, dtype: torch.dtype = torch.float32) -> Pi0:
    found = load_checkpoint(GOLDEN / family, dtype=dtype).model
    assert isinstance(found, Pi0)
    return found


@cache
def _loaded_fast(dtype: torch.dtype) -> Pi0Fast:
    found = load_checkpoint(GOLDEN / FAST, dtype=dtype).model
    assert isinstance(found, Pi0Fast)
    return found


def fast_model(dtype: torch.dtype = torch.float32) -> Pi0Fast:
    return copy.deepcopy(_loaded_fast(dtype))


def given(family: str, name: str) -> torch.Tensor:
    return torch.from_numpy(recorded(family)[f"in/{name}"])


def inputs(family: str) -> ModelInputs:
    case = recorded(family)
    return ModelInputs.from_numpy(
        images={name: case[f"in/image/{name}"] for name in IMAGE_KEYS},
        image_masks={name: case[f"in/image_mask/{name}"] for name in IMAGE_KEYS},
        tokens=case["in/tokens"],
        token_mask=case["in/token_mask"],
        state=case["in/state"],
    )


def fast_inputs(part: str = "") -> ModelInputs:
    """Of the recorded ``part``: prompts alone, ``stop/`` or ``train/``."""
    case = recorded(FAST)
    rows = slice(len(case[f"in/{part}tokens"]))
    return ModelInputs.from_numpy(
        images={name: case[f"in/image/{name}"][rows] for name in FAST_IMAGE_KEYS},
        image_masks={name: case[f"in/image_mask/{name}"][rows] for name in FAST_IMAGE_KEYS},
        tokens=case[f"in/{part}tokens"],
        token_mask=case[f"in/{part}token_mask"],
        state=case["in/state"][rows],
    )


def noisy_actions(family: str) -> torch.Tensor:
    time = given(family, "time")[:, None, None]
    return time * given(family, "noise") + (1 - time) * given(family, "actions")


def rel(found: torch.Tensor, reference: NDArray[Any]) -> float:
    """Largest difference over the largest magnitude, of a whole array."""
    assert tuple(found.shape) == reference.shape
    array = found.detach().double().numpy()
    return float(np.abs(array - reference).max() / np.abs(reference).max())
