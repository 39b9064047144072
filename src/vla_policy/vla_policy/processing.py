"""What a checkpoint's own framework does between a robot's numbers and the model's.

openpi, LeRobot and FluxVLA run the same model and disagree on everything around it: formulas of
normalisation, prompts, how pictures shrink. A checkpoint is right only with what it was trained
with, so its reader states that here, and `vla_policy.policies.local` carries it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from vla_core.scaling import Formula, Scaling
from vla_policy.models.config import ModelConfig
from vla_policy.tokenizers.prompts import PromptFormat

Rgb = tuple[float, float, float]


class Resize(Enum):
    """How a picture is brought to the model's size."""

    OPENPI = "padded; Pillow's bilinear filter on uint8, averaging over what falls into a pixel"
    LEROBOT = "padded; bilinear on floats, without averaging"
    FLUXVLA = "stretched; bilinear on uint8, without averaging"


@dataclass(frozen=True, slots=True, kw_only=True)
class Processing:
    """One framework's ways.

    Args:
        formula: Of normalisation.
        scaling: By quantity (``state``, ``actions``).
        prompt: How the task, and for some models the state, becomes tokens.
        prompt_state_dims: Zeros behind the state in the prompt; see `prompt_texts`.
        resize: How pictures shrink.
        image_mean_std: Mean and deviation per channel on 0..255; None: x / 255 * 2 - 1.
        relative_actions: Dimensions of the action that the model predicts relative to the state,
            where the framework does that itself instead of the robot's adapter.
        robot: Adapter whose numbers the model was trained on; empty: the contract's.
        cameras: Contract's camera to the model's slot, where they are not the adapter's.
    """

    formula: Formula
    scaling: Mapping[str, Scaling]
    prompt: PromptFormat
    prompt_state_dims: int = 0
    resize: Resize = Resize.OPENPI
    image_mean_std: tuple[Rgb, Rgb] | None = None
    relative_actions: tuple[bool, ...] | None = None
    robot: str = ""
    cameras: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def openpi(cls, config: ModelConfig) -> Processing:
        """openpi's ways with a model of this kind.

        Source: openpi src/openpi/training/config.py (ModelTransformFactory, DataConfigFactory).
        """
        prompts = {
            "pi0": PromptFormat.PI0,
            "pi05": PromptFormat.PI05,
            "pi0_fast": PromptFormat.FAST,
        }
        prompt = prompts[config.model_type]
        if prompt is PromptFormat.PI05 and not config.reads_state_as_text:
            prompt = PromptFormat.PI0
        scaling = Scaling.Z_SCORE if config.model_type == "pi0" else Scaling.QUANTILES
        return cls(
            formula=Formula.OPENPI,
            scaling={"state": scaling, "actions": scaling},
            prompt=prompt,
        )
