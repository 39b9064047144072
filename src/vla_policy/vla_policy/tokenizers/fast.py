"""The text of pi0-FAST: prompts that hold the state, and actions written as tokens.

The ids of the FAST codec stand at the end of PaliGemma's vocabulary, counted down from below its
128 segmentation tokens.

Shape letters: L row length, S state dims, H horizon, A action dims.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_core.errors import CheckpointError, PolicyError
from vla_policy.models.config import FastLayout
from vla_policy.tokenizers.fast_codec import FastCodec
from vla_policy.tokenizers.paligemma import PaligemmaTokenizer
from vla_policy.tokenizers.prompts import FloatArray

SKIPPED = 128  # segmentation tokens at the end of the vocabulary
OPENING, END = "Action: ", "|"


@dataclass(frozen=True, slots=True, kw_only=True)
class FastRow:
    """One sequence for training.

    Args:
        tokens: (L,) int32, zero where padded.
        mask: (L,) bool, False where padded.
        ar_mask: (L,) int32, 1 for tokens that see only what stands before them.
        loss_mask: (L,) bool, True for tokens that the model shall predict.
    """

    tokens: npt.NDArray[np.int32]
    mask: npt.NDArray[np.bool_]
    ar_mask: npt.NDArray[np.int32]
    loss_mask: npt.NDArray[np.bool_]


class FastTokenizer:
    """Prompts and actions of one pi0-FAST model.

    Args:
        text: PaliGemma's tokenizer, in this model's prompt format and length.
        codec: What the actions were encoded with in training.
        layout: Order of a sequence.
        max_action_tokens: Room for the actions of a training row in LeRobot's layout; in openpi's
            they share the row with the prompt.

    Source: openpi, src/openpi/models/tokenizer.py; LeRobot,
    src/lerobot/policies/pi0_fast/modeling_pi0_fast.py.
    """

    def __init__(
        self,
        text: PaligemmaTokenizer,
        codec: FastCodec,
        *,
        layout: FastLayout = FastLayout.OPENPI,
        max_action_tokens: int = 256,
    ) -> None:
        self._text, self._codec, self._layout = text, codec, layout
        self._max_action_tokens = max_action_tokens
        self._last = text.vocab_size - 1 - SKIPPED  # where FAST id 0 stands
        if codec.vocab_size > self._last:
            raise CheckpointError(
                "the FAST vocabulary does not fit into the text vocabulary",
                found=codec.vocab_size,
                allowed=f"at most {self._last}",
                fix="use the tokenizers that the model was trained with",
            )
        self._opening, self._end = text.encode(OPENING), text.encode(END)

    @property
    def vocab_size(self) -> int:
        return self._text.vocab_size

    @property
    def stop_token(self) -> int:
        """Where generation ends: ``|`` for LeRobot, end of sequence for openpi."""
        return self._end[-1] if self._layout is FastLayout.LEROBOT else self._text.eos_id

    def tokenize(
        self, prompt: str, state: FloatArray | None
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
        """A prompt for inference: (L,) int32 ids and (L,) bool, True where they are real."""
        return self._text.tokenize(prompt, state)

    def training_row(self, prompt: str, state: FloatArray, actions: FloatArray) -> FastRow:
        """Prompt and normalised actions (H, A), padded or cut to the model's length."""
        codes = [self._last - i for i in self._codec.encode(actions)]
        answer = [*self._opening, *codes, *self._end, self._text.eos_id]
        prompt_ids, length = self._text.prompt_ids(prompt, state), self._text.max_len
        if self._layout is FastLayout.OPENPI:
            return self._row(prompt_ids, answer, length)
        before = self._row(prompt_ids, [], length)
        after = self._row([], [self._text.bos_id, *answer], self._max_action_tokens)
        after.loss_mask[0] = False  # the second begin-of-sequence is given, not predicted
        return FastRow(
            tokens=np.concatenate((before.tokens, after.tokens)),
            mask=np.concatenate((before.mask, after.mask)),
            ar_mask=np.concatenate((before.ar_mask, after.ar_mask)),
            loss_mask=np.concatenate((before.loss_mask, after.loss_mask)),
        )

    def _row(self, prompt: list[int], answer: list[int], length: int) -> FastRow:
        place = np.arange(length)
        mask = place < len(prompt) + len(answer)
        answers = mask & (place >= len(prompt))
        return FastRow(
            tokens=self._text.padded([*prompt, *answer], length),
            mask=mask,
            ar_mask=answers.astype(np.int32),
            loss_mask=answers,
        )

    def actions(
        self, tokens: Sequence[int], *, horizon: int, action_dim: int
    ) -> npt.NDArray[np.float64]:
        """The chunk (H, A), normalised, in generated tokens.

        Raises:
            PolicyError: The tokens hold no chunk of this size.
        """
        ids = [int(token) for token in tokens]
        if any(not 0 <= i < self.vocab_size for i in ids):
            raise _no_chunk(ids, f"ids from 0 to {self.vocab_size - 1}")
        relaxed = self._layout is FastLayout.LEROBOT
        codes = self._codes_after_start(ids) if relaxed else self._codes_in_text(ids)
        return self._codec.decode(
            [self._last - code for code in codes],
            horizon=horizon,
            action_dim=action_dim,
            relaxed=relaxed,
        )

    def _codes_in_text(self, ids: list[int]) -> list[int]:
        """openpi's way: what stands between the first ``Action: `` and the next ``|``."""
        _, opening, rest = self._text.decode(ids).partition(OPENING)
        if not opening:
            raise _no_chunk(ids, f"text that holds {OPENING!r}")
        # A second opening ends the actions as well.
        return self._text.encode(rest.partition(OPENING)[0].partition(END)[0].strip())

    def _codes_after_start(self, ids: list[int]) -> list[int]:
        """LeRobot's way: what stands before the first ``|``, without any ``Action: ``."""
        if ids[:2] != self._opening[:2]:
            raise _no_chunk(ids, f"tokens that begin with {self._opening[:2]}")
        end = ids.index(self._end[-1]) if self._end[-1] in ids else len(ids)
        codes, size = ids[:end], len(self._opening)
        place = 0
        while place <= len(codes) - size:
            if codes[place : place + size] == self._opening:
                del codes[place : place + size]
            else:
                place += 1
        return codes


def _no_chunk(ids: list[int], allowed: str) -> PolicyError:
    return PolicyError(
        "the model's tokens mean no action chunk",
        where="FAST",
        found=f"{ids[:8]}{' ...' if len(ids) > 8 else ''}",
        allowed=allowed,
        fix="no chunk is given; if every inference ends so, model and tokenizer differ",
    )
