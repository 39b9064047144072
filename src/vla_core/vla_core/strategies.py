"""How action chunks become one wish per control tick. See docs/execution.md for when to use which.

Shape letter: A action dimension.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vla_core.chunk import MAX_STEPS, ActionChunk, Target
from vla_core.errors import ChunkError
from vla_core.safety import Limits
from vla_core.types import FloatArray


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

    def in_use(self) -> ActionChunk | None:
        """The newest chunk that the last wish was made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategySettings:
    """What the strategies may be told; each takes what concerns it.

    Attributes:
        blend_s: Time in which ``latency_aligned`` goes over to a new chunk.
        execute_steps: Actions of a chunk after which ``synchronous`` takes the next one.
    """

    blend_s: float = 0.2
    execute_steps: int = MAX_STEPS


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

    def in_use(self) -> ActionChunk | None:
        return self._chunk

    def at(self, t_ns: int) -> Target | None:
        if self._chunk is None or not self._chunk.covers(t_ns):
            return None
        return self._chunk.at(t_ns, self._stepped)


class Synchronous:
    """A chunk is executed to its end, or for ``execute_steps`` actions, before the next is taken.

    The next one is the newest that came meanwhile, from the action that is due now.
    """

    def __init__(self, limits: Limits, execute_steps: int = MAX_STEPS) -> None:
        self._stepped = limits.is_gripper
        self._steps = execute_steps
        self._chunk: ActionChunk | None = None
        self._next: ActionChunk | None = None
        self._until_ns = 0

    def accept(self, chunk: ActionChunk) -> None:
        self._next = chunk

    def clear(self) -> None:
        self._chunk = self._next = None

    def newest(self) -> ActionChunk | None:
        return self._next or self._chunk

    def in_use(self) -> ActionChunk | None:
        return self._chunk

    def at(self, t_ns: int) -> Target | None:
        is_over = self._chunk is None or t_ns >= self._until_ns or not self._chunk.covers(t_ns)
        if is_over and self._next is not None and self._next.covers(t_ns):
            self._chunk, self._next = self._next, None
            self._until_ns = t_ns + self._steps * self._chunk.step_ns
        if self._chunk is None or not self._chunk.covers(t_ns):
            return None
        return self._chunk.at(t_ns, self._stepped)


class LatencyAligned:
    """A new chunk fades in over ``blend_s``, linearly, from the action that is due now.

    Both are read at the same instant, so what is averaged is meant for that instant; the old one
    stays at its last action if it ends meanwhile. Where nothing was executed there is nothing to
    fade from. Grippers take the newest chunk's value: they are never averaged.
    """

    def __init__(self, limits: Limits, blend_s: float = 0.2) -> None:
        self._stepped = limits.is_gripper
        self._blend_ns = max(1, round(blend_s * 1e9))
        self._next: ActionChunk | None = None
        # Of each chunk, when it begins to fade in. All before one that is fully in are forgotten.
        self._fading: list[tuple[ActionChunk, int]] = []

    def accept(self, chunk: ActionChunk) -> None:
        self._next = chunk

    def clear(self) -> None:
        self._next, self._fading = None, []

    def newest(self) -> ActionChunk | None:
        return self._next or self.in_use()

    def in_use(self) -> ActionChunk | None:
        return self._fading[-1][0] if self._fading else None

    def at(self, t_ns: int) -> Target | None:
        current = self.in_use()
        if self._next is not None and self._next.covers(t_ns):
            if current is None or not current.covers(t_ns):
                self._fading = []
            self._fading.append((self._next, t_ns if self._fading else t_ns - self._blend_ns))
            self._next = None
        current = self.in_use()
        if current is None or not current.covers(t_ns):
            return None
        while len(self._fading) > 1 and t_ns - self._fading[1][1] >= self._blend_ns:
            self._fading.pop(0)
        return self._blended(t_ns)

    def _blended(self, t_ns: int) -> Target:
        """The position p = p0 + w (p1 - p0), chunk after chunk, and its derivative."""
        target = self._fading[0][0].at(t_ns, self._stepped)
        position, velocity = target.position, target.velocity
        for chunk, begin_ns in self._fading[1:]:
            target = chunk.at(t_ns, self._stepped)
            weight = max(0.0, (t_ns - begin_ns) / self._blend_ns)  # the clock may be set back
            apart = target.position - position
            position = position + weight * apart
            velocity = velocity + weight * (target.velocity - velocity)
            velocity = velocity + apart * (1e9 / self._blend_ns)
        return Target(
            position=np.where(self._stepped, target.position, position),
            velocity=np.where(self._stepped, 0.0, velocity),
        )


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
        self._chunks = [old for old in self._chunks if old.end_ns > chunk.begin_ns] + [chunk]

    def clear(self) -> None:
        self._chunks = []

    def newest(self) -> ActionChunk | None:
        return self._chunks[-1] if self._chunks else None

    def in_use(self) -> ActionChunk | None:
        return self.newest()

    def at(self, t_ns: int) -> Target | None:
        targets = [chunk.at(t_ns, self._stepped) for chunk in self._chunks if chunk.covers(t_ns)]
        if not targets:
            return None
        weights = np.exp(-self._coefficient * np.arange(len(targets)))
        weights /= weights.sum()
        position: FloatArray = weights @ np.stack([target.position for target in targets])
        velocity: FloatArray = weights @ np.stack([target.velocity for target in targets])
        return Target(
            position=np.where(self._stepped, targets[-1].position, position),
            velocity=velocity,
        )


def _receding_horizon(limits: Limits, _settings: StrategySettings) -> Strategy:
    return RecedingHorizon(limits)


# With real-time chunking it is the policy that continues the chunk in use: the executor takes the
# newest one as it is.
STRATEGIES: dict[str, Callable[[Limits, StrategySettings], Strategy]] = {
    "synchronous": lambda limits, settings: Synchronous(limits, settings.execute_steps),
    "receding_horizon": _receding_horizon,
    "latency_aligned": lambda limits, settings: LatencyAligned(limits, settings.blend_s),
    "temporal_ensemble": lambda limits, _: TemporalEnsemble(limits),
    "rtc": _receding_horizon,
    "rtc_trained": _receding_horizon,
}


def make_strategy(name: str, limits: Limits, settings: StrategySettings | None = None) -> Strategy:
    """The strategy of that name.

    Raises:
        ChunkError: an unknown name.
    """
    if name not in STRATEGIES:
        raise ChunkError(
            "unknown strategy", where="strategy", found=name, allowed=", ".join(STRATEGIES)
        )
    return STRATEGIES[name](limits, settings or StrategySettings())
