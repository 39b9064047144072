"""pi0-FAST: PaliGemma that writes actions as text tokens, one after the other.

Parameter names are those of openpi's PyTorch checkpoints without expert and projections, which
LeRobot uses as well. The token embedding is also the output head.

Shapes: B batch, P prefix tokens, L row length, T generated tokens, W width, V vocabulary.
Source: openpi src/openpi/models/pi0_fast.py; LeRobot
src/lerobot/policies/pi0_fast/modeling_pi0_fast.py; FAST, arXiv 2501.09747.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vla_policy.models.config import FastLayout, Pi0FastConfig
from vla_policy.models.gemma import Gemma, GrowingCache, Stream, run_experts
from vla_policy.models.inputs import ModelInputs
from vla_policy.models.paligemma import Paligemma, PaligemmaBody, parameter_dtype

EOS, BOS = 1, 2  # of PaliGemma's vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """Generated tokens.

    Args:
        tokens: (B, T) int64, 0 behind the last step; T is the largest number of steps.
        steps: How many were taken.
        logits: (B, steps, V) float32 from which each token was chosen, None unless asked for.
    """

    tokens: Tensor
    steps: int
    logits: Tensor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Started:
    """A prompt that was read.

    ``visible_BS`` marks what generated tokens may look at, ``length_B1`` counts the prompt's valid
    tokens and ``hidden_BW`` is the last of them, from which the first answer follows.
    """

    cache: GrowingCache
    visible_BS: Tensor
    length_B1: Tensor
    hidden_BW: Tensor


class _PaligemmaWithoutExpert(nn.Module):  # a level of names
    def __init__(self, config: Pi0FastConfig) -> None:
        super().__init__()
        self.paligemma = Paligemma(config)


class Pi0Fast(nn.Module):
    """One model; ``config.layout`` chooses whose positions and stop it follows."""

    def __init__(self, config: Pi0FastConfig) -> None:
        super().__init__()
        self.config = config
        self.paligemma_with_expert = _PaligemmaWithoutExpert(config)

    @property
    def _paligemma(self) -> PaligemmaBody:
        return self.paligemma_with_expert.paligemma.model

    @property
    def _gemma(self) -> Gemma:
        return self._paligemma.language_model

    @property
    def device(self) -> torch.device:
        return self._gemma.norm.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the activations."""
        return self._gemma.dtype

    def set_precision(self, dtype: torch.dtype) -> Pi0Fast:
        """Casts all parameters in place, each to its ``parameter_dtype``."""
        for name, parameter in self.named_parameters():
            parameter.data = parameter.data.to(parameter_dtype(name, dtype))
        return self

    def loss(self, inputs: ModelInputs, ar_mask_BL: Tensor, loss_mask_BL: Tensor) -> Tensor:
        """Mean cross entropy (B,) of the tokens that are to be predicted.

        Args:
            inputs: Images and whole rows: prompt and answer.
            ar_mask_BL: 1 for tokens that see only what stands before them.
            loss_mask_BL: True for tokens that are to be predicted from those before them.
        """
        x_BSW, valid_BS = self._embed(inputs)
        images = x_BSW.shape[1] - ar_mask_BL.shape[1]
        block_BS = F.pad(ar_mask_BL.to(torch.int64), (images, 0)).cumsum(1)
        mask_BSS = (block_BS[:, None] <= block_BS[:, :, None]) & valid_BS[:, None]
        counted = self.config.layout is FastLayout.LEROBOT
        positions_BS = (valid_BS if counted else torch.ones_like(valid_BS)).cumsum(1) - 1
        hidden_BSW = self._run(
            x_BSW[:, :-1], positions_BS[:, :-1], mask_BSS[:, None, :-1, :-1], cache=None
        )
        # The token before a predicted one tells it, so nothing is asked of the first of a row.
        row, column = loss_mask_BL[:, 1:].nonzero(as_tuple=True)
        logits = self._logits(hidden_BSW[row, images + column])
        surprise = F.cross_entropy(logits, inputs.tokens[row, column + 1], reduction="none")
        count_B = loss_mask_BL[:, 1:].sum(1).clamp(min=1)
        return surprise.new_zeros(len(x_BSW)).index_add(0, row, surprise) / count_B

    @torch.no_grad()
    def generate(
        self,
        inputs: ModelInputs,
        *,
        max_steps: int | None = None,
        stop_token: int = EOS,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
        keep_logits: bool = False,
    ) -> Generation:
        """Writes tokens behind the prompt until all rows have ended.

        In openpi's layout rows must end in the same step; in LeRobot's each ends for itself.

        Args:
            inputs: Images and prompts; LeRobot's second begin-of-sequence token is added here.
            max_steps: T; None: of the configuration.
            stop_token: Ends a row.
            temperature: 0 takes the likeliest token, more draws one.
            generator: Of the draw, on the model's device.
            keep_logits: Return them.
        """
        limit = self.config.max_decoding_steps if max_steps is None else max_steps
        openpi = self.config.layout is FastLayout.OPENPI
        started = self._start(inputs if openpi else _with_second_bos(inputs), limit)
        hidden_BW, first_B1 = started.hidden_BW, started.length_B1 + (1 if openpi else 0)
        tokens_BT = inputs.tokens.new_zeros(len(inputs.tokens), limit)
        ended_B = inputs.token_mask.new_zeros(len(inputs.tokens))
        kept: list[Tensor] = []
        for step in range(limit):
            logits_BV = self._logits(hidden_BW)
            if keep_logits:
                kept.append(logits_BV)
            token_B1 = _choose(logits_BV, temperature, generator)
            tokens_BT[:, step : step + 1] = token_B1
            stops_B = token_B1[:, 0] == stop_token
            ended_B = stops_B if openpi else ended_B | stops_B
            if step + 1 == limit or bool(ended_B.all()):
                break
            hidden_BW = self._run(
                self._gemma.embed(token_B1),
                first_B1 + step,
                started.visible_BS[:, None, None, : started.cache.length + 1],
                cache=started.cache,
            )[:, 0]
        logits = torch.stack(kept, dim=1) if keep_logits else None
        return Generation(tokens=tokens_BT, steps=step + 1, logits=logits)

    def _start(self, inputs: ModelInputs, limit: int) -> _Started:
        x_BPW, valid_BP = self._embed(inputs)
        batch, prefix = valid_BP.shape
        cache = GrowingCache(self._gemma, batch=batch, size=prefix + limit)
        hidden_BPW = self._run(x_BPW, valid_BP.cumsum(1) - 1, valid_BP[:, None, None], cache=cache)
        last_B1 = (valid_BP * torch.arange(prefix, device=self.device)).amax(1, keepdim=True)
        return _Started(
            cache=cache,
            visible_BS=F.pad(valid_BP, (0, limit), value=True),
            length_B1=valid_BP.sum(1, keepdim=True),
            hidden_BW=hidden_BPW.take_along_dim(last_B1[:, :, None], dim=1)[:, 0],
        )

    def _embed(self, inputs: ModelInputs) -> tuple[Tensor, Tensor]:
        inputs.check(self.config)
        return self._paligemma.embed(inputs, self.config.image_keys)

    def _run(
        self, x_BQW: Tensor, positions_BQ: Tensor, mask: Tensor, *, cache: GrowingCache | None
    ) -> Tensor:
        stream = Stream(expert=self._gemma, x_BLD=x_BQW.to(self.dtype))
        [out_BQW] = run_experts([stream], positions_BQ=positions_BQ, mask_B1QS=mask, cache=cache)
        return out_BQW

    def _logits(self, hidden: Tensor) -> Tensor:
        """(..., W) to (..., V) float32."""
        return F.linear(hidden, self._gemma.embed_tokens.weight).to(torch.float32)


def _with_second_bos(inputs: ModelInputs) -> ModelInputs:
    return replace(
        inputs,
        tokens=F.pad(inputs.tokens, (0, 1), value=BOS),
        token_mask=F.pad(inputs.token_mask, (0, 1), value=True),
    )


def _choose(logits_BV: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
    """One token (B, 1) int64 of each row."""
    if temperature > 0:
        return torch.multinomial((logits_BV / temperature).softmax(-1), 1, generator=generator)
    return logits_BV.argmax(-1, keepdim=True)
