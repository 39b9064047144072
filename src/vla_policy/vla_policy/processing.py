"""What a checkpoint's own framework does between a robot's numbers and the model's.

openpi, LeRobot and FluxVLA run the same model and disagree on everything around it: formulas of
normalisation, prompts, how pictures shrink. A checkpoint is right only with what it was trained
with, so its reader states that here, and `vla_policy.policies.pipeline` carries it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, TypeVar

from vla_core.errors import CheckpointError
from vla_core.scaling import Formula, Scaling
from vla_core.transforms import Rgb as Rgb
from vla_policy.models.config import ModelConfig
from vla_policy.tokenizers.prompts import PromptFormat

MOST_DIMS = 1024  # of a state in a prompt
Choice = TypeVar("Choice", bound=Enum)


class Resize(Enum):
    """How a picture is brought to the model's size."""

    OPENPI = "padded; Pillow's bilinear filter on uint8, averaging over what falls into a pixel"
    LEROBOT = "padded; bilinear on floats, without averaging"
    LEROBOT_0_4 = "the same with bars of -3, as LeRobot up to 0.4 trained and ran"
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
        state_names: Dimensions of the state in order, where the checkpoint names them.
        action_names: Dimensions of the action, likewise.
        state_dims: Size of the state trained on, where the framework pads it; 0: not stated.
        action_dims: Size of the action, likewise.
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
    state_names: tuple[str, ...] = ()
    action_names: tuple[str, ...] = ()
    state_dims: int = 0
    action_dims: int = 0

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

    def to_json(self) -> dict[str, Any]:
        """The object that `from_json` reads back."""
        values = {size.name: getattr(self, size.name) for size in fields(self)}
        return {
            **values,
            "formula": self.formula.name.lower(),
            "scaling": {key: kind.name.lower() for key, kind in self.scaling.items()},
            "prompt": self.prompt.name.lower(),
            "resize": self.resize.name.lower(),
            "cameras": dict(self.cameras),
        }

    @classmethod
    def from_json(cls, raw: object, where: str) -> Processing:
        """What `to_json` wrote.

        Raises:
            CheckpointError: A key is missing, unknown, or has a value that cannot be.
        """
        names = [size.name for size in fields(cls)]
        if not isinstance(raw, dict) or set(raw) != set(names):
            found = sorted(raw) if isinstance(raw, dict) else type(raw).__name__
            raise _bad(where, found, f"an object with {', '.join(names)}")
        read = _Reader(raw=raw, where=where)
        scaling = read.texts("scaling")
        if set(scaling) != {"state", "actions"}:
            raise _bad(f"{where}, scaling", sorted(scaling), "state, actions")
        return cls(
            formula=_choice(Formula, raw["formula"], f"{where}, formula"),
            scaling={k: _choice(Scaling, v, f"{where}, scaling.{k}") for k, v in scaling.items()},
            prompt=_choice(PromptFormat, raw["prompt"], f"{where}, prompt"),
            prompt_state_dims=read.count("prompt_state_dims"),
            resize=_choice(Resize, raw["resize"], f"{where}, resize"),
            image_mean_std=read.mean_std("image_mean_std"),
            relative_actions=read.list_of("relative_actions", bool, optional=True),
            robot=read.value("robot", str),
            cameras=read.texts("cameras"),
            state_names=read.list_of("state_names", str) or (),
            action_names=read.list_of("action_names", str) or (),
            state_dims=read.count("state_dims"),
            action_dims=read.count("action_dims"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Values of a JSON object, type-checked."""

    raw: Mapping[str, Any]
    where: str

    def value(self, key: str, kind: type) -> Any:
        if type(self.raw[key]) is not kind:
            raise _bad(f"{self.where}, {key}", repr(self.raw[key]), kind.__name__)
        return self.raw[key]

    def count(self, key: str) -> int:
        if not 0 <= self.value(key, int) <= MOST_DIMS:
            raise _bad(f"{self.where}, {key}", self.raw[key], f"0 to {MOST_DIMS}")
        return int(self.raw[key])

    def texts(self, key: str) -> dict[str, str]:
        if not all(isinstance(text, str) for text in self.value(key, dict).values()):
            raise _bad(f"{self.where}, {key}", self.raw[key], "an object of texts")
        return dict(self.raw[key])

    def list_of(self, key: str, kind: type, *, optional: bool = False) -> tuple[Any, ...] | None:
        if optional and self.raw[key] is None:
            return None
        if not all(type(item) is kind for item in self.value(key, list)):
            raise _bad(f"{self.where}, {key}", self.raw[key], f"a list of {kind.__name__}")
        return tuple(self.raw[key])

    def mean_std(self, key: str) -> tuple[Rgb, Rgb] | None:
        if self.raw[key] is None:
            return None
        rows = self.value(key, list)
        numbers = all(
            isinstance(row, list)
            and len(row) == 3
            and all(type(x) in (int, float) and abs(x) < 1e6 for x in row)
            for row in rows
        )
        if len(rows) != 2 or not numbers or min(rows[1]) <= 0:
            raise _bad(f"{self.where}, {key}", rows, "[[R, G, B] means, [R, G, B] deviations]")
        return (*map(tuple, rows),)  # type: ignore[return-value]


def _choice(kind: type[Choice], name: object, where: str) -> Choice:
    for member in kind:
        if name == member.name.lower():
            return member
    raise _bad(where, repr(name), ", ".join(member.name.lower() for member in kind))


def _bad(where: str, found: object, allowed: str) -> CheckpointError:
    return CheckpointError(
        "a description of processing cannot be read",
        where=where,
        found=found,
        allowed=allowed,
        fix="take the file that was written with the weights",
    )
