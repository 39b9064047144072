"""pi0 and pi0.5: a vision-language prefix, an action expert, and flow matching from noise.

Parameter names are those of openpi's PyTorch checkpoints, except for two entries of such a file:
the token embedding, which the file stores under its tied name, and the expert's output head,
which nothing uses (``checkpoints/openpi_pytorch.py`` knows about both).

Shapes: B batch, P prefix tokens, Q suffix tokens, S = P + Q, H action horizon, A action dimension,
W prefix width, E width of the action expert. Flow time is 1 at noise and 0 at data.
Source: openpi src/openpi/models/pi0.py; pi0, arXiv 2410.24164; pi0.5, arXiv 2504.16054.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vla_policy.models.config import Pi0Config
from vla_policy.models.gemma import Gemma, PrefixCache, Stream, fill_cache, run_experts
from vla_policy.models.inputs import ModelInputs
from vla_policy.models.paligemma import Paligemma, PaligemmaBody, parameter_dtype

MIN_PERIOD, MAX_PERIOD = 4e-3, 4.0


Velocity: TypeAlias = Callable[[Tensor, float], Tensor]
"""Noisy actions (B, H, A) and their flow time to the velocity (B, H, A), from data to noise."""


def integrate(velocity: Velocity, noise_BHA: Tensor, num_steps: int) -> Tensor:
    """Euler steps from noise (time 1) to actions (time 0): (B, H, A)."""
    x_BHA, time, step = noise_BHA, np.float32(1.0), np.float32(-1.0 / num_steps)
    for _ in range(num_steps):
        x_BHA = x_BHA + float(step) * velocity(x_BHA, float(time))
        time += step  # summed in float32 as in openpi; 1 + k * step moves the samples by 3e-5
    return x_BHA


def embed_time(time: Tensor, width: int) -> Tensor:
    """Sines, then cosines, of flow time of any shape: (.., width) float32.

    Periods go from 4e-3 to 4 in geometric steps. The angles reach 1.6e3, hence float64.
    """
    fraction = torch.linspace(0.0, 1.0, width // 2, dtype=torch.float64, device=time.device)
    period = MIN_PERIOD * (MAX_PERIOD / MIN_PERIOD) ** fraction
    angle = time.to(torch.float64)[..., None] * (2 * math.pi / period)
    return torch.cat((angle.sin(), angle.cos()), dim=-1).to(torch.float32)


class _ActionExpert(nn.Module):  # a level of names, like the next one
    def __init__(self, config: Pi0Config) -> None:
        super().__init__()
        self.model = Gemma(config.action_expert, vocab_size=None, adaptive=config.pi05)


class _PaligemmaWithExpert(nn.Module):
    def __init__(self, config: Pi0Config) -> None:
        super().__init__()
        self.paligemma = Paligemma(config)
        self.gemma_expert = _ActionExpert(config)


class Pi0(nn.Module):
    """One model of the family; ``config.pi05`` chooses which."""

    def __init__(self, config: Pi0Config) -> None:
        super().__init__()
        self.config = config
        width = config.action_expert.width
        self.paligemma_with_expert = _PaligemmaWithExpert(config)
        self.action_in_proj = nn.Linear(config.action_dim, width)
        self.action_out_proj = nn.Linear(width, config.action_dim)
        if config.pi05:
            self.time_mlp_in = nn.Linear(width, width)
            self.time_mlp_out = nn.Linear(width, width)
        else:
            self.state_proj = nn.Linear(config.action_dim, width)
            self.action_time_mlp_in = nn.Linear(2 * width, width)
            self.action_time_mlp_out = nn.Linear(width, width)

    @property
    def _paligemma(self) -> PaligemmaBody:
        return self.paligemma_with_expert.paligemma.model

    @property
    def _expert(self) -> Gemma:
        return self.paligemma_with_expert.gemma_expert.model

    @property
    def device(self) -> torch.device:
        return self.action_in_proj.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the experts' activations."""
        return self._expert.dtype

    def set_precision(self, dtype: torch.dtype) -> Pi0:
        """Casts all parameters in place, each to its ``parameter_dtype``."""
        for name, parameter in self.named_parameters():
            parameter.data = parameter.data.to(parameter_dtype(name, dtype))
        return self

    def embed_prefix(self, inputs: ModelInputs) -> tuple[Tensor, Tensor]:
        """Images and prompt: tokens (B, P, W), and (B, P) bool, True where they are valid."""
        inputs.check(self.config)
        return self._paligemma.embed(inputs, self.config.image_keys)

    def embed_suffix(
        self, state_BA: Tensor, noisy_BHA: Tensor, time: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """State (pi0 only), noisy actions and flow time, all float32.

        Args:
            state_BA: Normalised state.
            noisy_BHA: Actions on their way.
            time: (B,), or (B, H) where each action has its own.

        Returns:
            Tokens (B, Q, E), the state token first, and the norms' condition, None or shaped as
            time with E behind.
        """
        action_BHE = self.action_in_proj(noisy_BHA)
        embedded = embed_time(time, self.config.action_expert.width)
        if self.config.pi05:
            return action_BHE, F.silu(self.time_mlp_out(F.silu(self.time_mlp_in(embedded))))
        time_BHE = (embedded if time.ndim == 2 else embedded[:, None]).expand_as(action_BHE)
        hidden_BHE = F.silu(self.action_time_mlp_in(torch.cat((action_BHE, time_BHE), dim=-1)))
        state_B1E = self.state_proj(state_BA)[:, None]
        return torch.cat((state_B1E, self.action_time_mlp_out(hidden_BHE)), dim=1), None

    def encode_prefix(self, inputs: ModelInputs) -> PrefixCache:
        """The prefix's keys and values: all that denoising needs of images and prompt."""
        x_BPW, valid_BP = self.embed_prefix(inputs)
        return fill_cache(
            self._stream(self._paligemma.language_model, x_BPW),
            valid_BP=valid_BP,
            positions_BP=valid_BP.cumsum(1) - 1,
        )

    def velocity(
        self, cache: PrefixCache, state_BA: Tensor, noisy_BHA: Tensor, time: Tensor
    ) -> Tensor:
        """Velocity (B, H, A) float32 from data to noise, given an encoded prefix.

        Arguments as `embed_suffix`.
        """
        x_BQE, cond = self.embed_suffix(state_BA, noisy_BHA, time)
        own_QQ = self._suffix_mask(x_BQE)
        batch, size = x_BQE.shape[:2]
        before_BQP = cache.valid_BP[:, None].expand(-1, size, -1)
        mask_BQS = torch.cat((before_BQP, own_QQ.expand(batch, -1, -1)), dim=2)
        offset_B1 = cache.valid_BP.sum(1, keepdim=True)
        [out_BQE] = run_experts(
            [self._stream(self._expert, x_BQE, cond)],
            positions_BQ=offset_B1 + torch.arange(size, device=x_BQE.device),
            mask_B1QS=mask_BQS[:, None],
            cache=cache,
        )
        return self._to_actions(out_BQE)

    def joint_velocity(self, inputs: ModelInputs, noisy_BHA: Tensor, time: Tensor) -> Tensor:
        """The same velocity in one pass over prefix and suffix, for training both experts."""
        prefix_BPW, valid_BP = self.embed_prefix(inputs)
        x_BQE, cond = self.embed_suffix(inputs.state, noisy_BHA, time)
        batch, size = x_BQE.shape[:2]
        valid_BS = torch.cat((valid_BP, valid_BP.new_ones(batch, size)), dim=1)
        # Prefix rows see the valid prefix, suffix rows that and their own block.
        mask_BSS = valid_BS[:, None].repeat(1, valid_BS.shape[1], 1)
        mask_BSS[:, :-size, -size:] = False
        mask_BSS[:, -size:, -size:] = self._suffix_mask(x_BQE)
        _, out_BQE = run_experts(
            [
                self._stream(self._paligemma.language_model, prefix_BPW),
                self._stream(self._expert, x_BQE, cond),
            ],
            positions_BQ=valid_BS.cumsum(1) - 1,
            mask_B1QS=mask_BSS[:, None],
        )
        return self._to_actions(out_BQE)

    def loss(
        self, inputs: ModelInputs, actions_BHA: Tensor, noise_BHA: Tensor, time_B: Tensor
    ) -> Tensor:
        """Flow-matching error (B, H, A), squared and not reduced.

        Source: pi0, arXiv 2410.24164, section IV; time runs as in openpi.
        """
        time_B11 = time_B[:, None, None]
        noisy_BHA = time_B11 * noise_BHA + (1 - time_B11) * actions_BHA
        return (
            self.joint_velocity(inputs, noisy_BHA, time_B) - (noise_BHA - actions_BHA)
        ).square()

    @torch.no_grad()
    def sample_actions(
        self, inputs: ModelInputs, noise_BHA: Tensor, num_steps: int = 10
    ) -> Tensor:
        """Actions (B, H, A) float32, normalised, after Euler steps from noise."""
        return integrate(self.flow(inputs), noise_BHA, num_steps)

    def flow(self, inputs: ModelInputs) -> Velocity:
        """The velocity for these inputs; their prefix is encoded once, here."""
        cache = self.encode_prefix(inputs)

        def velocity(noisy_BHA: Tensor, time: float) -> Tensor:
            time_B = noisy_BHA.new_full((len(noisy_BHA),), time)
            return self.velocity(cache, inputs.state, noisy_BHA, time_B)

        return velocity

    @staticmethod
    def _stream(expert: Gemma, x_BLD: Tensor, cond: Tensor | None = None) -> Stream:
        return Stream(expert=expert, x_BLD=x_BLD.to(expert.dtype), cond_BC=cond)

    def _suffix_mask(self, x_BQE: Tensor) -> Tensor:
        """(Q, Q) bool: actions see the whole suffix, the state token of pi0 only itself."""
        size = x_BQE.shape[1]
        mask_QQ = torch.ones(size, size, dtype=torch.bool, device=x_BQE.device)
        if not self.config.pi05:
            mask_QQ[0, 1:] = False
        return mask_QQ

    def _to_actions(self, out_BQE: Tensor) -> Tensor:
        """Velocity of the action tokens, the last of the suffix; any horizon works."""
        first = 0 if self.config.pi05 else 1
        return self.action_out_proj(out_BQE[:, first:].to(torch.float32))
