"""Random weights for an untrained model whose actions are nevertheless small, finite and smooth.

Plain random weights leave the sampling noise in the actions, and a robot would tremble. Here the
action tokens carry the noisy actions x through random matrices with orthonormal columns, beside a
large constant that keeps the final norm from bending them, and the output undoes the matrices:
the velocity is proportional to x, so that sampling shrinks the noise away. All other weights are
random as well and pull x towards a point that depends on images, state and prompt, and, by queries
that turn slowly with the position, on the step of the chunk.

Random weights of pi0-FAST would write tokens that mean no actions. There one feed-forward layer
holds a short chain of tokens by heart, each leading to the next, so that the model writes one
given answer whatever it sees. All other weights are random.

Shapes: A action dimension, E width of the action expert, W width of the language model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from vla_core.errors import CheckpointError
from vla_policy.models.config import Pi0Config, Pi0FastConfig
from vla_policy.models.gemma import ROPE_BASE
from vla_policy.models.pi0 import Pi0
from vla_policy.models.pi0_fast import Pi0Fast

Array = NDArray[np.float32]

EXPERT_LAYERS = "gemma_expert.model.layers."
LANGUAGE_MODEL = "paligemma_with_expert.paligemma.model.language_model."
RECALL = 100.0  # length of a recalled token, in lengths of what else a layer adds
PULL = {"self_attn.q_proj": 6.0, "self_attn.o_proj": 0.3, "mlp.down_proj": 0.05}
FASTEST_TURN = 0.15  # rad per step of the chunk
CONSTANT = 2.0  # length of the constant part of an action token, in lengths of the noise
SHRINKING = 5.0  # of x per unit of flow time; ten Euler steps leave a thousandth of the noise
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
    drawn = _draw_all(generator, model)
    for name in drawn:
        if EXPERT_LAYERS in name and name.endswith("q_proj.weight"):
            drawn[name] = _turning_slowly(drawn[name], config.action_expert.head_dim)
    drawn |= _action_path(generator, config)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in drawn.items()})
    return model.eval()


def random_pi0_fast(config: Pi0FastConfig, seed: int, *, chain: Sequence[int]) -> Pi0Fast:
    """A float32 model on the CPU; equal seeds give equal bits.

    Args:
        config: Sizes.
        seed: Of the weights.
        chain: Different tokens; the first is the last of every prompt, the others are written.
    """
    room = min(config.paligemma.width, config.paligemma.mlp_dim + 1)
    if len(set(chain)) < len(chain) or not 0 < len(chain) <= room:
        raise CheckpointError(
            "the model cannot learn this answer by heart",
            found=f"{len(chain)} tokens, {len(set(chain))} different",
            allowed=f"at most {room}, all different",
        )
    generator = np.random.default_rng(seed)
    model = Pi0Fast(config)
    drawn = _draw_all(generator, model)
    width, links = config.paligemma.width, len(chain) - 1
    tokens_WT = _orthonormal(generator, width, len(chain))
    drawn[f"{LANGUAGE_MODEL}embed_tokens.weight"][list(chain)] = tokens_WT.T
    layer = f"{LANGUAGE_MODEL}layers.0."
    drawn[f"{layer}self_attn.o_proj.weight"] *= np.float32(0.1)  # the token itself leads on
    for part in ("gate", "up"):  # both answer to a token, and their product to little else
        drawn[f"{layer}mlp.{part}_proj.weight"][:links] = tokens_WT[:, :-1].T
    # A norm has made the token sqrt(W) long, so that gate times up is W.
    drawn[f"{layer}mlp.down_proj.weight"][:, :links] = RECALL * width**-0.5 * tokens_WT[:, 1:]
    model.load_state_dict({name: torch.from_numpy(array) for name, array in drawn.items()})
    return model.eval()


def _turning_slowly(query: Array, head_dim: int) -> Array:
    """Query weights without the rotary pairs that turn so fast that a robot would shake."""
    turns = ROPE_BASE ** (-np.arange(0, head_dim, 2) / head_dim)
    kept = np.tile(turns <= FASTEST_TURN, len(query) // len(turns))
    return query * kept[:, None].astype(np.float32)


def _draw_all(generator: np.random.Generator, model: torch.nn.Module) -> dict[str, Array]:
    return {
        name: _draw(generator, name, tuple(parameter.shape))
        for name, parameter in model.named_parameters()
    }


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
        scale *= next((pull for part, pull in PULL.items() if part in name), 1.0)
    return generator.standard_normal(shape, np.float32) * np.float32(scale)


def _action_path(generator: np.random.Generator, config: Pi0Config) -> dict[str, Array]:
    """Weights of the action projections: linear in x up to the experts, and undone after them.

    silu(z) - silu(-z) = z takes x through the time MLP of pi0 unbent.
    """
    width, dim = config.action_expert.width, config.action_dim
    half = width // 2
    basis = _orthonormal(generator, width, half + 1)
    last, constant = basis[:, :half], basis[:, half]
    length = CONSTANT * dim**0.5  # the noise has length sqrt(A)
    narrow = _orthonormal(generator, half, dim)
    carry_EA = last @ narrow
    path = {
        # The final norm divides by the length of the token and multiplies by sqrt(E).
        "action_out_proj.weight": SHRINKING * length * width**-0.5 * carry_EA.T,
        f"{'action_in_proj' if config.pi05 else 'action_time_mlp_out'}.bias": length * constant,
    }
    if config.pi05:
        path["action_in_proj.weight"] = carry_EA
    else:
        first = _orthonormal(generator, width, half)
        time = MODULATION * width**-0.5 * generator.standard_normal((half, width))
        rows = np.concatenate((first.T, time), axis=1)
        path["action_in_proj.weight"] = first @ narrow
        path["action_time_mlp_in.weight"] = np.concatenate((rows, -rows))
        path["action_time_mlp_out.weight"] = np.concatenate((last, -last), axis=1)
    return {name: array.astype(np.float32) for name, array in path.items()}


def _orthonormal(generator: np.random.Generator, rows: int, columns: int) -> Array:
    q, _ = np.linalg.qr(generator.standard_normal((rows, columns)))
    return q.astype(np.float32)
