"""The pace at which chunks are executed: reduced speed slows the clock that they are read by.

Limiting the rate alone would let the wish run ahead: the robot would cut corners, and grippers
would close before the arm is there. A chunk read slowly keeps path and order, and since each new
chunk begins where the robot was observed, policies that observe again go on from there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vla_core.chunk import ActionChunk, Target
from vla_core.safety import BoolArray

LONGEST_TICK_NS = 10**9  # a longer one is a jump of the clock
SLEW_S = 0.5  # from standing to full speed; a sudden change would make the arm swing back


class Playback:
    """A clock that falls behind the ROS clock while the speed is reduced.

    Attributes:
        wanted: The speed asked for, 0 to 1.
        speed: The speed now, on its way to ``wanted``.
    """

    def __init__(self) -> None:
        self.wanted = 1.0
        self.speed = 1.0
        self._behind_ns = 0
        self._ticked_ns: int | None = None

    def advance(self, elapsed_ns: int, now_ns: int) -> None:
        """Let time pass until a tick."""
        self._ticked_ns = now_ns
        step = elapsed_ns / 1e9 / SLEW_S
        self.speed += min(max(self.wanted - self.speed, -step), step)
        self._behind_ns += round((1.0 - self.speed) * elapsed_ns)

    def time_ns(self, now_ns: int) -> int:
        """The instant of the chunks that is due now."""
        return now_ns - self._behind_ns

    def align(self, chunk: ActionChunk, now_ns: int) -> ActionChunk:
        """The chunk, to be read by ``time_ns``: since its observation less has been executed."""
        executed_ns = round(self.speed * (now_ns - chunk.stamp_ns))
        # Between two ticks the clock has fallen behind by more than it had at the last one.
        since_ns = 0 if self._ticked_ns is None else now_ns - self._ticked_ns
        further_ns = round((1.0 - self.speed) * min(max(0, since_ns), LONGEST_TICK_NS))
        return replace(chunk, played_from_ns=self.time_ns(now_ns) - further_ns - executed_ns)

    def slow(self, wish: Target, is_velocity: BoolArray) -> Target:
        """The wish at this speed: slower rates, and lower values where the value is a velocity."""
        if self.speed == 1.0:
            return wish
        value = np.where(is_velocity, self.speed, 1.0)
        return Target(position=wish.position * value, velocity=wish.velocity * value * self.speed)
