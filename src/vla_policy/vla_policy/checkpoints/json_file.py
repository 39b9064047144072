"""Small JSON objects of a checkpoint, read with a limit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vla_core.errors import CheckpointError

MAX_BYTES = 1 << 20


def read_json_object(path: Path, *, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """One JSON object; anything else, or more than ``max_bytes``, is a CheckpointError."""
    try:
        if not path.is_file():
            raise ValueError("not a regular file")
        if (size := path.stat().st_size) > max_bytes:
            raise ValueError(f"{size} bytes")
        root = json.loads(path.read_bytes())
    except OSError as error:
        raise _bad(path, error.strerror, max_bytes) from error
    except (ValueError, RecursionError) as error:
        raise _bad(path, error, max_bytes) from error
    if not isinstance(root, dict):
        raise _bad(path, type(root).__name__, max_bytes)
    return root


def _bad(path: Path, found: object, max_bytes: int) -> CheckpointError:
    return CheckpointError(
        "a configuration file cannot be read",
        where=str(path),
        found=found,
        allowed=f"one JSON object of at most {max_bytes} bytes",
        fix="take the file that was written with the weights",
    )
