"""Action chunks: a sequence of actions, indexed by the time of the observation that it came from.

Shape letters: H action horizon, A action dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_core.errors import ChunkError
from vla_core.types import FloatArray

MAX_STEPS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionChunk:
    """H actions; action k is due at ``stamp_ns + k * step_ns`` and holds for one step.

    Attributes:
        stamp_ns: Time of the observation.
        step_ns: Time between two actions.
        actions: (H, A) float64, contract names, order and units.
        played_from_ns: When action 0 is due, where that is not ``stamp_ns``: see ``Playback``.
    """

    stamp_ns: int
    step_ns: int
    actions: FloatArray
    played_from_ns: int | None = None

    @property
    def begin_ns(self) -> int:
        """When action 0 is due."""
        return self.stamp_ns if self.played_from_ns is None else self.played_from_ns

    @property
    def end_ns(self) -> int:
        """The first instant that the chunk no longer covers."""
        return self.begin_ns + len(self.actions) * self.step_ns

    def covers(self, t_ns: int) -> bool:
        return self.begin_ns <= t_ns < self.end_ns

    def at(self, t_ns: int, stepped: np.ndarray[Any, np.dtype[np.bool_]]) -> Target:
        """Linear in time; dimensions in ``stepped`` (A,) hold each action instead.

        The first action holds before the chunk, the last one after it.
        """
        t_ns = min(max(t_ns, self.begin_ns), self.end_ns - 1)
        index, rest_ns = divmod(t_ns - self.begin_ns, self.step_ns)
        now = self.actions[index]
        following = self.actions[min(index + 1, len(self.actions) - 1)]
        slope = np.where(stepped, 0.0, following - now)
        return Target(
            position=now + slope * (rest_ns / self.step_ns),
            velocity=slope * (1e9 / self.step_ns),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the policy wants the robot at an instant: values and their first derivative, (A,)."""

    position: FloatArray
    velocity: FloatArray


def decode_chunk(message: Any, names: Sequence[str]) -> ActionChunk | None:
    """Read a trajectory_msgs/JointTrajectory, mapping joints by name.

    Returns:
        The chunk, or None for a trajectory without points: the policy withdraws its chunks.

    Raises:
        ChunkError: other joints than ``names``, uneven or non-increasing times, non-finite values.
    """
    stamp_ns = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
    points = message.points
    if not len(points):
        return None
    if len(points) > MAX_STEPS:
        raise ChunkError("too many actions", found=len(points), allowed=f"at most {MAX_STEPS}")
    order = _order(list(message.joint_names), names)
    rows = [point.positions for point in points]
    lengths = {len(row) for row in rows}
    if lengths != {len(names)}:
        raise ChunkError(
            "wrong number of values in a point", found=sorted(lengths), allowed=len(names)
        )
    actions = np.array(rows, dtype=np.float64)[:, order]
    if not np.isfinite(actions).all():
        step, column = np.argwhere(~np.isfinite(actions))[0]
        raise ChunkError(
            "not a finite number",
            where=f"action {step}, {names[column]}",
            found=actions[step, column],
        )
    return ActionChunk(stamp_ns=stamp_ns, step_ns=_step_ns(points), actions=actions)


def encode_chunk(chunk: ActionChunk, names: Sequence[str], message: Any, point_class: Any) -> Any:
    """Fill a trajectory_msgs/JointTrajectory ``message`` with the chunk and return it."""
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(chunk.stamp_ns, 1_000_000_000)
    message.joint_names = list(names)
    for k, action in enumerate(chunk.actions):
        point = point_class()
        point.positions = action.tolist()
        after = point.time_from_start
        after.sec, after.nanosec = divmod(k * chunk.step_ns, 1_000_000_000)
        message.points.append(point)
    return message


def _order(found: list[str], names: Sequence[str]) -> list[int]:
    """Columns of the message in the order of the contract."""
    if sorted(found) != sorted(names):
        raise ChunkError(
            "the joints are not those of the contract",
            found=", ".join(found) or "none",
            allowed=", ".join(names),
            fix="run policy and executor with the same contract",
        )
    return [found.index(name) for name in names]


def _step_ns(points: Sequence[Any]) -> int:
    times = np.array(
        [p.time_from_start.sec * 1_000_000_000 + p.time_from_start.nanosec for p in points],
        dtype=np.int64,
    )
    if len(times) == 1:
        raise ChunkError("a single action has no step", found="1 point", allowed="2 or more")
    steps = np.diff(times)
    if times[0] != 0 or steps.min() <= 0 or np.ptp(steps) > 1000:
        raise ChunkError(
            "the times of the actions are not an even grid from zero",
            found=", ".join(f"{t / 1e9:.4f}" for t in times[:4]) + " ... s",
            allowed="time_from_start = k / rate",
        )
    return int(times[-1] // (len(times) - 1))
