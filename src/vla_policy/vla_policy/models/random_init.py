"""Random weights for an untrained model whose actions are nevertheless small, finite and smooth.

Plain random weights leave the sampling noise in the actions, and a robot would tremble. Here the
action tokens carry the noisy actions x through random matrices with orthonormal columns, and the
output undoes them after the final norm, so that a step moves along x / |x|: from noise straight
towards zero. All other weights are random as well and bend that path a little, depending on
images, state and prompt.

Shapes: A action dimension, E width of the action expert.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from vla_core.errors import CheckpointError

from vla_policy.models.config import Pi0Config
from vla_policy.models.pi0 import Pi0

Array = NDArray[np.float32]

EXPERT_LAYERS = "gemma_expert.model.layers."
BENDING = {
    "self_attn.q_proj": 0.3,
    "self_attn.o_proj": 0.2,
    "mlp.down_proj": 0.03,
}  # of unit-scale action tokens
MODULATION = 0.1  # of the adaptive norms, around scale 0, shift 0, gate 1


def random_pi0(config: Pi0Config, seed: int) -> Pi0:
    """A float32 model on the CPU; equal seeds give equal bits."""
    expert_width = config.action_expert.width
    if expert_width < 2 * config.action_dim:
        raise CheckpointError(
            "the action expert is too narrow to carry the actions",
            found=f"width {expert_width}, action_dim {config.action_dim}",
            allowed=f"a width of at least {2 * config.action_dim}",
        )
    generator = np.random.default_rng(seed)
    model = Pi0(config)
    drawn = {
        name: _draw(generator, name, tuple(parameter.shape))
        for name, parameter in model.named_parameters()
    }
    drawn |= _action_path(generator, config)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in drawn.items()})
    return model.eval()


def _draw(generator: np.random.Generator, name: str, shape: tuple[int, ...]) -> Array:
    """Unit-scale activations from unit-scale inputs; norms and biases start neutral."""
    if name.endswith(".dense.bias"):  # scale, shift, gate
        return np.repeat(np.array([0, 0, 1], np.float32), shape[0] // 3)
    if name.endswith(".bias"):
        return np.zeros(shape, np.float32)
    if "layer_norm" in name or "post_layernorm" in name:
        return np.ones(shape, np.float32)
    if name.endswith("norm.weight"):  # the expert's own norms scale by 1 + weight
        return np.zeros(shape, np.float32)
    fan_in = int(np.prod(shape[1:]))
    scale = fan_in**-0.5
    if name.endswith(".dense.weight"):
        scale *= MODULATION
    if EXPERT_LAYERS in name:
        scale *= next((s for part, s in BENDING.items() if part in name), 1.0)
    return generator.standard_normal(shape, np.float32) * np.float32(scale)


def _action_path(generator: np.random.Generator, config: Pi0Config) -> dict[str, Array]:
    """Weights of the action projections: linear in x up to the experts, and undone after them.

    The final norm leaves x / |x| * sqrt(E) of the carried x; sqrt(A / E) makes
    that about |noise| * x / |x|.
    silu(z) - silu(-z) = z takes x through the time MLP of pi0 unbent.
    """
    width, dim = config.action_expert.width, config.action_dim
    gain = np.float32((dim / width) ** 0.5)
    if config.pi05:
        carry_EA = _orthonormal(generator, width, dim)
        return {
            "action_in_proj.weight": carry_EA,
            "action_out_proj.weight": gain * carry_EA.T,
        }
    half = width // 2
    first, narrow, last = (
        _orthonormal(generator, width, half),
        _orthonormal(generator, half, dim),
        _orthonormal(generator, width, half),
    )
    time = MODULATION * width**-0.5 * generator.standard_normal((half, width), np.float32)
    rows = np.concatenate((first.T, time.astype(np.float32)), axis=1)
    return {
        "action_in_proj.weight": first @ narrow,
        "action_time_mlp_in.weight": np.concatenate((rows, -rows)),
        "action_time_mlp_out.weight": np.concatenate((last, -last), axis=1),
        "action_out_proj.weight": gain * (last @ narrow).T,
    }


def _orthonormal(generator: np.random.Generator, rows: int, columns: int) -> Array:
    q, _ = np.linalg.qr(generator.standard_normal((rows, columns)))
    return q.astype(np.float32)
