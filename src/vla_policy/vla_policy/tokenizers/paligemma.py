"""Prompts to the ids of PaliGemma's SentencePiece model, in the formats of pi0 and pi0.5.

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

FILE_NAME = "tokenizer.model"
ENVIRONMENT_VARIABLE = "VLA_TOKENIZER"
_EDGES = np.linspace(-1, 1, 257)[:-1]  # 256 bins over the normalised range
_FIX = (
    "download gs://big_vision/paligemma_tokenizer.model and copy it into the checkpoint as"
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

    Raises:
        CheckpointError: The file is not a SentencePiece model.

    Source: openpi, src/openpi/models/tokenizer.py.
    """

    def __init__(self, path: Path, max_len: int) -> None:
        try:
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
        self._max_len = max_len
        self._cut_reported = False
        self._last: tuple[str, list[int]] | None = None

    @property
    def vocab_size(self) -> int:
        return int(self._pieces.vocab_size())

    def tokenize(
        self, prompt: str, state: npt.NDArray[np.floating] | None = None
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
        """Encode a task.

        Args:
            prompt: The task in words; case matters.
            state: (S,) normalised and not padded for pi0.5, which reads it as text; None for pi0.

        Returns:
            (L,) int32 ids and (L,) bool, True where they are real.
        """
        ids = self._encode(_text(prompt, state))
        if state is None:
            ids = ids + self._pieces.encode("\n")  # on its own: it ends the prompt
        if len(ids) > self._max_len and not self._cut_reported:
            self._cut_reported = True
            _log.warning("prompt=cut tokens=%d allowed=%d", len(ids), self._max_len)
        count = min(len(ids), self._max_len)
        tokens = np.zeros(self._max_len, np.int32)
        tokens[:count] = ids[:count]
        return tokens, np.arange(self._max_len) < count

    def _encode(self, text: str) -> list[int]:
        if self._last is None or self._last[0] != text:  # pi0's stays the same for a whole task
            self._last = (text, self._pieces.encode(text, add_bos=True))
        return self._last[1]


def _text(prompt: str, state: npt.NDArray[np.floating] | None) -> str:
    task = prompt.strip().replace("_", " ").replace("\n", " ")
    if state is None:
        return task
    bins = np.digitize(state, _EDGES) - 1  # -1 below the range, as in training
    return f"Task: {task}, State: {' '.join(map(str, bins))};\nAction: "
