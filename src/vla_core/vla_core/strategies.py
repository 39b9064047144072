"""How action chunks become one wish per control tick. See docs/execution.md for when to use which.

Shape letter: A action dimension.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from vla_core.chunk import ActionChunk, Target
from vla_core.errors import ChunkError
from vla_core.safety import Limits


class Strategy(Protocol):
    """Holds the chunks that matter and answers by time."""

    def accept(self, chunk: ActionChunk) -> None:
        """Take a new chunk, whose stamp is newer than that of all before it."""

    def clear(self) -> None:
        """Forget all chunks."""

    def at(self, t_ns: int) -> Target | None:
        """The wish at an instant, or None when no chunk covers it."""

    def newest(self) -> ActionChunk | None:
        """The chunk accepted last."""


class RecedingHorizon:
    """The newest chunk replaces all before it, from the action that is due now."""

    def __init__(self, limits: Limits) -> None:
        self._stepped = limits.is_gripper
        self._chunk: ActionChunk | None = None

    def accept(self, chunk: ActionChunk) -> None:
        self._chunk = chunk

    def clear(self) -> None:
        self._chunk = None

    def newest(self) -> ActionChunk | None:
        return self._chunk

    def at(self, t_ns: int) -> Target | None:
        if self._chunk is None or not self._chunk.covers(t_ns):
            return None
        return self._chunk.at(t_ns, self._stepped)


class TemporalEnsemble:
    """All chunks that cover an instant vote, the oldest with weight 1, the i-th with exp(-m i).

    Grippers take the newest chunk's value: they are never averaged.

    Source: Zhao et al. 2023, "Learning Fine-Grained Bimanual Manipulation with Low-Cost Hardware",
    section IV-B (ACT), with m = 0.01.
    """

    def __init__(self, limits: Limits, coefficient: float = 0.01) -> None:
        self._stepped = limits.is_gripper
        self._coefficient = coefficient
        self._chunks: list[ActionChunk] = []

    def accept(self, chunk: ActionChunk) -> None:
        self._chunks = [old for old in self._chunks if old.end_ns > chunk.stamp_ns] + [chunk]

    def clear(self) -> None:
        self._chunks = []

    def newest(self) -> ActionChunk | None:
        return self._chunks[-1] if self._chunks else None

    def at(self, t_ns: int) -> Target | None:
        targets = [chunk.at(t_ns, self._stepped) for chunk in self._chunks if chunk.covers(t_ns)]
        if not targets:
            return None
        weights = np.exp(-self._coefficient * np.arange(len(targets)))
        weights /= weights.sum()
        position = weights @ np.stack([target.position for target in targets])
        velocity = weights @ np.stack([target.velocity for target in targets])
        return Target(
            position=np.where(self._stepped, targets[-1].position, position),
            velocity=velocity,
        )


STRATEGIES: dict[str, Callable[[Limits], Strategy]] = {
    "receding_horizon": RecedingHorizon,
    "temporal_ensemble": TemporalEnsemble,
}


def make_strategy(name: str, limits: Limits) -> Strategy:
    """The strategy of that name.

    Raises:
        ChunkError: an unknown name.
    """
    if name not in STRATEGIES:
        raise ChunkError(
            "unknown strategy", where="strategy", found=name, allowed=", ".join(STRATEGIES)
        )
    return STRATEGIES[name](limits)
