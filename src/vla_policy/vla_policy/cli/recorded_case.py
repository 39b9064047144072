"""Runs a model on recorded inputs of a reference implementation, and compares its outputs.

The arrays of a case are named `in/...` and `out/...`; images are uint8, state and noise are
normalised. Cases of a flow model hold one noise for sampling and loss, or, as openpi's JAX cases,
`in/train_noise` and `in/train_time` for the loss, which is then the mean over action dimensions.

Shapes: B batch, H horizon, D model action dims, L row length, T generated tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from vla_core.errors import PolicyError
from vla_policy.models.config import LARGEST, ModelConfig
from vla_policy.models.inputs import ModelInputs
from vla_policy.models.pi0 import Pi0
from vla_policy.models.pi0_fast import Pi0Fast

Arrays: TypeAlias = Mapping[str, NDArray[Any]]
Shape: TypeAlias = tuple[int | None, ...]
FLOW_STEPS = (10, 5)


@torch.no_grad()
def run_case(model: Pi0 | Pi0Fast, case: Arrays) -> dict[str, NDArray[Any]]:
    """`out/...` for the `in/...` of a case.

    Raises:
        PolicyError: An array that the model needs is missing or of the wrong shape, or what the
            model computes is not finite.
    """
    try:
        results = _flow(model, case) if isinstance(model, Pi0) else _fast(model, case)
    except KeyError as error:
        raise PolicyError(
            "the case lacks an array that this model needs",
            found=", ".join(sorted(n for n in case if n.startswith("in/"))),
            allowed=error.args[0],
        ) from error
    return {f"out/{name}": _finite(tensor, f"out/{name}") for name, tensor in results.items()}


def random_case(config: ModelConfig) -> dict[str, NDArray[Any]]:
    """One random observation in the model's own space, as a case."""
    random, side = np.random.default_rng(0), config.siglip.image_size
    pictures = {
        f"in/image/{name}": random.integers(256, size=(1, side, side, 3), dtype=np.uint8)
        for name in config.image_keys
    }
    noise = (1, config.action_horizon, config.action_dim)
    return {
        **pictures,
        **{f"in/image_mask/{name}": np.ones(1, bool) for name in config.image_keys},
        "in/tokens": random.integers(3, config.vocab_size, size=(1, config.max_token_len)),
        "in/token_mask": np.ones((1, config.max_token_len), bool),
        "in/state": random.standard_normal((1, config.action_dim)).astype(np.float32),
        "in/noise": random.standard_normal(noise).astype(np.float32),
    }


@torch.no_grad()
def run_once(model: Pi0 | Pi0Fast, case: Arrays, num_steps: int) -> NDArray[Any]:
    """What one inference computes: actions (B, H, D), or tokens (B, T)."""
    inputs = _inputs(model, case)
    if not isinstance(model, Pi0):
        return _finite(model.generate(inputs).tokens, "tokens")
    noise = torch.tensor(case["in/noise"], device=model.device)
    return _finite(model.sample_actions(inputs, noise, num_steps), "actions")


def compare(results: Arrays, case: Arrays, recorded: str = "out") -> dict[str, float]:
    """Largest difference over the largest magnitude, by name, where the case has the output.

    Tokens count as 0 where all are equal, else as infinite; so does what cannot be compared.
    """
    errors = {}
    for name, found in results.items():
        wanted = case.get(name.replace("out", recorded, 1))
        if wanted is None:
            continue
        if found.shape != wanted.shape:
            errors[name] = float("inf")
        elif np.issubdtype(wanted.dtype, np.integer):
            errors[name] = 0.0 if np.array_equal(found, wanted) else float("inf")
        else:
            scale = float(np.abs(wanted).max()) or 1.0
            error = float(np.abs(found.astype(np.float64) - wanted).max()) / scale
            errors[name] = error if np.isfinite(error) else float("inf")
    return errors


def _finite(output: torch.Tensor, name: str) -> NDArray[Any]:
    if not bool(output.isfinite().all()):
        raise PolicyError(
            "what the model computes is not finite",
            where=name,
            found="NaN or infinity",
            fix="its weights may be damaged: fetch the checkpoint again; or use float32",
        )
    return output.cpu().numpy()


def _has(case: Arrays, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in case)


def _flow(model: Pi0, case: Arrays) -> dict[str, torch.Tensor]:
    inputs = _inputs(model, case)
    batch, of_jax = len(inputs.tokens), "in/train_noise" in case
    shape = (batch, model.config.action_horizon, model.config.action_dim)
    noise = _float(model, case, "in/noise", shape)
    results = {
        f"sample_actions_{steps}": model.sample_actions(inputs, noise, steps)
        for steps in FLOW_STEPS
    }
    if "in/actions" not in case:
        return results
    noise = _float(model, case, "in/train_noise" if of_jax else "in/noise", shape)
    time = _float(model, case, "in/train_time" if of_jax else "in/time", (batch,))
    actions = _float(model, case, "in/actions", shape)
    mixed = time[:, None, None] * noise + (1 - time[:, None, None]) * actions
    loss = model.loss(inputs, actions, noise, time)
    return results | {
        "velocity": model.joint_velocity(inputs, mixed, time),
        "loss": loss.mean(-1) if of_jax else loss,
    }


def _fast(model: Pi0Fast, case: Arrays) -> dict[str, torch.Tensor]:
    written = model.generate(_inputs(model, case), keep_logits=True)
    results = {"tokens": written.tokens}
    if written.logits is not None:
        results["logits"] = written.logits
    if _has(case, "in/stop/"):  # one prompt that ends early, with the images of the first row
        written = model.generate(_inputs(model, case, "in/stop/", rows=1), keep_logits=True)
        results["stop/tokens"] = written.tokens
        if written.logits is not None:
            results["stop/logits"] = written.logits
    if _has(case, "in/train/"):
        inputs = _inputs(model, case, "in/train/")
        ar_mask, loss_mask = (
            torch.tensor(
                _array(case, f"in/train/{name}", tuple(inputs.tokens.shape), "bui"),
                device=model.device,
            )
            for name in ("token_ar_mask", "token_loss_mask")
        )
        results["loss"] = model.loss(inputs, ar_mask, loss_mask.to(torch.bool))
    return results


def _inputs(
    model: Pi0 | Pi0Fast, case: Arrays, prompt: str = "in/", rows: int | None = None
) -> ModelInputs:
    """Images and state of a case with one of its prompts."""
    cameras = [name for name in model.config.image_keys if f"in/image/{name}" in case]
    if unknown := {n for n in case if n.startswith("in/image/")} - {
        f"in/image/{c}" for c in cameras
    }:
        raise PolicyError(
            "the case has cameras that the model does not know",
            found=", ".join(sorted(unknown)),
            allowed=", ".join(model.config.image_keys),
        )
    if not cameras:
        raise PolicyError(
            "the case has no camera",
            found="no in/image/<camera>",
            allowed=", ".join(model.config.image_keys),
        )
    tokens, token_mask = _prompt(model, case, prompt)
    state = np.zeros((len(tokens), model.config.action_dim), np.float32)
    kind = model.config.model_type  # pi0-FAST has the state in its prompt, and so has pi0.5
    if kind == "pi0" or (kind == "pi05" and "in/state" in case):
        state = _array(case, "in/state", state.shape, "f")
    return ModelInputs.from_numpy(
        images={
            n: _array(case, f"in/image/{n}", (None, None, None, 3), "uf")[:rows] for n in cameras
        },
        image_masks={
            n: _array(case, f"in/image_mask/{n}", (None,), "bui")[:rows] for n in cameras
        },
        tokens=tokens,
        token_mask=token_mask,
        state=state,
        device=model.device,
    )


def _prompt(model: Pi0 | Pi0Fast, case: Arrays, prompt: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """(B, L) token ids and which of them count: at least one in each row."""
    tokens = _array(case, f"{prompt}tokens", (None, None), "ui")
    mask = _array(case, f"{prompt}token_mask", tokens.shape, "bui")
    longest = LARGEST["max_token_len"]
    if not tokens.size or tokens.shape[1] > longest or not mask.any(axis=1).all():
        raise PolicyError(
            "the case has no prompt, or too long a one",
            where=f"{prompt}tokens",
            found=f"{tokens.shape}, of which {mask.astype(bool).sum()} count",
            allowed=f"at least one token in each row, at most {longest}",
        )
    if not 0 <= tokens.min() <= tokens.max() < model.config.vocab_size:
        raise PolicyError(
            "the case has tokens that the model does not know",
            where=f"{prompt}tokens",
            found=f"{tokens.min()} to {tokens.max()}",
            allowed=f"0 to {model.config.vocab_size - 1}",
        )
    return tokens, mask


def _float(model: Pi0, case: Arrays, name: str, shape: Shape) -> torch.Tensor:
    array = _array(case, name, shape, "f")
    return torch.tensor(array, dtype=torch.float32, device=model.device)


def _array(case: Arrays, name: str, shape: Shape, kinds: str) -> NDArray[Any]:
    """An array of a case; None in its shape is any length, kinds are numpy's letters of types."""
    array = case[name]
    fits = len(array.shape) == len(shape) and all(
        want in (None, size) for want, size in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype.kind not in kinds:
        raise PolicyError(
            "an array of the case has the wrong shape or type",
            where=name,
            found=f"{array.dtype} {array.shape}",
            allowed=f"{shape}, type {' or '.join(kinds)}",
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise PolicyError(
            "an array of the case is not finite", where=name, found="NaN or infinity"
        )
    return array
