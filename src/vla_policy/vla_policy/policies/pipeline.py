"""Everything around a model: from an observation in contract units to its inputs, and back.

What a checkpoint's framework does is in its `Processing`; what a robot needs is in its adapter.
This file puts the steps in order.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_core.errors import CheckpointError
from vla_core.scaling import Scaling
from vla_core.stats import NormStats
from vla_core.transforms import (
    AbsoluteActions,
    Data,
    DeltaActions,
    Group,
    InjectDefaultPrompt,
    Normalize,
    PadStatesAndActions,
    PromptTokenizer,
    ResizeImages,
    ResizeImagesLerobot,
    StandardizeImages,
    StretchImages,
    Tokenize,
    Transform,
    Unnormalize,
)
from vla_policy.checkpoints.stored import StoredCheckpoint
from vla_policy.models.config import ModelConfig, Pi0Config, Pi0FastConfig
from vla_policy.processing import Processing, Resize
from vla_policy.robots.plain import NAME as PLAIN
from vla_policy.robots.robot import Robot
from vla_policy.tokenizers.fast import FastTokenizer
from vla_policy.tokenizers.fast_codec import FastCodec
from vla_policy.tokenizers.paligemma import PaligemmaTokenizer, find_tokenizer

PADDING = 1e-6  # what is below it was not measured

_log = logging.getLogger(__name__)


def steps_for(
    stored: StoredCheckpoint,
    robot: Robot,
    tokenizer: PaligemmaTokenizer | FastTokenizer,
    *,
    asset_id: str = "",
    default_prompt: str = "",
) -> Group:
    """All steps between a robot and a checkpoint's model.

    Args:
        stored: The checkpoint.
        robot: The platform.
        tokenizer: See `make_tokenizer`.
        asset_id: Statistics in the checkpoint; empty: see `choose_statistics`.
        default_prompt: Task for observations that name none; empty: those are refused.

    Raises:
        CheckpointError: Sizes, cameras or statistics do not fit the robot.
    """
    _check_dims(stored, robot)
    return assemble(
        robot.transforms(fast=isinstance(stored.config, Pi0FastConfig)),
        config=stored.config,
        processing=stored.processing,
        stats=choose_statistics(stored, robot, asset_id),
        tokenizer=tokenizer,
        default_prompt=default_prompt,
    )


def assemble(
    robot: Group,
    *,
    config: ModelConfig,
    processing: Processing,
    stats: Mapping[str, NormStats],
    tokenizer: PromptTokenizer,
    default_prompt: str = "",
) -> Group:
    """Robot, relative actions, normalise, prompt, resize, tokenise, pad; and back.

    Source: openpi, src/openpi/policies/policy_config.py and src/openpi/training/config.py.
    """
    if (mask := processing.relative_actions) is not None:
        robot = robot.push(inputs=[DeltaActions(mask)], outputs=[AbsoluteActions(mask)])
    scale: dict[str, Any] = {
        "stats": stats,
        "scaling": processing.scaling,
        "formula": processing.formula,
    }
    inputs: list[Transform] = [Normalize(**scale)]
    outputs: list[Transform] = [Unnormalize(**scale)]
    if default_prompt.strip():
        inputs.append(InjectDefaultPrompt(default_prompt))
    inputs += _image_steps(processing, config)
    inputs.append(Tokenize(tokenizer=tokenizer, discrete_state=processing.prompt.reads_state))
    if isinstance(config, Pi0Config):
        inputs.append(PadStatesAndActions(config.action_dim))
    elif isinstance(tokenizer, FastTokenizer):
        outputs.insert(0, ExtractFastActions(tokenizer=tokenizer, config=config))
    return robot.push(inputs=inputs, outputs=outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractFastActions:
    """Generated tokens become normalised actions (H, A); undecodable ones are a PolicyError."""

    tokenizer: FastTokenizer
    config: Pi0FastConfig

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        actions = self.tokenizer.actions(
            data["tokens"],
            horizon=self.config.action_horizon,
            action_dim=self.config.action_dim,
        )
        return {"state": data["state"], "actions": actions}


def statistics_name(stored: StoredCheckpoint, robot: Robot, asset_id: str = "") -> str:
    """The one that is given, else the only one that there is, else the robot's own."""
    found = stored.norm_stats
    return asset_id or (next(iter(found)) if len(found) == 1 else robot.asset_id)


def choose_statistics(
    stored: StoredCheckpoint, robot: Robot, asset_id: str = ""
) -> dict[str, NormStats]:
    """Statistics for a robot, cut to its size; files may be padded to the model's.

    Those of the data trained on win: a checkpoint that has one set was trained on it, whatever it
    is called. Of several, as base models have them, the robot's own is taken.

    Raises:
        CheckpointError: There are none of that name, or they do not fit.
    """
    found, name = stored.norm_stats, statistics_name(stored, robot, asset_id)
    if name not in found:
        raise CheckpointError(
            "the checkpoint has no normalisation statistics of this name",
            where=str(stored.path),
            found=name,
            allowed=", ".join(sorted(found)) or "nothing, for it has none",
            fix="set asset_id to one of those that it has, if computed on this robot's data",
        )
    _log.info("norm_stats=%s of=%s robot=%s", name, stored.path, robot.name)
    dims = {"state": robot.model_state_dim, "actions": robot.model_action_dim}
    for key, scaling in stored.processing.scaling.items():
        if scaling is Scaling.IDENTITY:
            continue
        size = found[name][key].mean.size if key in found[name] else "none"
        if size not in (dims[key], stored.config.action_dim):
            raise CheckpointError(
                f"the normalisation statistics do not fit robot {robot.name}",
                where=f"{stored.path}, {name}, {key}",
                found=size,
                allowed=f"{dims[key]}, or {stored.config.action_dim} (padded)",
                fix="use the statistics of the data that the model was trained on",
            )
        _report_cut(f"{name}.{key}", found[name][key], dims[key])
    return {key: found[name][key].cut(dims[key]) for key in dims if key in found[name]}


def _report_cut(where: str, stats: NormStats, dims: int) -> None:
    """Padding has mean 0 and deviation 0 or 1; anything else is another robot's."""
    mean, std = stats.mean[dims:], stats.std[dims:]
    wide = (np.abs(mean) > PADDING) | ((std > PADDING) & (np.abs(std - 1) > PADDING))
    if wide.any():
        _log.warning(
            "norm_stats=cut of=%s dims=%d used=%d reason=perhaps_of_another_robot",
            where,
            dims + int(np.flatnonzero(wide)[-1]) + 1,
            dims,
        )


def make_tokenizer(stored: StoredCheckpoint) -> PaligemmaTokenizer | FastTokenizer:
    """The tokenizers beside the weights, in the checkpoint's format of prompts.

    Raises:
        CheckpointError: One is missing, damaged, or has ids that the model does not know.
    """
    config, processing = stored.config, stored.processing
    text = PaligemmaTokenizer(
        stored.tokenizer or find_tokenizer(stored.path),
        config.max_token_len,
        prompt_format=processing.prompt,
        state_dims=processing.prompt_state_dims,
    )
    if text.vocab_size > config.vocab_size:
        raise CheckpointError(
            "the tokenizer has ids that the model does not know",
            where=str(stored.path),
            found=text.vocab_size,
            allowed=f"at most {config.vocab_size}",
            fix="use the tokenizer that the model was trained with",
        )
    if not isinstance(config, Pi0FastConfig):
        return text
    if stored.fast_tokenizer is None:
        raise CheckpointError(
            "no FAST action tokenizer",
            where=str(stored.path / "fast_tokenizer"),
            found="no folder",
            allowed="tokenizer.json and processor_config.json",
            fix="copy there those that it was trained with; openpi: physical-intelligence/fast",
        )
    return FastTokenizer(text, FastCodec.load(stored.fast_tokenizer), layout=config.layout)


def _image_steps(processing: Processing, config: ModelConfig) -> list[Transform]:
    size = {"height": config.siglip.image_size, "width": config.siglip.image_size}
    resizes: dict[Resize, Transform] = {
        Resize.OPENPI: ResizeImages(**size),
        Resize.LEROBOT: ResizeImagesLerobot(**size),
        Resize.LEROBOT_0_4: ResizeImagesLerobot(**size, padding=-3.0),
        Resize.FLUXVLA: StretchImages(**size),
    }
    steps: list[Transform] = [resizes[processing.resize]]
    if processing.image_mean_std is not None:
        mean, std = processing.image_mean_std
        steps.append(StandardizeImages(mean=mean, std=std))
    return steps


def _check_dims(stored: StoredCheckpoint, robot: Robot) -> None:
    """A flow model pads both; FAST writes exactly the robot's actions."""
    config = stored.config
    exact = isinstance(config, Pi0FastConfig)
    processing = stored.processing
    trained = processing.state_dims or robot.state_dim, processing.action_dims or robot.action_dim
    if robot.name == PLAIN and trained != (robot.state_dim, robot.action_dim):
        raise CheckpointError(
            "the checkpoint was trained with other dimensions than the contract's",
            where=str(stored.path),
            found=f"contract: state {robot.state_dim}, action {robot.action_dim}",
            allowed=f"state {trained[0]}, action {trained[1]}",
            fix="use a contract with the state and action of the data set",
        )
    needed = robot.model_action_dim
    if not exact:
        needed = max(needed, robot.model_state_dim)
    if config.action_dim != needed if exact else config.action_dim < needed:
        raise CheckpointError(
            f"the model {'writes other actions than those of' if exact else 'is too narrow for'}"
            f" robot {robot.name}",
            where=str(stored.path),
            found=f"action_dim {config.action_dim}",
            allowed=needed if exact else f"at least {needed}",
            fix="use a checkpoint that was trained for this robot",
        )
    relative, actions = stored.processing.relative_actions, robot.model_action_dim
    if relative is not None and not len(relative) == actions <= robot.model_state_dim:
        raise CheckpointError(
            f"relative actions do not fit robot {robot.name}",
            where=str(stored.path),
            found=f"{len(relative)} dimensions relative to a state of {robot.model_state_dim}",
            allowed=f"{actions}, each with its own in the state",
            fix="use a checkpoint that was trained for this robot",
        )
