"""Small JSON objects of a checkpoint, read with a limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vla_core.errors import CheckpointError
from vla_core.json_file import read_object

MAX_BYTES = 1 << 20


def read_json_object(path: Path, *, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """One JSON object; anything else, or more than ``max_bytes``, is a CheckpointError."""
    try:
        return read_object(path, max_bytes)
    except ValueError as error:
        raise CheckpointError(
            "a configuration file cannot be read",
            where=str(path),
            found=error,
            allowed=f"one JSON object of at most {max_bytes} bytes",
            fix="take the file that was written with the weights",
        ) from error
