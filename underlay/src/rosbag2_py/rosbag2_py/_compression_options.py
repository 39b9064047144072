"""How files of a bag are compressed; chunks of MCAP are so by the storage's own options."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class CompressionMode(IntEnum):
    """What is compressed."""

    NONE = 0
    FILE = 1
    MESSAGE = 2


@dataclass
class CompressionOptions:
    """Format and effort; the queue of files is unbounded, since none of them may be lost."""

    compression_format: str = ""
    compression_mode: CompressionMode = CompressionMode.NONE
    compression_queue_size: int = 1
    compression_threads: int = 0
    compression_threads_priority: int = 0


def compression_mode_from_string(text: str) -> CompressionMode:
    """Return the mode of a name in any case; an unknown or empty one is none, as upstream."""
    return CompressionMode.__members__.get(text.upper(), CompressionMode.NONE)


def compression_mode_to_string(mode: CompressionMode) -> str:
    """Return the name that metadata.yaml holds."""
    return "" if mode is CompressionMode.NONE else mode.name
