"""The tokenizers beside the weights: ``tokenizer.model`` and the folder ``fast_tokenizer``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TypedDict

from vla_policy.checkpoints.stored import StoredCheckpoint

TOKENIZER, FAST_FOLDER = "tokenizer.model", "fast_tokenizer"
FAST_FILES = ("tokenizer.json", "processor_config.json")


class Tokenizers(TypedDict):
    """Fields of a `StoredCheckpoint`."""

    tokenizer: Path | None
    fast_tokenizer: Path | None


def find_tokenizers(checkpoint: Path) -> Tokenizers:
    """Those that lie in the directory."""
    text, fast = checkpoint / TOKENIZER, checkpoint / FAST_FOLDER
    return {
        "tokenizer": text if text.is_file() else None,
        "fast_tokenizer": fast if fast.is_dir() else None,
    }


def write_tokenizers(directory: Path, stored: StoredCheckpoint) -> None:
    """Copies them beside the weights."""
    if stored.tokenizer is not None:
        shutil.copyfile(stored.tokenizer, directory / TOKENIZER)
    if stored.fast_tokenizer is not None:
        (directory / FAST_FOLDER).mkdir()
        for name in FAST_FILES:
            shutil.copyfile(stored.fast_tokenizer / name, directory / FAST_FOLDER / name)
