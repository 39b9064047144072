"""A flow policy whose velocity field is exact, on a scripted trajectory, for benchmarks.

The script is a slow wave past an obstacle every two seconds; either way round it is right. At
each observation the distribution of chunks is a mixture of two Gaussian processes, one for each
way: they begin near where the robot is seen, and err smoothly. A robot that is already on one
side gets chunks of that side. So chunks disagree by their errors, and before an obstacle by the
side, as the samples of a flow policy do.

Shape letters: B batch (1), H action horizon, A action dimension, M the two ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vla_core.rtc import RTC_OFF, Committed, Rtc, RtcMode
from vla_core.types import FloatArray
from vla_policy.models.pi0 import Velocity, integrate
from vla_policy.models.rtc import Guidance, sample_committed, sample_guided
from vla_policy.policies.splice import splice, with_probes

HORIZON = 50
STEP_S = 0.02
FLOW_STEPS = 10
SCALE = 0.2  # rad to a normalised action, about a standard deviation of a chunk
ERROR_RAD, ERROR_S = 0.02, 0.15  # of chunks: standard deviation, and how long it lasts
ROUGHNESS = 1e-4  # share of the variance that differs from action to action
WAY_RAD = 0.06  # how far each way leads from the middle, per joint
RETURN_S = 0.3  # in which a chunk goes from where the robot is to the script
SIDE_RAD = 0.02  # how clearly a way is told from the robot's pose
OBSTACLE_EVERY_S = 2.0
WAYS = np.array([-1.0, 1.0])


def script(times_s: FloatArray) -> FloatArray:
    """(T, 7): six joints on slow waves, rad, and a gripper that closes and opens."""
    phase = np.arange(6) * 0.7
    arm = 0.3 * np.sin(1.2 * times_s[:, None] + phase)
    gripper = (times_s % 4.0 >= 2.0).astype(float)
    return np.concatenate([arm, gripper[:, None]], axis=1)


def ways(times_s: FloatArray) -> FloatArray:
    """(M, T, 7): the script by each way round the obstacles."""
    beside = np.sin(np.pi * times_s / OBSTACLE_EVERY_S) ** 4
    leads = np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 0.0]) * WAY_RAD
    return script(times_s) + WAYS[:, None, None] * beside[:, None] * leads


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a chunk depends on, in the model's space. ``mean`` (M, H, A), ``log_odds`` (M,)."""

    state: Tensor
    mean: Tensor
    log_odds: Tensor


class MixtureFlow:
    """The exact flow from noise to the mixture, for one flow time or for one per action.

    Has what ``vla_policy.models.rtc`` asks of a model.
    """

    def __init__(self, dims: int) -> None:
        steps = torch.arange(HORIZON, dtype=torch.float64) * STEP_S
        smooth = torch.exp(-(((steps[:, None] - steps) / ERROR_S) ** 2) / 2)
        covariance = smooth + ROUGHNESS * torch.eye(HORIZON, dtype=torch.float64)
        self._covariance_AHH = ((ERROR_RAD / SCALE) ** 2 * covariance).expand(dims, -1, -1).clone()
        self._covariance_AHH[-1] = 1e-4 * torch.eye(HORIZON)  # the gripper is sure of itself

    def encode_prefix(self, seen: Seen) -> Seen:
        return seen

    def flow(self, seen: Seen) -> Velocity:
        return lambda x_BHA, time: self.velocity(
            seen, seen.state, x_BHA, x_BHA.new_full(x_BHA.shape[:2], time)
        )

    def sample_actions(self, seen: Seen, noise_BHA: Tensor, num_steps: int) -> Tensor:
        return integrate(self.flow(seen), noise_BHA, num_steps)

    def velocity(self, seen: Seen, _state: Tensor, x_BHA: Tensor, time_BH: Tensor) -> Tensor:
        """(x - E[clean | x]) / time, with x = (1 - time) clean + time noise, action by action."""
        time_H = time_BH[0]
        share_H = 1.0 - time_H
        cross_AHH = self._covariance_AHH * share_H  # between clean and noisy actions
        noisy_AHH = share_H[:, None] * cross_AHH + torch.diag(time_H**2)
        away_AHM = (x_BHA - share_H[:, None] * seen.mean).permute(2, 1, 0)
        solved_AHM = torch.linalg.solve(noisy_AHH, away_AHM)
        odds_M = torch.softmax(seen.log_odds - (away_AHM * solved_AHM).sum((0, 1)) / 2, 0)
        clean_MHA = seen.mean + (cross_AHH @ solved_AHM).permute(2, 1, 0)
        clean_HA = (odds_M[:, None, None] * clean_MHA).sum(0)
        return (x_BHA - clean_HA) / time_H.clamp_min(1e-6)[:, None]


class ScriptedPolicy:
    """Chunks in contract units for the scripted trajectory; the same seed gives the same noise."""

    def __init__(self, *, seed: int, rtc: Rtc = RTC_OFF) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._rtc = rtc
        self._dims = script(np.zeros(1)).shape[1]
        self._flow: Any = MixtureFlow(self._dims)

    def infer(self, time_s: float, state: FloatArray, previous: Committed | None) -> FloatArray:
        """(H, A) actions for the pose (A,) seen at a time of the script."""
        seen: Any = self._seen(time_s, state)
        noise_BHA = torch.randn(
            1, HORIZON, self._dims, generator=self._generator, dtype=torch.float64
        )
        if previous is None or self._rtc.mode is RtcMode.OFF:
            found = self._flow.sample_actions(seen, noise_BHA, FLOW_STEPS)
        else:
            found = self._continued(seen, noise_BHA, self._normalised(previous, state), previous)
        offset, scale = self._space(state)
        actions = found[0].numpy() * scale + offset
        actions[:, -1] = np.round(np.clip(actions[:, -1], 0.0, 1.0))
        return np.asarray(actions)

    def _continued(
        self, seen: Any, noise_BHA: Tensor, mapped: FloatArray, previous: Committed
    ) -> Tensor:
        join = splice(mapped, previous, self._rtc, HORIZON)
        target = torch.from_numpy(join.target).double()
        if self._rtc.mode is RtcMode.TRAINED:
            committed = target[: join.delay_steps]
            return sample_committed(self._flow, seen, noise_BHA, FLOW_STEPS, committed)
        guidance = Guidance(
            target=target,
            weights=torch.from_numpy(join.weights).double(),
            max_weight=self._rtc.max_guidance,
            vjp=self._rtc.vjp,
        )
        return sample_guided(self._flow, seen, noise_BHA, FLOW_STEPS, guidance)

    def _seen(self, time_s: float, state: FloatArray) -> Seen:
        after_s = np.arange(HORIZON) * STEP_S
        planned = ways(time_s + after_s)
        offset, scale = self._space(state)
        back = np.exp(-after_s / RETURN_S)[:, None] * (scale < 1.0)  # the gripper jumps
        mean = planned + back * (state - planned[:, :1])
        far = ((state - planned[:, 0])[:, :-1] ** 2).mean(1)
        return Seen(
            state=torch.from_numpy(state),
            mean=torch.from_numpy((mean - offset) / scale),
            log_odds=torch.from_numpy(-far / SIDE_RAD**2 / 2),
        )

    @staticmethod
    def _space(state: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Offset and scale (A,) of the model's space: differences to the state, as in pi0."""
        arm = np.arange(len(state)) < len(state) - 1
        return np.where(arm, state, 0.0), np.where(arm, SCALE, 1.0)

    def _normalised(self, previous: Committed, state: FloatArray) -> FloatArray:
        offset, scale = self._space(state)
        return (with_probes(previous) - offset) / scale
