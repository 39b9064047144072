"""Steps between a robot's observation and a model's tensors, and from its output back to actions.

Each step is a small frozen dataclass that maps a dictionary to a new one and leaves its input as
it was. A `Group` holds the steps in and the steps out, and each `push` nests inside what is there.

Keys: `state` (S,), `actions` (H, A), `image` {slot: (rows, columns, 3) uint8, or
float32 in the model's range},
`image_mask` {slot: bool}, `prompt` str, `tokenized_prompt` (L,) int32,
`tokenized_prompt_mask` (L,) bool.
Shape letters: S state dims, H horizon, A action dims, L prompt length in tokens.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from vla_core.errors import PolicyError
from vla_core.images import (
    as_uint8_hwc,
    center_crop,
    resize_with_pad,
    resize_with_pad_lerobot,
    standardize,
    stretch,
)
from vla_core.scaling import (
    MIN_SPAN,
    OPENPI_EPSILON,
    check_statistics,
    low_and_span,
    normalize,
    unnormalize,
)
from vla_core.scaling import Formula as Formula
from vla_core.scaling import Scaling as Scaling
from vla_core.stats import NormStats

Data: TypeAlias = dict[str, Any]
Array: TypeAlias = npt.NDArray[Any]
Rgb: TypeAlias = tuple[float, float, float]


class Transform(Protocol):
    """One step. It never changes the dictionary or the arrays that it is given."""

    def __call__(self, data: Mapping[str, Any], /) -> Data: ...


class PromptTokenizer(Protocol):
    """Text, for some models with the normalised state (S,), to ids (L,) int32 and mask (L,)."""

    def tokenize(self, prompt: str, state: Array | None) -> tuple[Array, Array]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Steps towards the model and steps back from it."""

    inputs: tuple[Transform, ...] = ()
    outputs: tuple[Transform, ...] = ()

    def push(
        self, *, inputs: Iterable[Transform] = (), outputs: Iterable[Transform] = ()
    ) -> Group:
        """Add steps nearer to the model: the last ones in, the first ones out."""
        return Group(inputs=(*self.inputs, *inputs), outputs=(*outputs, *self.outputs))


def apply(steps: Iterable[Transform], data: Mapping[str, Any]) -> Data:
    """Run steps in order."""
    return functools.reduce(lambda current, step: step(current), steps, dict(data))


def bool_mask(*runs: int) -> tuple[bool, ...]:
    """Mask from run lengths, negative for False: `bool_mask(2, -1)` is `(True, True, False)`."""
    return tuple(run > 0 for run in runs for _ in range(abs(run)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalize:
    """Scale each quantity; statistics longer than the quantity are cut.

    Args:
        stats: Statistics by key.
        scaling: What is done with each key; other keys pass.
        formula: Whose arithmetic; see `Formula`.
        strict: Refuse data that lacks a key of `scaling`.
        min_span: See `MIN_SPAN`; 0 is the plain formula.

    Raises:
        CheckpointError: At construction, where statistics that a scaling needs are missing.
    """

    stats: Mapping[str, NormStats]
    scaling: Mapping[str, Scaling]
    formula: Formula
    strict: bool = False
    min_span: float = MIN_SPAN

    def __post_init__(self) -> None:
        check_statistics(self.stats, self.scaling)

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        keys = _scaled_keys(self.scaling, data, self.strict)
        return {**data, **{key: self._scale(key, data[key]) for key in keys}}

    def _scale(self, key: str, x: Array) -> Array:
        scaling = self.scaling[key]
        low, span = low_and_span(key, self.stats[key].cut(x.shape[-1]), scaling, self.min_span)
        return normalize(x, low, span, scaling, self.formula)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unnormalize:
    """Inverse of `Normalize`; dimensions beyond the statistics pass.

    Every key of `scaling` must be in the data. Arguments as `Normalize`.
    """

    stats: Mapping[str, NormStats]
    scaling: Mapping[str, Scaling]
    formula: Formula
    min_span: float = MIN_SPAN

    def __post_init__(self) -> None:
        check_statistics(self.stats, self.scaling)

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        keys = _scaled_keys(self.scaling, data, strict=True)
        return {**data, **{key: self._scale(key, data[key]) for key in keys}}

    def _scale(self, key: str, x: Array) -> Array:
        scaling = self.scaling[key]
        low, span = low_and_span(key, self.stats[key].cut(x.shape[-1]), scaling, self.min_span)
        head, tail = x[..., : low.size], x[..., low.size :]
        if scaling is Scaling.Z_SCORE and self.formula is Formula.OPENPI:
            # openpi pads the deviation with 1 and adds epsilon to that too.
            tail = tail.astype(np.float64) * (1.0 + OPENPI_EPSILON)  # 1 would stay in float32
        back = unnormalize(head, low, span, scaling, self.formula)
        return np.concatenate([back, tail], axis=-1)


def _scaled_keys(
    scaling: Mapping[str, Scaling], data: Mapping[str, Any], strict: bool
) -> tuple[str, ...]:
    """Keys of the data that are scaled."""
    keys = tuple(key for key, kind in scaling.items() if kind is not Scaling.IDENTITY)
    if strict and not set(keys) <= set(data):
        raise PolicyError(
            "data lacks quantities of the statistics", found=list(data), allowed=keys
        )
    return tuple(key for key in keys if key in data)


@dataclass(frozen=True, slots=True)
class DeltaActions:
    """Masked action dimensions become differences to the current state, for the whole chunk."""

    mask: tuple[bool, ...]

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        return _shift_actions(data, self.mask, -1)


@dataclass(frozen=True, slots=True)
class AbsoluteActions:
    """Inverse of `DeltaActions`."""

    mask: tuple[bool, ...]

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        return _shift_actions(data, self.mask, +1)


def _shift_actions(data: Mapping[str, Any], mask: tuple[bool, ...], sign: int) -> Data:
    if "actions" not in data:
        return dict(data)
    dims = len(mask)
    actions = np.array(data["actions"])
    actions[..., :dims] += sign * np.where(mask, data["state"][..., :dims], 0)[..., None, :]
    return {**data, "actions": actions}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeImages:
    """Every image to the model's size, black around it."""

    height: int
    width: int

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        return _with_images(data, lambda v: resize_with_pad(v, self.height, self.width))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeImagesLerobot:
    """The same in LeRobot's arithmetic; the result is float32 in [-1, 1].

    Args:
        height: Rows.
        width: Columns.
        padding: See `vla_core.images.resize_with_pad_lerobot`.
    """

    height: int
    width: int
    padding: float = -1.0

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        return _with_images(
            data,
            lambda v: resize_with_pad_lerobot(v, self.height, self.width, padding=self.padding),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StretchImages:
    """Every image to the model's size and shape, as FluxVLA does."""

    height: int
    width: int

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        return _with_images(data, lambda v: stretch(v, self.height, self.width))


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardizeImages:
    """Pixels to z-scores, float32, with mean and deviation per channel on 0..255."""

    mean: Rgb
    std: Rgb

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        return _with_images(data, lambda v: standardize(v, self.mean, self.std))


@dataclass(frozen=True, slots=True, kw_only=True)
class CenterCrop:
    """The middle square of some cameras, before or after they have become the model's slots.

    Args:
        cameras: Parts of the names of those that are cropped.
        size: Side of the square, pixels; None takes the shorter side.

    Source: anredlich/openpi, src/openpi/transforms.py (CenterCropImages).
    """

    cameras: tuple[str, ...]
    size: int | None = None

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        keys = [key for key in ("images", "image") if key in data]
        return {**data, **{key: self._crop(data[key]) for key in keys}}

    def _crop(self, images: Mapping[str, Array]) -> dict[str, Array]:
        return {
            name: center_crop(as_uint8_hwc(image), self.size)
            if any(part in name for part in self.cameras)
            else image
            for name, image in images.items()
        }


def _with_images(data: Mapping[str, Any], change: Callable[[Array], Array]) -> Data:
    return {**data, "image": {slot: change(image) for slot, image in data["image"].items()}}


@dataclass(frozen=True, slots=True)
class InjectDefaultPrompt:
    """The task where the observation names none."""

    prompt: str

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        return {"prompt": self.prompt, **data}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenize:
    """The prompt, with the state for models that read it as text, becomes ids.

    It stands before padding: the state that is read has the robot's dimensions.
    """

    tokenizer: PromptTokenizer
    discrete_state: bool

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        rest = dict(data)
        if (prompt := rest.pop("prompt", None)) is None:
            raise PolicyError(
                "no prompt", where="observation", fix="give one by parameter or topic"
            )
        tokens, mask = self.tokenizer.tokenize(
            str(prompt), rest["state"] if self.discrete_state else None
        )
        return {**rest, "tokenized_prompt": tokens, "tokenized_prompt_mask": mask}


@dataclass(frozen=True, slots=True)
class PadStatesAndActions:
    """Zeros behind state and actions, up to the model's dimensions."""

    dims: int

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        return {**data, **{k: self._pad(k, data[k]) for k in ("state", "actions") if k in data}}

    def _pad(self, key: str, x: Array) -> Array:
        if (missing := self.dims - x.shape[-1]) < 0:
            raise PolicyError(
                "more dimensions than the model has",
                where=key,
                found=x.shape[-1],
                allowed=self.dims,
            )
        return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)])
