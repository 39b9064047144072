"""JSON objects that somebody else wrote: of limited size, and with no key twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_object(path: Path, max_bytes: int) -> dict[str, Any]:
    """The one object in a file.

    Raises:
        ValueError: Anything else is found, which the message says and nothing more.
    """
    try:
        if path.exists() and not path.is_file():
            raise ValueError("not a regular file")
        if (size := path.stat().st_size) > max_bytes:
            raise ValueError(f"{size} bytes")
        return parse_object(path.read_bytes())
    except OSError as error:
        raise ValueError(error.strerror) from error


def parse_object(text: str | bytes) -> dict[str, Any]:
    """The same of a text."""
    try:
        found = json.loads(text, object_pairs_hook=_without_doubles)
    except RecursionError as error:
        raise ValueError("values nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError(type(found).__name__)
    return found


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Readers differ in which of two values of a key counts, so neither does."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:200]!r} twice")
        found[key] = value
    return found
