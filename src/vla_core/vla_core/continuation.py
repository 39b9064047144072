"""What the next chunk must continue: the chunk published last, and how long inference takes.

Shape letters: L steps left, A action dimension, S state dimension.
"""

from __future__ import annotations

from collections import Counter, deque

import numpy as np

from vla_core.chunk import ActionChunk
from vla_core.contract import Contract
from vla_core.rtc import Committed
from vla_core.safety import Limits
from vla_core.types import FloatArray, Observation

WARM_UP = 2  # the first inference, and the first one that continues a chunk
DELAYS_KEPT = 20  # the largest of these is expected next time


class Continuation:
    """Keeps the chunk published last and the recent delays, in nanoseconds of the ROS clock.

    A delay runs from the observation to the publication of its chunk. Those of warm-up do not
    count once there are others.

    Attributes:
        counts: ``rtc_continued`` inferences; ``rtc_late`` chunks that took longer than expected:
            they are published all the same, and whoever executes them skips by the stamp;
            ``rtc_not_followed``: times when the robot was not where the previous chunk begins.
    """

    def __init__(self, contract: Contract) -> None:
        self.counts: Counter[str] = Counter()
        self._limits = Limits.of(contract)
        names, state = contract.action_names, contract.state
        both = [(names.index(name), state.index(name)) for name in names if name in state]
        self._pairs = np.array(both, dtype=int).reshape(-1, 2)
        self._chunk: ActionChunk | None = None
        self._expected_steps: int | None = None
        self._delays_ns: deque[int] = deque(maxlen=DELAYS_KEPT)
        self._measured = 0

    def committed(self, observation: Observation) -> Committed | None:
        """What a chunk for this observation must begin with; None when it is free.

        It is free, too, while the robot is farther from the previous chunk than a new chunk may
        begin, as after a stop: what nobody executes is not continued.
        """
        self._expected_steps = None
        chunk = self._chunk
        if chunk is None or not chunk.covers(observation.stamp_ns):
            return None
        actions = remaining(chunk, observation.stamp_ns, self._limits)
        columns, measured = self._pairs.T
        offset = np.abs(actions[0, columns] - observation.state[measured])
        if not (offset <= self._limits.start_offset[columns]).all():
            self.counts["rtc_not_followed"] += 1
            return None
        self._expected_steps = _steps(max(self._delays_ns, default=0), chunk.step_ns)
        self.counts["rtc_continued"] += 1
        return Committed(
            actions=actions,
            delay_steps=self._expected_steps,
            stepped=self._limits.is_gripper,
        )

    def published(self, chunk: ActionChunk, now_ns: int) -> None:
        """A chunk went out: the next one continues it."""
        delay_ns, expected = now_ns - chunk.stamp_ns, self._expected_steps
        if expected is not None and _steps(delay_ns, chunk.step_ns) > expected:
            self.counts["rtc_late"] += 1
        if chunk.covers(now_ns):  # otherwise the clock was set, or the chunk is of no use
            if self._measured == WARM_UP:
                self._delays_ns.clear()
            self._delays_ns.append(delay_ns)
            self._measured += 1
        self._chunk = chunk

    def forget(self) -> None:
        """The chunks were withdrawn: the next one is free."""
        self._chunk = None


def remaining(chunk: ActionChunk, t_ns: int, limits: Limits) -> FloatArray:
    """(L, A) actions of a chunk that covers ``t_ns``, at that instant and each period after it.

    Between two actions as they are executed: arm joints linear in time, grippers stepped.
    """
    times = range(t_ns, chunk.end_ns, chunk.step_ns)
    return np.stack([chunk.at(time_ns, limits.is_gripper).position for time_ns in times])


def _steps(delay_ns: int, step_ns: int) -> int:
    """Periods that a delay touches."""
    return -(-delay_ns // step_ns)
