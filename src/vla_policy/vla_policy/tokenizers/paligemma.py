"""Prompts to the ids of PaliGemma's SentencePiece model.

Shape letters: L prompt length of the model in tokens, S state dims of the robot.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import sentencepiece

from vla_core.errors import CheckpointError
from vla_policy.tokenizers.prompts import FloatArray, PromptFormat, prompt_texts

FILE_NAME = "tokenizer.model"
ENVIRONMENT_VARIABLE = "VLA_TOKENIZER"
MAX_BYTES = 64 << 20  # PaliGemma's has 4 MB
_FIX = (
    "give the checkpoint by its hf:// or gs:// address, which fetches the tokenizer too; or"
    " download gs://big_vision/paligemma_tokenizer.model and copy it into the checkpoint as"
    f" {FILE_NAME}, or set {ENVIRONMENT_VARIABLE} to its path"
)

_log = logging.getLogger(__name__)


def find_tokenizer(checkpoint: Path) -> Path:
    """`tokenizer.model` in the checkpoint, else the file that `$VLA_TOKENIZER` names.

    Raises:
        CheckpointError: There is no such file.
    """
    path = checkpoint / FILE_NAME
    if not path.is_file() and (named := os.environ.get(ENVIRONMENT_VARIABLE)):
        path = Path(named)
    if not path.is_file():
        raise CheckpointError(
            "no tokenizer",
            where=str(path),
            found="no file",
            allowed="a SentencePiece model",
            fix=_FIX,
        )
    return path


class PaligemmaTokenizer:
    """Prompts of one length.

    Args:
        path: SentencePiece model.
        max_len: L of the model; shorter prompts are padded with id 0, longer ones cut.
        prompt_format: None: pi0.5's where a state is given, else pi0's.
        state_dims: See `prompt_texts`.

    Raises:
        CheckpointError: The file is not a SentencePiece model.

    Source: openpi, src/openpi/models/tokenizer.py.
    """

    def __init__(
        self,
        path: Path,
        max_len: int,
        *,
        prompt_format: PromptFormat | None = None,
        state_dims: int = 0,
    ) -> None:
        try:
            if path.stat().st_size > MAX_BYTES:
                raise RuntimeError(f"it has more than {MAX_BYTES} bytes")
            self._pieces = sentencepiece.SentencePieceProcessor(model_proto=path.read_bytes())
            if not self._pieces.vocab_size():
                raise RuntimeError("it is empty")
        except (OSError, RuntimeError) as error:
            raise CheckpointError(
                "the tokenizer cannot be read",
                where=str(path),
                found=error,
                allowed="a SentencePiece model",
                fix=_FIX,
            ) from error
        self.max_len = max_len
        self._format = prompt_format
        self._state_dims = state_dims
        self._cut_reported = False
        self._last: tuple[str, list[int]] | None = None

    @property
    def vocab_size(self) -> int:
        return int(self._pieces.vocab_size())

    @property
    def bos_id(self) -> int:
        return int(self._pieces.bos_id())

    @property
    def eos_id(self) -> int:
        return int(self._pieces.eos_id())

    def tokenize(
        self, prompt: str, state: FloatArray | None = None
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
        """Encode a task.

        Args:
            prompt: The task in words.
            state: (S,) normalised and not padded, for formats that read it as text.

        Returns:
            (L,) int32 ids and (L,) bool, True where they are real.
        """
        ids = self.prompt_ids(prompt, state)
        return self.padded(ids, self.max_len), np.arange(self.max_len) < len(ids)

    def prompt_ids(self, prompt: str, state: FloatArray | None) -> list[int]:
        """The ids of a prompt, neither padded nor cut."""
        kind = self._format
        if kind is None:
            kind = PromptFormat.PI0 if state is None else PromptFormat.PI05
        first, *others = prompt_texts(kind, prompt, state, state_dims=self._state_dims)
        if self._last is None or self._last[0] != first:  # pi0's stays the same for a whole task
            self._last = (first, self._pieces.encode(first, add_bos=True))
        return self._last[1] + [i for text in others for i in self.encode(text)]

    def encode(self, text: str) -> list[int]:
        """The ids of plain text."""
        return list(self._pieces.encode(text))

    def decode(self, ids: list[int]) -> str:
        """Text of ids, control ids left out."""
        return str(self._pieces.decode(ids))

    def padded(self, ids: list[int], length: int) -> npt.NDArray[np.int32]:
        """Ids with zeros behind them, or cut, which is reported once."""
        if len(ids) > length and not self._cut_reported:
            self._cut_reported = True
            _log.warning("prompt=cut tokens=%d allowed=%d", len(ids), length)
        row = np.zeros(length, np.int32)
        row[: len(ids)] = ids[:length]
        return row
