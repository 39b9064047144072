"""Sizes of the pi0 model family; frozen, validated once, and free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

from vla_core.errors import CheckpointError

Family: TypeAlias = Literal["pi0", "pi05", "pi0_fast"]
FAMILIES: tuple[Family, ...] = get_args(Family)

#: The camera slots of openpi's models, in the order of the prefix.
IMAGE_KEYS = ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb")
FAST_IMAGE_KEYS = ("base_0_rgb", "base_1_rgb", "wrist_0_rgb")

PALIGEMMA_VOCAB_SIZE = 257152
PROMPT_TOKENS: Mapping[Family, int] = MappingProxyType({"pi0": 48, "pi05": 200, "pi0_fast": 250})
#: Of what one inference holds.
LARGEST = {"action_horizon": 1000, "max_token_len": 4096, "max_decoding_steps": 4096}
MOST_CAMERAS = 16
LARGEST_SIZE = 1 << 24  # no width, length or vocabulary comes near it; keeps a hostile file small


def _require_sizes(config: object) -> None:
    for field in fields(config):  # type: ignore[arg-type]
        value = getattr(config, field.name)
        if isinstance(value, bool) or not isinstance(value, int):
            continue
        largest = LARGEST.get(field.name, LARGEST_SIZE)
        smallest = 2 if field.name == "action_horizon" else 1
        if not smallest <= value <= largest:
            raise CheckpointError(
                "a model size is out of range",
                where=f"{type(config).__name__}.{field.name}",
                found=value,
                allowed=f"{smallest} to {largest}",
            )


def _require(holds: bool, what: str, where: str, found: object) -> None:
    if not holds:
        raise CheckpointError(
            "model sizes do not fit together", where=where, found=found, allowed=what
        )


def _require_image_keys(keys: tuple[str, ...], where: str) -> None:
    named = all(isinstance(key, str) and key for key in keys)
    _require(
        named and 1 <= len(set(keys)) == len(keys) <= MOST_CAMERAS,
        f"1 to {MOST_CAMERAS} different camera slots",
        f"{where}.image_keys",
        keys,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GemmaConfig:
    """Sizes of one Gemma expert."""

    width: int
    depth: int
    mlp_dim: int
    num_heads: int
    num_kv_heads: int
    head_dim: int

    def __post_init__(self) -> None:
        _require_sizes(self)
        _require(self.head_dim % 2 == 0, "an even head_dim", "GemmaConfig", self)
        _require(
            self.num_heads % self.num_kv_heads == 0,
            "num_heads a multiple of num_kv_heads",
            "GemmaConfig",
            self,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SiglipConfig:
    """Sizes of the SigLIP image tower."""

    width: int
    depth: int
    mlp_dim: int
    num_heads: int
    patch_size: int = 14
    image_size: int = 224

    def __post_init__(self) -> None:
        _require_sizes(self)
        _require(
            self.width % self.num_heads == 0, "width a multiple of num_heads", "SiglipConfig", self
        )
        _require(self.image_size >= self.patch_size, "at least one patch", "SiglipConfig", self)

    @property
    def num_tokens(self) -> int:
        """Image tokens per camera; the patch grid leaves no padding (a VALID convolution)."""
        return (self.image_size // self.patch_size) ** 2


#: Named sizes. Source: openpi src/openpi/models/gemma.py and siglip.py.
GEMMA_VARIANTS: Mapping[str, GemmaConfig] = MappingProxyType(
    {
        "gemma_2b": GemmaConfig(
            width=2048, depth=18, mlp_dim=16384, num_heads=8, num_kv_heads=1, head_dim=256
        ),
        "gemma_300m": GemmaConfig(
            width=1024, depth=18, mlp_dim=4096, num_heads=8, num_kv_heads=1, head_dim=256
        ),
        "dummy": GemmaConfig(
            width=64, depth=4, mlp_dim=128, num_heads=8, num_kv_heads=1, head_dim=16
        ),
    }
)
SO400M = SiglipConfig(width=1152, depth=27, mlp_dim=4304, num_heads=16)

_TINY_GEMMA = GemmaConfig(width=64, depth=4, mlp_dim=256, num_heads=4, num_kv_heads=1, head_dim=16)
_TINY_SIGLIP = SiglipConfig(width=64, depth=3, mlp_dim=128, num_heads=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pi0Config:
    """Sizes of a pi0 or (``pi05``) pi0.5 model; the defaults are the released ones.

    Args:
        discrete_state_input: Whether the prompt holds the state; None: in pi0.5 only.
            pi0.5 without it (openpi's pi05_libero) sees no state and has pi0's prompt.
        image_keys: The camera slots in the order of the prefix.
    """

    pi05: bool = False
    action_dim: int = 32
    action_horizon: int = 50
    max_token_len: int = PROMPT_TOKENS["pi0"]
    vocab_size: int = PALIGEMMA_VOCAB_SIZE
    paligemma: GemmaConfig = GEMMA_VARIANTS["gemma_2b"]
    action_expert: GemmaConfig = GEMMA_VARIANTS["gemma_300m"]
    siglip: SiglipConfig = SO400M
    discrete_state_input: bool | None = None
    image_keys: tuple[str, ...] = IMAGE_KEYS

    def __post_init__(self) -> None:
        _require_sizes(self)
        _require_image_keys(self.image_keys, "Pi0Config")
        for name in ("depth", "num_heads", "num_kv_heads", "head_dim"):  # they attend jointly
            pair = getattr(self.paligemma, name), getattr(self.action_expert, name)
            _require(pair[0] == pair[1], f"one {name} for both experts", "Pi0Config", pair)
        _require(
            self.action_expert.width % 2 == 0,
            "an even action_expert.width (sine and cosine of time)",
            "Pi0Config",
            self.action_expert.width,
        )

    @property
    def model_type(self) -> Literal["pi0", "pi05"]:
        return "pi05" if self.pi05 else "pi0"

    @property
    def reads_state_as_text(self) -> bool:
        """Whether the model reads the state as text."""
        return self.pi05 if self.discrete_state_input is None else self.discrete_state_input

    @classmethod
    def full(cls, *, pi05: bool, action_horizon: int = 50) -> Pi0Config:
        """The released sizes."""
        max_token_len = PROMPT_TOKENS["pi05" if pi05 else "pi0"]
        return cls(pi05=pi05, action_horizon=action_horizon, max_token_len=max_token_len)

    @classmethod
    def tiny(cls, *, pi05: bool, vocab_size: int, **sizes: Any) -> Pi0Config:
        """A model that thinks in some tens of milliseconds on a CPU core, for tests and demos."""
        defaults: dict[str, Any] = {
            "max_token_len": PROMPT_TOKENS["pi05" if pi05 else "pi0"],
            "paligemma": _TINY_GEMMA,
            "action_expert": _TINY_GEMMA,
            "siglip": _TINY_SIGLIP,
        }
        return cls(pi05=pi05, vocab_size=vocab_size, **(defaults | sizes))


class FastLayout(str, Enum):
    """Where the generated tokens of pi0-FAST stand, and where they end.

    OPENPI leaves out one position between prompt and answer and ends at the end-of-sequence
    token. LEROBOT puts a second begin-of-sequence token behind the padded prompt, counts on
    without a gap, and ends at ``|``.
    """

    OPENPI = "openpi"
    LEROBOT = "lerobot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pi0FastConfig:
    """Sizes of a pi0-FAST model: PaliGemma alone, which writes actions as text tokens.

    Args:
        action_dim: Of the actions in the text; they are not padded.
        max_decoding_steps: Tokens that one inference generates at most.
        image_keys: The camera slots in the order of the prefix.
    """

    action_dim: int = 32
    action_horizon: int = 32
    max_token_len: int = PROMPT_TOKENS["pi0_fast"]
    vocab_size: int = PALIGEMMA_VOCAB_SIZE
    paligemma: GemmaConfig = GEMMA_VARIANTS["gemma_2b"]
    siglip: SiglipConfig = SO400M
    image_keys: tuple[str, ...] = FAST_IMAGE_KEYS
    max_decoding_steps: int = 256
    layout: FastLayout = FastLayout.OPENPI

    def __post_init__(self) -> None:
        _require_sizes(self)
        _require_image_keys(self.image_keys, "Pi0FastConfig")

    @property
    def model_type(self) -> Literal["pi0_fast"]:
        return "pi0_fast"

    @property
    def reads_state_as_text(self) -> bool:
        """Whether the model reads the state as text; here always."""
        return True

    @classmethod
    def tiny(cls, *, vocab_size: int, **sizes: Any) -> Pi0FastConfig:
        """A model that thinks in tenths of a second on a CPU core, for tests and demos."""
        defaults: dict[str, Any] = {"paligemma": _TINY_GEMMA, "siglip": _TINY_SIGLIP}
        return cls(vocab_size=vocab_size, **(defaults | sizes))


ModelConfig: TypeAlias = Pi0Config | Pi0FastConfig
