"""Steps between a robot's observation and a model's tensors, and from its output back to actions.

Each step is a small frozen dataclass that maps a dictionary to a new one and leaves its input as
it was. A `Group` holds the steps in and the steps out, and each `push` nests inside what is there.

Keys: `state` (S,), `actions` (H, A), `image` {slot: (rows, columns, 3) uint8},
`image_mask` {slot: bool}, `prompt` str, `tokenized_prompt` (L,) int32,
`tokenized_prompt_mask` (L,) bool.
Shape letters: S state dims, H horizon, A action dims, L prompt length in tokens.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from vla_core.errors import CheckpointError, PolicyError
from vla_core.images import resize_with_pad
from vla_core.stats import NormStats

Data: TypeAlias = dict[str, Any]
Array: TypeAlias = npt.NDArray[Any]

EPSILON = 1e-6
"""Added to each span, as openpi does; a checkpoint's numbers depend on it."""

MIN_SPAN = 1e-4
"""Smallest believable span of a dimension in its own unit (rad, m, or a share of the stroke).

A dimension that stood still in the training data has a span of about 0, and a deviation of
0.01 rad would reach the model as 1e4. Such a span is raised to this value, which makes that 1e2,
with a warning. Any wider span is used as it is, bit for bit.
"""

_log = logging.getLogger(__name__)


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
    """Scale each quantity that has statistics; statistics longer than the quantity are cut.

    z-score: `(x - mean) / (std + 1e-6)`.
    quantile: `(x - q01) / (q99 - q01 + 1e-6) * 2 - 1`, not clipped.

    Args:
        stats: Statistics by key.
        quantiles: Use the quantiles (pi0.5, FAST) instead of mean and deviation (pi0).
        strict: Refuse data that lacks a key of the statistics.
        min_span: See `MIN_SPAN`; 0 is openpi's plain formula.

    Source: openpi, src/openpi/transforms.py.
    """

    stats: Mapping[str, NormStats]
    quantiles: bool
    strict: bool = False
    min_span: float = MIN_SPAN

    def __post_init__(self) -> None:
        _check_quantiles(self.stats, self.quantiles)

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        _check_keys(self.stats, data, self.strict)
        return {**data, **{k: self._scale(k, data[k]) for k in self.stats if k in data}}

    def _scale(self, key: str, x: Array) -> Array:
        low, span = _low_and_span(key, self.stats[key], x.shape[-1], self.quantiles, self.min_span)
        scaled = (x - low) / (span + EPSILON)
        return scaled * 2.0 - 1.0 if self.quantiles else scaled


@dataclass(frozen=True, slots=True, kw_only=True)
class Unnormalize:
    """Inverse of `Normalize`; dimensions beyond the statistics pass.

    Every key of the statistics must be in the data. Arguments as `Normalize`.
    """

    stats: Mapping[str, NormStats]
    quantiles: bool
    min_span: float = MIN_SPAN

    def __post_init__(self) -> None:
        _check_quantiles(self.stats, self.quantiles)

    def __call__(self, data: Mapping[str, Any], /) -> Data:
        _check_keys(self.stats, data, strict=True)
        return {**data, **{k: self._scale(k, data[k]) for k in self.stats}}

    def _scale(self, key: str, x: Array) -> Array:
        low, span = _low_and_span(key, self.stats[key], x.shape[-1], self.quantiles, self.min_span)
        head, tail = x[..., : low.size], x[..., low.size :]
        if self.quantiles:
            return np.concatenate([(head + 1.0) / 2.0 * (span + EPSILON) + low, tail], axis=-1)
        # openpi pads the deviation with 1 and adds epsilon to that too.
        tail = tail.astype(np.float64) * (1.0 + EPSILON)  # numpy 1 would stay in float32
        return np.concatenate([head * (span + EPSILON) + low, tail], axis=-1)


def _low_and_span(
    key: str, stats: NormStats, dims: int, quantiles: bool, min_span: float
) -> tuple[Array, Array]:
    """Offset and span of the first `dims` dimensions, with the floor under the span."""
    if quantiles and stats.q01 is not None and stats.q99 is not None:
        low, span = stats.q01[:dims], stats.q99[:dims] - stats.q01[:dims]
    else:
        low, span = stats.mean[:dims], stats.std[:dims]
    narrow = np.abs(span) < min_span
    if narrow.any():
        _warn_narrow(key, tuple(np.flatnonzero(narrow).tolist()), min_span)
        span = np.where(narrow, min_span, span)
    return low, span


@functools.lru_cache(maxsize=64)  # once per set of dimensions, not once per inference
def _warn_narrow(key: str, dims: tuple[int, ...], min_span: float) -> None:
    names = ",".join(f"{key}[{dim}]" for dim in dims)
    _log.warning(
        "norm_stats=narrow dims=%s raised_to=%g reason=stood_still_in_training", names, min_span
    )


def _check_quantiles(stats: Mapping[str, NormStats], quantiles: bool) -> None:
    missing = [key for key, entry in stats.items() if entry.q01 is None or entry.q99 is None]
    if quantiles and missing:
        raise CheckpointError(
            "this model needs quantiles and the statistics have none",
            where="norm_stats.json",
            found=f"no q01 or q99 for {', '.join(missing)}",
            allowed="q01 and q99 for each quantity",
            fix="compute the statistics again",
        )


def _check_keys(stats: Mapping[str, NormStats], data: Mapping[str, Any], strict: bool) -> None:
    missing = [key for key in stats if key not in data]
    if strict and missing:
        raise PolicyError(
            "data lacks quantities of the statistics", found=list(data), allowed=list(stats)
        )


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
        images = {k: resize_with_pad(v, self.height, self.width) for k, v in data["image"].items()}
        return {**data, "image": images}


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
