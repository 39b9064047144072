"""Which episodes are meant: ``0,3,10-19``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vla_core.dataset.info import DatasetError

_PIECE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")


def parse_episodes(text: str, total: int) -> tuple[int, ...]:
    """Indices and spans of them (both ends included), in their order, each once.

    Raises:
        DatasetError: Something else, or an episode that the dataset does not have.
    """
    chosen: dict[int, None] = {}
    for piece in text.split(","):
        match = _PIECE.fullmatch(piece.strip())
        first = int(match[1]) if match else 0
        last = int(match[2] or first) if match else -1
        if not match or not first <= last < total:
            raise DatasetError(
                "not a list of episodes of this dataset",
                where="--episodes",
                found=piece.strip() or repr(text),
                allowed=f"0,3,10-19 with indices from 0 to {total - 1}",
            )
        chosen.update(dict.fromkeys(range(first, last + 1)))
    return tuple(chosen)


def spans(numbers: Iterable[int]) -> str:
    """The same the other way round, for a person: ``0, 3, 10-19``."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in parts)
