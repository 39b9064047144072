"""A policy that plays a recorded episode, to test a robot, a conversion or a recording.

Shape letters: T recorded frames, H horizon, A action dimension.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vla_core.contract import Contract
from vla_core.dataset.recorded_actions import RecordedActions, read_actions
from vla_core.errors import PolicyError
from vla_core.rtc import Committed
from vla_core.safety import Limits
from vla_core.types import FloatArray, Observation

REPLAY = "replay:"


class ReplayPolicy:
    """The recorded actions that are due from the observation on, in the time of the recording.

    The clock starts at the first observation and runs on while the robot holds: what is missed
    meanwhile is skipped. Between two frames the actions are linear in time; a gripper keeps the
    older one, as in the executor. The last chunks are shorter than the horizon.

    Args:
        recorded: The episode; its names are those of the contract, in any order.
        contract: The robot.
    """

    needs_prompt = False

    def __init__(self, recorded: RecordedActions, contract: Contract) -> None:
        limits = Limits.of(contract)
        self.action_names = contract.action_names
        self.horizon = max(2, round(contract.policy_rate_hz))
        self._actions = recorded.actions[:, _order(recorded.names, self.action_names)]
        self._fps, self._rate_hz = recorded.fps, contract.policy_rate_hz
        self._stepped = limits.is_gripper
        _check_units(self._actions, limits, self.action_names)
        self.reset()

    @classmethod
    def open(cls, checkpoint: str, contract: Contract) -> ReplayPolicy:
        """From ``replay:<dataset>#<episode>``, a folder on this machine and an index from 0.

        Raises:
            DatasetError: The episode cannot be read.
            PolicyError: Its actions are not those of the contract.
        """
        dataset, _, episode = checkpoint.removeprefix(REPLAY).rpartition("#")
        if not dataset or not re.fullmatch("[0-9]{1,9}", episode):
            raise PolicyError(
                "no episode to replay",
                where="checkpoint",
                found=checkpoint,
                allowed=f"{REPLAY}<dataset>#<episode>, a folder and a number from 0",
            )
        return cls(read_actions(Path(dataset).expanduser(), int(episode)), contract)

    def reset(self) -> None:
        """Start the episode again at the next observation."""
        self._began_ns: int | None = None

    def infer(
        self,
        observation: Observation,
        *,
        noise: npt.NDArray[np.floating] | None = None,
        previous: Committed | None = None,
    ) -> FloatArray:
        """(at most H, A) float64; PolicyError when the episode is over."""
        if self._began_ns is None:
            self._began_ns = observation.stamp_ns
        elapsed_s = (observation.stamp_ns - self._began_ns) / 1e9
        frames = (elapsed_s + np.arange(self.horizon) / self._rate_hz) * self._fps
        frames = frames[frames < len(self._actions) - 1e-6]
        if elapsed_s < 0 or len(frames) < 2:  # a chunk has at least two actions
            raise PolicyError(
                "the episode is over" if elapsed_s >= 0 else "an observation of before the start",
                where="replay",
                found=f"{elapsed_s:.3f} s after its start",
                allowed=f"{len(self._actions) / self._fps:.3f} s were recorded",
                fix="reset the policy to play it again",
            )
        return self._at(frames)

    def _at(self, frames: FloatArray) -> FloatArray:
        older = np.floor(frames + 1e-6).astype(int)
        newer = np.minimum(older + 1, len(self._actions) - 1)
        share = np.maximum(frames - older, 0.0)[:, None]
        share = np.where(share < 1e-6, 0.0, share) * ~self._stepped
        return np.asarray(self._actions[older] * (1 - share) + self._actions[newer] * share)


def _order(found: tuple[str, ...], names: tuple[str, ...]) -> list[int]:
    if sorted(found) != sorted(names):
        raise PolicyError(
            "the recorded actions are not those of the contract",
            where="replay",
            found=", ".join(found),
            allowed=", ".join(names),
            fix="replay it with the contract that it was recorded with",
        )
    return [found.index(name) for name in names]


def _check_units(actions: FloatArray, limits: Limits, names: tuple[str, ...]) -> None:
    """Values beyond the limits by more than their span are of another unit, such as degrees."""
    span = limits.upper - limits.lower
    beyond = np.maximum(limits.lower - actions, actions - limits.upper).max(0) - span
    if (beyond > 0).any():
        worst = int(np.argmax(beyond / np.maximum(span, 1e-9)))
        low, high = actions[:, worst].min(), actions[:, worst].max()
        raise PolicyError(
            "the recorded actions cannot be in the contract's units",
            where=f"replay, {names[worst]}",
            found=f"{low:g} to {high:g}",
            allowed=f"about {limits.lower[worst]:g} to {limits.upper[worst]:g}",
            fix="convert the dataset to the contract's units",
        )
