"""Leader arms: the robot mirrors what a person moves by hand.

Shape letters: H horizon, A action dimension.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vla_bringup.teleop.jogging import HORIZON_S
from vla_core.contract import Contract
from vla_core.errors import ParameterError
from vla_core.safety import Limits
from vla_core.types import FloatArray

MAX_AGE_NS = 250_000_000
_NUMBER = r"-?\d+\.?\d*(?:e-?\d+)?"
_SCALE = re.compile(rf"(\w+)=({_NUMBER})(?:,({_NUMBER}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderTopic:
    """Where joint states of leader arms come from, and what their joint names lack."""

    topic: str
    prefix: str


class Leader:
    """Targets from the newest joint states of all leader arms.

    The robot first goes over to the leader's pose, within `soft_start_s` or as long as it takes at
    `speed`, then follows. Joints of which no leader tells stay where they were.

    Args:
        contract: The robot.
        scales: Joint -> (gain, offset): the robot's value is gain x leader's value + offset.
        speed: Fraction of each joint's largest rate in the soft start.
        soft_start_s: Least time of it.
    """

    def __init__(
        self,
        contract: Contract,
        *,
        scales: dict[str, tuple[float, float]],
        speed: float,
        soft_start_s: float,
    ) -> None:
        self._names, self._limits = contract.action_names, Limits.of(contract)
        self._steps = max(3, round(HORIZON_S * contract.policy_rate_hz))
        self._scales, self._speed = scales, speed
        self._soft_start_ns = round(soft_start_s * 1e9)
        self._heard: dict[str, tuple[float, int]] = {}  # joint -> value, monotonic time
        self.forget()

    def hear(
        self, names: Sequence[str], positions: Sequence[float], prefix: str, mono_ns: int
    ) -> bool:
        """Take a joint state; whether it is one that can be followed."""
        values = {prefix + name: value for name, value in zip(names, positions, strict=False)}
        known = {name: value for name, value in values.items() if name in self._names}
        if len(names) != len(positions) or not known or not np.isfinite([*known.values()]).all():
            return False
        for name, value in known.items():
            gain, offset = self._scales.get(name, (1.0, 0.0))
            self._heard[name] = gain * value + offset, mono_ns
        return True

    def is_alive(self, mono_ns: int) -> bool:
        """Whether every leader that was heard once still tells where it is."""
        return bool(self._heard) and all(
            mono_ns - heard_ns <= MAX_AGE_NS for _, heard_ns in self._heard.values()
        )

    def forget(self) -> None:
        """Begin anew, from where the robot is measured next."""
        self._from: FloatArray | None = None
        self._last: FloatArray | None = None
        self._began_ns = self._lasts_ns = 0

    def actions(self, measured: FloatArray, mono_ns: int) -> FloatArray:
        """What to do from now on, should nothing more be heard: (H, A).

        The first action is the last target: the robot is one step behind, without jumps.
        """
        if self._from is None:
            self._from, self._began_ns = measured, mono_ns
            away = np.abs(self._pose(measured) - measured) / (self._speed * self._limits.rate)
            longest_s = float(away[~self._limits.is_velocity].max(initial=0.0))
            self._lasts_ns = max(self._soft_start_ns, round(longest_s * 1e9))
        part = min(1.0, (mono_ns - self._began_ns) / max(1, self._lasts_ns))
        part = part * part * (3 - 2 * part)
        target = self._from + part * (self._pose(self._from) - self._from)
        target = np.clip(target, self._limits.lower, self._limits.upper)
        first = target if self._last is None else self._last
        self._last = target
        return np.vstack([first, np.tile(target, (self._steps - 1, 1))])

    def _pose(self, otherwise: FloatArray) -> FloatArray:
        heard = [self._heard.get(name) for name in self._names]
        return np.array(
            [value if one is None else one[0] for one, value in zip(heard, otherwise, strict=True)]
        )


def parse_topics(text: str) -> list[LeaderTopic]:
    """`/leader/joint_states`, or `left_=/leader_left/joint_states right_=...` where names repeat.

    Raises:
        ParameterError: No topic at all.
    """
    topics = []
    for entry in text.split():
        prefix, separator, topic = entry.rpartition("=")
        topics.append(LeaderTopic(topic=topic, prefix=prefix if separator else ""))
    if not topics or not all(item.topic for item in topics):
        raise ParameterError(
            "no leader arms",
            where="parameter leader_topics",
            found=repr(text),
            allowed="/leader/joint_states, or left_=/leader_left/joint_states right_=...",
        )
    return topics


def parse_scales(text: str, names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """`left_gripper=2.1,-0.3`: gain and offset by joint.

    Raises:
        ParameterError: An entry that is none, or a joint that the contract does not command.
    """
    scales = {}
    for entry in text.split():
        match = _SCALE.fullmatch(entry)
        if match is None or match[1] not in names:
            raise ParameterError(
                "not a scale",
                where="parameter leader_scales",
                found=entry,
                allowed=f"<joint>=<gain>[,<offset>]; joints: {', '.join(names)}",
            )
        scales[match[1]] = float(match[2]), float(match[3] or 0)
    return scales
