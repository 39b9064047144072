"""A policy that runs a model of the pi0 family in this process.

Shape letters: H horizon, A action dims of the robot, D action dims of the model, S state dims.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from vla_core.errors import CheckpointError, PolicyError
from vla_core.stats import NormStats
from vla_core.transforms import (
    Data,
    Formula,
    Group,
    InjectDefaultPrompt,
    Normalize,
    PadStatesAndActions,
    PromptTokenizer,
    ResizeImages,
    Scaling,
    Tokenize,
    Unnormalize,
    apply,
)
from vla_core.types import FloatArray, Observation
from vla_policy.checkpoints import LoadedCheckpoint
from vla_policy.models.config import Pi0Config
from vla_policy.models.inputs import ModelInputs
from vla_policy.models.pi0 import Pi0
from vla_policy.robots.robot import Robot
from vla_policy.tokenizers.paligemma import PaligemmaTokenizer, find_tokenizer


class LocalPolicy:
    """Observation in contract units -> model -> action chunk in contract units.

    Args:
        model: On its device, in evaluation mode.
        robot: The platform.
        steps: See `assemble`.
        num_steps: Steps of the sampler.
        seed: Of the noise; `reset` starts it again, so that an episode can be repeated.
    """

    def __init__(
        self, model: Pi0, *, robot: Robot, steps: Group, num_steps: int = 10, seed: int = 0
    ) -> None:
        self._model, self._config = model, model.config
        self._robot, self._steps = robot, steps
        self._num_steps, self._seed = num_steps, seed
        self.reset()

    @classmethod
    def from_checkpoint(
        cls,
        loaded: LoadedCheckpoint,
        *,
        robot: Robot,
        default_prompt: str = "",
        asset_id: str | None = None,
        num_steps: int = 10,
        seed: int = 0,
    ) -> LocalPolicy:
        """Assemble a policy from a checkpoint.

        Args:
            loaded: Model, sizes and statistics.
            robot: The platform.
            default_prompt: Task for observations that name none; empty: those are refused.
            asset_id: Statistics in the checkpoint; None takes the robot's.
            num_steps: Steps of the sampler.
            seed: Of the noise.

        Raises:
            CheckpointError: Sizes, statistics or tokenizer do not fit the robot or the model.
        """
        _check_dims(loaded, robot)
        steps = assemble(
            robot.transforms(),
            config=loaded.config,
            stats=_stats(loaded, robot, robot.asset_id if asset_id is None else asset_id),
            tokenizer=_tokenizer(loaded),
            default_prompt=default_prompt,
        )
        return cls(loaded.model, robot=robot, steps=steps, num_steps=num_steps, seed=seed)

    @property
    def action_names(self) -> tuple[str, ...]:
        return self._robot.action_names

    @property
    def horizon(self) -> int:
        return self._config.action_horizon

    def reset(self) -> None:
        """Start the noise again."""
        self._random = np.random.default_rng(self._seed)

    def infer(
        self, observation: Observation, *, noise: npt.NDArray[np.floating] | None = None
    ) -> FloatArray:
        """One chunk, (H, A) float64 in contract units; see `Policy.infer`."""
        start = self._noise(noise)
        inputs = apply(self._steps.inputs, self._data(observation))
        with torch.inference_mode():
            sample = self._model.sample_actions(self._batch(inputs), start, self._num_steps)
        outputs = {"state": inputs["state"], "actions": sample[0].float().cpu().numpy()}
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

    def _noise(self, noise: npt.NDArray[np.floating] | None) -> torch.Tensor:
        shape = (self._config.action_horizon, self._config.action_dim)
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


def assemble(
    robot: Group,
    *,
    config: Pi0Config,
    stats: Mapping[str, NormStats],
    tokenizer: PromptTokenizer,
    default_prompt: str = "",
) -> Group:
    """All steps in openpi's order: robot, normalise, prompt, resize, tokenise, pad; and back.

    Source: openpi, src/openpi/policies/policy_config.py and src/openpi/training/config.py.
    """
    side = config.siglip.image_size
    kind = Scaling.QUANTILES if config.pi05 else Scaling.Z_SCORE
    scaling = {"state": kind, "actions": kind}
    prompt = [InjectDefaultPrompt(default_prompt)] if default_prompt.strip() else []
    return robot.push(
        inputs=[
            Normalize(stats=stats, scaling=scaling, formula=Formula.OPENPI),
            *prompt,
            ResizeImages(height=side, width=side),
            Tokenize(tokenizer=tokenizer, discrete_state=config.pi05),
            PadStatesAndActions(config.action_dim),
        ],
        outputs=[Unnormalize(stats=stats, scaling=scaling, formula=Formula.OPENPI)],
    )


def _tokenizer(loaded: LoadedCheckpoint) -> PaligemmaTokenizer:
    tokenizer = PaligemmaTokenizer(find_tokenizer(loaded.path), loaded.config.max_token_len)
    if tokenizer.vocab_size > loaded.config.vocab_size:
        raise CheckpointError(
            "the tokenizer has ids that the model does not know",
            where=str(loaded.path),
            found=tokenizer.vocab_size,
            allowed=f"at most {loaded.config.vocab_size}",
            fix="use the tokenizer that the model was trained with",
        )
    return tokenizer


def _check_dims(loaded: LoadedCheckpoint, robot: Robot) -> None:
    needed = max(robot.state_dim, robot.action_dim)
    if loaded.config.action_dim < needed:
        raise CheckpointError(
            f"the model is too narrow for robot {robot.name}",
            where=str(loaded.path),
            found=f"action_dim {loaded.config.action_dim}",
            allowed=f"at least {needed}",
            fix="use a checkpoint that was trained for this robot",
        )


def _stats(loaded: LoadedCheckpoint, robot: Robot, asset_id: str) -> Mapping[str, NormStats]:
    """Statistics of one robot, cut to its size; files may be padded to the model's."""
    if asset_id not in loaded.norm_stats:
        raise CheckpointError(
            "the checkpoint has no normalisation statistics of this name",
            where=str(loaded.path / "assets" / asset_id / "norm_stats.json"),
            found=", ".join(sorted(loaded.norm_stats)) or "none",
            allowed=asset_id,
            fix="set asset_id to one of those found if it was computed on this robot's data",
        )
    stats = loaded.norm_stats[asset_id]
    for key, dims in (("state", robot.state_dim), ("actions", robot.action_dim)):
        found = stats[key].mean.size if key in stats else "none"
        if found not in (dims, loaded.config.action_dim):
            raise CheckpointError(
                f"the normalisation statistics do not fit robot {robot.name}",
                where=f"{loaded.path}, {asset_id}, {key}",
                found=found,
                allowed=f"{dims}, or {loaded.config.action_dim} (padded)",
                fix="use the statistics of the data that the model was trained on",
            )
    return {
        "state": stats["state"].cut(robot.state_dim),
        "actions": stats["actions"].cut(robot.action_dim),
    }
