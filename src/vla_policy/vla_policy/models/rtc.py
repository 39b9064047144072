"""Sampling that continues a previous chunk; see `vla_core.rtc` for the two ways and their sources.

Shapes: B batch, H action horizon, A action dimension of the model, d committed actions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vla_core.rtc import guidance_weight
from vla_policy.models.inputs import ModelInputs
from vla_policy.models.pi0 import Pi0, Velocity, integrate


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """What a chunk is pulled towards.

    Attributes:
        target: (H, A) or (B, H, A) normalised actions; anything finite where the weight is 0.
        weights: (H, A) or (B, H, A) in [0, 1].
        max_weight: Bound of the factor at each flow time.
        vjp: Whether the pull passes through the model's Jacobian, or counts it as the identity.
    """

    target: Tensor
    weights: Tensor
    max_weight: float
    vjp: bool


def guide(velocity: Velocity, guidance: Guidance) -> Velocity:
    """The velocity, bent so that the actions at the end of the flow come near the target.

    Source: arXiv 2506.07339, equation 2, with the sign of time as in openpi. Without the
    Jacobian: lerobot, policies/rtc/modeling_rtc.py.
    """

    def guided(x_BHA: Tensor, time: float) -> Tensor:
        with torch.set_grad_enabled(guidance.vjp):
            x_BHA = x_BHA.detach().requires_grad_(guidance.vjp)
            velocity_BHA = velocity(x_BHA, time)
            clean_BHA = x_BHA - time * velocity_BHA
        pull_BHA = (guidance.target - clean_BHA.detach()) * guidance.weights
        if guidance.vjp:
            [pull_BHA] = torch.autograd.grad(clean_BHA, x_BHA, pull_BHA)
        return velocity_BHA.detach() - guidance_weight(time, guidance.max_weight) * pull_BHA

    return guided


@torch.no_grad()
def sample_guided(
    model: Pi0, inputs: ModelInputs, noise_BHA: Tensor, num_steps: int, guidance: Guidance
) -> Tensor:
    """Actions (B, H, A) near the target; only the denoising is differentiated, not the prefix."""
    if not guidance.weights.any():
        return model.sample_actions(inputs, noise_BHA, num_steps)
    return integrate(guide(model.flow(inputs), guidance), noise_BHA, num_steps)


@torch.no_grad()
def sample_committed(
    model: Pi0, inputs: ModelInputs, noise_BHA: Tensor, num_steps: int, committed_dA: Tensor
) -> Tensor:
    """Actions (B, H, A) whose first d are the given ones, bit for bit.

    The model sees these as finished: their flow time is 0. It must have been trained so.

    Source: arXiv 2512.05964.
    """
    size = len(committed_dA)
    if not size:
        return model.sample_actions(inputs, noise_BHA, num_steps)
    cache = model.encode_prefix(inputs)
    start_BHA = noise_BHA.clone()
    start_BHA[:, :size] = committed_dA

    def velocity(x_BHA: Tensor, time: float) -> Tensor:
        time_BH = x_BHA.new_full(x_BHA.shape[:2], time)
        time_BH[:, :size] = 0.0
        velocity_BHA = model.velocity(cache, inputs.state, x_BHA, time_BH)
        velocity_BHA[:, :size] = 0.0  # they stay as they are
        return velocity_BHA

    return integrate(velocity, start_BHA, num_steps)
