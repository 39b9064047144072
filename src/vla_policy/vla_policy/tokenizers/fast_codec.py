"""The FAST codec: action chunks to few integers and back.

A cosine transform along time concentrates a smooth chunk in few numbers; these are rounded,
written as one character each, and the text is shortened by byte-pair encoding.

Shape letters: H horizon, A action dims.
Source: FAST, arXiv 2501.09747; `UniversalActionProcessor` of physical-intelligence/fast.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from vla_core.errors import CheckpointError, PolicyError
from vla_core.json_file import read_object

Array = npt.NDArray[np.floating]

TOKENIZER, CONFIG = "tokenizer.json", "processor_config.json"
MAX_BYTES = 16 << 20  # the released tokenizer.json has some hundred kB
MAX_VOCABULARY = 1 << 16
MAX_COEFFICIENT = 1 << 14  # far beyond any action; twice that is still a character
LONGEST_TOKEN = 10_000  # characters, when fitting
LOST = "\N{REPLACEMENT CHARACTER}"  # what the decoder makes of bytes that are no text
_FIX = "take the two files of the FAST tokenizer that the model was trained with"


class FastCodec:
    """Coefficients times ``scale``, rounded half to even, minus ``min_token``, as characters."""

    def __init__(self, bpe: Tokenizer, *, scale: float, min_token: int) -> None:
        self._bpe, self._scale, self._min_token = bpe, scale, min_token

    @property
    def vocab_size(self) -> int:
        return int(self._bpe.get_vocab_size())

    @classmethod
    def load(cls, directory: Path) -> FastCodec:
        """Read `tokenizer.json` and `processor_config.json`.

        Raises:
            CheckpointError: A file is missing, too large, or not what FAST writes.
        """
        config, where = _read(directory / CONFIG), str(directory / CONFIG)
        scale, min_token = config.get("scale"), config.get("min_token")
        if not isinstance(scale, int | float) or not 0 < scale < math.inf:
            raise _bad(where + ", scale", scale, "a positive number")
        if not isinstance(min_token, int) or abs(min_token) > MAX_COEFFICIENT:
            raise _bad(
                where + ", min_token", min_token, f"-{MAX_COEFFICIENT} to {MAX_COEFFICIENT}"
            )
        return cls(_load_bpe(directory / TOKENIZER), scale=float(scale), min_token=min_token)

    @classmethod
    def fit(
        cls, chunks: Iterable[Array], *, scale: float = 10.0, vocab_size: int = 1024
    ) -> FastCodec:
        """Learn a codec from normalised chunks (H, A).

        Raises:
            CheckpointError: There is no chunk, or the vocabulary is smaller than the range.
        """
        quantised = [_quantise(chunk, scale).ravel() for chunk in chunks]
        if not quantised:
            raise CheckpointError("a FAST codec is fitted to chunks", found="none")
        lowest = min(int(q.min()) for q in quantised)
        span = max(int(q.max()) for q in quantised) - lowest
        if not span < vocab_size <= MAX_VOCABULARY:
            raise CheckpointError(
                "the vocabulary does not fit the range of the coefficients",
                found=f"vocab_size {vocab_size}, {span + 1} different values",
                allowed=f"{span + 1} to {MAX_VOCABULARY}",
                fix="normalise the actions, or choose another scale or vocab_size",
            )
        bpe = Tokenizer(models.BPE())
        bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        bpe.decoder = decoders.ByteLevel()
        bpe.post_processor = processors.ByteLevel(trim_offsets=False)
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            min_frequency=2,
            show_progress=False,
            special_tokens=[],
            initial_alphabet=[chr(i) for i in range(span + 1)],
            max_token_length=LONGEST_TOKEN,
        )
        bpe.train_from_iterator((_text(q, lowest) for q in quantised), trainer=trainer)
        return cls(bpe, scale=scale, min_token=lowest)

    def save(self, directory: Path) -> None:
        """Write the two files that `load` reads."""
        config = {
            "action_dim": None,
            "min_token": self._min_token,
            "processor_class": "UniversalActionProcessor",
            "scale": self._scale,
            "time_horizon": None,
            "vocab_size": self.vocab_size,
        }
        directory.mkdir(parents=True, exist_ok=True)
        (directory / TOKENIZER).write_text(self._bpe.to_str(pretty=True), encoding="utf-8")
        (directory / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    def encode(self, actions: Array) -> list[int]:
        """Ids of one normalised chunk (H, A)."""
        return list(self._bpe.encode(_text(_quantise(actions, self._scale), self._min_token)).ids)

    def decode(
        self, ids: Sequence[int], *, horizon: int, action_dim: int, relaxed: bool = False
    ) -> npt.NDArray[np.float64]:
        """The chunk (H, A) of some ids, normalised.

        Args:
            ids: At least one.
            horizon: H.
            action_dim: A.
            relaxed: Cut surplus coefficients and fill missing ones with zeros, as LeRobot does;
                but the first of each dimension, its mean, has to be there.

        Raises:
            PolicyError: The ids mean no chunk of this size. Zeros would be no way out: in
                normalised space they are the middle of the range and not a standstill.
        """
        count = horizon * action_dim
        text = self._decode_text(ids)
        found = np.array([ord(c) for c in text], np.int64) + self._min_token
        fits = found.size >= action_dim if relaxed else found.size == count
        if not fits:
            raise _undecodable(f"{found.size} coefficients", f"{count}: {horizon} x {action_dim}")
        coefficients = np.zeros(count)
        coefficients[: found.size] = found[:count]
        scaled = coefficients.reshape(horizon, action_dim) / self._scale
        return np.asarray(scipy.fft.idct(scaled, axis=0, norm="ortho"))

    def _decode_text(self, ids: Sequence[int]) -> str:
        ids = [int(i) for i in ids]
        if wrong := [i for i in ids if not 0 <= i < self.vocab_size]:
            raise _undecodable(f"id {wrong[0]}", f"0 to {self.vocab_size - 1}")
        text = self._bpe.decode(ids, skip_special_tokens=False)
        if LOST in text:
            raise _undecodable("bytes that are no character", "whole characters")
        return text


def _quantise(actions: Array, scale: float) -> npt.NDArray[np.int64]:
    """Rounded coefficients, frequency by frequency: (H, A)."""
    array = np.asarray(actions)
    if array.ndim != 2 or not array.size or not np.isfinite(array).all():
        raise PolicyError(
            "FAST encodes one chunk of finite actions",
            where="actions",
            found=f"shape {array.shape}",
            allowed="(horizon, action_dim), finite",
        )
    coefficients = np.around(np.asarray(scipy.fft.dct(array, axis=0, norm="ortho")) * scale)
    if np.abs(coefficients).max() > MAX_COEFFICIENT:
        raise PolicyError(
            "actions are too large for FAST",
            found=float(np.abs(array).max()),
            allowed="normalised actions",
        )
    return coefficients.astype(np.int64)


def _text(coefficients: npt.NDArray[np.int64], min_token: int) -> str:
    codes = np.maximum(coefficients.ravel() - min_token, 0).tolist()
    return "".join(map(chr, codes))


def _load_bpe(path: Path) -> Tokenizer:
    root, where = _read(path), str(path)
    kinds = {
        key: part.get("type") if isinstance(part := root.get(key), dict) else part
        for key in ("model", "pre_tokenizer", "decoder", "normalizer")
    }
    expected = {
        "model": "BPE",
        "pre_tokenizer": "ByteLevel",
        "decoder": "ByteLevel",
        "normalizer": None,
    }
    if kinds != expected:
        raise _bad(where, kinds, f"byte-level BPE: {expected}")
    try:
        bpe = Tokenizer.from_str(json.dumps(root))
    except Exception as error:  # the library raises no narrower class
        raise _bad(where, error, "a byte-level BPE tokenizer") from error
    if not 0 < bpe.get_vocab_size() <= MAX_VOCABULARY:
        raise _bad(where, f"{bpe.get_vocab_size()} entries", f"1 to {MAX_VOCABULARY}")
    return bpe


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_object(path, MAX_BYTES)
    except ValueError as error:
        raise _bad(str(path), error, f"a JSON object of at most {MAX_BYTES} bytes") from error


def _bad(where: str, found: object, allowed: str) -> CheckpointError:
    return CheckpointError(
        "the FAST tokenizer cannot be read", where=where, found=found, allowed=allowed, fix=_FIX
    )


def _undecodable(found: str, allowed: str) -> PolicyError:
    return PolicyError(
        "the model's tokens mean no action chunk",
        where="FAST",
        found=found,
        allowed=allowed,
        fix="no chunk is given; if every inference ends so, model and FAST tokenizer differ",
    )
