"""A policy that runs a model of the pi0 family in this process.

Shape letters: H horizon, A action dims of the robot, D action dims of the model, S state dims.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from vla_core.errors import PolicyError
from vla_core.rtc import RTC_OFF, Committed, Rtc, RtcMode
from vla_core.transforms import Data, Group, apply
from vla_core.types import FloatArray, Observation
from vla_policy.models.inputs import ModelInputs
from vla_policy.models.pi0 import Pi0
from vla_policy.models.pi0_fast import EOS, Pi0Fast
from vla_policy.models.rtc import Guidance, sample_committed, sample_guided
from vla_policy.policies.splice import Splice, check_round_trip, splice, with_probes
from vla_policy.robots.robot import Robot


class LocalPolicy:
    """Observation in contract units -> model -> action chunk in contract units.

    Args:
        model: On its device, in evaluation mode.
        robot: The platform.
        steps: See `vla_policy.policies.pipeline`.
        num_steps: Steps of the sampler of flow models.
        stop_token: Where pi0-FAST ends.
        seed: Of the noise; `reset` starts it again, so that an episode can be repeated.
        rtc: How a chunk continues the previous one.

    Raises:
        PolicyError: `rtc` is on, and the model or the robot's adapter cannot continue a chunk.
    """

    needs_prompt = True

    def __init__(
        self,
        model: Pi0 | Pi0Fast,
        *,
        robot: Robot,
        steps: Group,
        num_steps: int = 10,
        stop_token: int = EOS,
        seed: int = 0,
        rtc: Rtc = RTC_OFF,
    ) -> None:
        self._model, self._robot, self._steps = model, robot, steps
        self._num_steps, self._stop_token, self._seed = num_steps, stop_token, seed
        self._rtc = rtc
        if rtc.mode is not RtcMode.OFF:
            _check_flow(model)
            check_round_trip(robot, steps)
        self.reset()

    @property
    def action_names(self) -> tuple[str, ...]:
        return self._robot.action_names

    @property
    def horizon(self) -> int:
        return self._model.config.action_horizon

    def reset(self) -> None:
        """Start the noise again."""
        self._random = np.random.default_rng(self._seed)

    def inputs(self, observation: Observation) -> Data:
        """What the model sees of an observation, without the batch dimension."""
        return apply(self._steps.inputs, self._data(observation))

    def infer(
        self,
        observation: Observation,
        *,
        noise: npt.NDArray[np.floating] | None = None,
        previous: Committed | None = None,
    ) -> FloatArray:
        """One chunk, (H, A) float64 in contract units; see `Policy.infer`."""
        spliced = None
        if previous is None or self._rtc.mode is RtcMode.OFF:
            inputs = self.inputs(observation)
        else:
            data = self._data(observation) | {"actions": with_probes(previous)}
            inputs = apply(self._steps.inputs, data)
            spliced = splice(inputs["actions"], previous, self._rtc, self.horizon)
        with torch.no_grad():  # not inference_mode: guidance differentiates
            outputs = {"state": inputs["state"]} | self._think(inputs, noise, spliced)
        actions = np.asarray(apply(self._steps.outputs, outputs)["actions"], np.float64)
        if not np.isfinite(actions).all():
            raise PolicyError("the model's actions are not finite", where="infer")
        return actions

    def _data(self, observation: Observation) -> Data:
        shape, missing = observation.state.shape, set(self._robot.required_cameras)
        missing -= set(observation.images)
        if shape != (self._robot.state_dim,) or missing:
            raise PolicyError(
                f"the observation does not fit robot {self._robot.name}",
                found=f"state {shape}, images {sorted(observation.images)}",
                allowed=f"state ({self._robot.state_dim},), images {self._robot.required_cameras}",
            )
        data: Data = {"state": observation.state, "images": observation.images}
        return data | ({"prompt": observation.prompt} if observation.prompt.strip() else {})

    def _think(
        self, inputs: Data, noise: npt.NDArray[np.floating] | None, spliced: Splice | None
    ) -> Data:
        """Normalised actions of a flow model, or the tokens that pi0-FAST writes."""
        model, batch = self._model, self._batch(inputs)
        if isinstance(model, Pi0):
            sample = self._sample(model, batch, self._noise(noise), spliced)
            return {"actions": sample[0].float().cpu().numpy()}
        written = model.generate(batch, stop_token=self._stop_token)
        return {"tokens": written.tokens[0, : written.steps].cpu().numpy()}

    def _sample(
        self, model: Pi0, batch: ModelInputs, noise: torch.Tensor, spliced: Splice | None
    ) -> torch.Tensor:
        """(1, H, D), free or continuing."""
        if spliced is None:
            return model.sample_actions(batch, noise, self._num_steps)
        target = torch.from_numpy(spliced.target).to(model.device)
        if self._rtc.mode is RtcMode.TRAINED:
            committed = target[: spliced.delay_steps]
            return sample_committed(model, batch, noise, self._num_steps, committed)
        guidance = Guidance(
            target=target,
            weights=torch.from_numpy(spliced.weights).to(model.device),
            max_weight=self._rtc.max_guidance,
            vjp=self._rtc.vjp,
        )
        return sample_guided(model, batch, noise, self._num_steps, guidance)

    def _noise(self, noise: npt.NDArray[np.floating] | None) -> torch.Tensor:
        shape = (self._model.config.action_horizon, self._model.config.action_dim)
        if noise is None:
            noise = self._random.standard_normal(shape, np.float32)
        if noise.shape != shape:
            raise PolicyError("noise of another shape", found=noise.shape, allowed=shape)
        return torch.tensor(noise[None], dtype=torch.float32, device=self._model.device)

    def _batch(self, inputs: Data) -> ModelInputs:
        seen = [slot for slot, present in inputs["image_mask"].items() if present]
        return ModelInputs.from_numpy(
            images={slot: inputs["image"][slot][None] for slot in seen},
            image_masks={slot: np.ones(1, bool) for slot in seen},
            tokens=inputs["tokenized_prompt"][None],
            token_mask=inputs["tokenized_prompt_mask"][None],
            state=inputs["state"][None],
            device=self._model.device,
        )


def _check_flow(model: Pi0 | Pi0Fast) -> None:
    if isinstance(model, Pi0Fast):
        raise PolicyError(
            "pi0-FAST writes tokens: there is no flow that could continue a chunk",
            where="rtc",
            found="on",
            allowed="off, or a model of pi0 or pi0.5",
        )
