"""The sizes of a model: from ``config.json`` or a recipe, and always compared with the tensors.

openpi's PyTorch files state action_dim, action_horizon, the two variant names and precision; its
JAX files state nothing. This suite writes the sizes themselves (``model_type``, ``max_token_len``,
``vocab_size``, ``paligemma``, ``action_expert``, ``siglip``), so that a model of any size can be
described; where they are given, they win over the names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar

import torch

from vla_core.errors import CheckpointError
from vla_policy.checkpoints.stored import Shapes
from vla_policy.models.build import build_model
from vla_policy.models.config import (
    FAST_IMAGE_KEYS,
    GEMMA_VARIANTS,
    IMAGE_KEYS,
    PROMPT_TOKENS,
    SO400M,
    Family,
    FastLayout,
    GemmaConfig,
    ModelConfig,
    Pi0Config,
    Pi0FastConfig,
    SiglipConfig,
)

PALIGEMMA = "paligemma_with_expert.paligemma."
EXPERT = "paligemma_with_expert.gemma_expert."
TOKEN_EMBEDDING = PALIGEMMA + "model.language_model.embed_tokens.weight"
TIED_EMBEDDING = PALIGEMMA + "lm_head.weight"  # the same tensor; the name that openpi's files keep
UNUSED_EXPERT_HEAD = EXPERT + "lm_head.weight"

Sizes = TypeVar("Sizes", GemmaConfig, SiglipConfig, Pi0Config, Pi0FastConfig)
_FIX = "take config.json and the weights from the same checkpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What is known about a model beside its tensors.

    Args:
        raw: The object in ``config.json``; empty where there is none.
        where: Its path, for messages.
        defaults: Sizes for what the file leaves out: those of a recipe.
        heads: Sizes that the shapes of a format tell beyond those of PyTorch's: by block
            (``paligemma``, ``action_expert``, ``siglip``), name to value.
    """

    raw: Mapping[str, Any]
    where: str
    defaults: ModelConfig | None = None
    heads: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def get(self, key: str, kind: type, *, default: Any = None) -> Any:
        """A value of the file, else of the defaults, else ``default``; type-checked."""
        value = self.raw.get(key, getattr(self.defaults, key, default))
        if value is None or type(value) is not kind:
            raise CheckpointError(
                "a value is missing or of the wrong type",
                where=f"{self.where}, {key}",
                found=repr(value) if key in self.raw else "nothing",
                allowed=kind.__name__,
                fix=f"{_FIX}, or name the recipe that it was trained with",
            )
        return value


def model_config(stated: Stated, shapes: Shapes) -> ModelConfig:
    """The configuration that file, recipe and tensors agree on.

    Args:
        stated: What is known beside the tensors.
        shapes: Shape of each tensor, by the names of openpi's PyTorch files.

    Raises:
        CheckpointError: Something is not stated, out of range, or contradicts the tensors.
    """
    facts = _facts_of_tensors(shapes, stated.where)
    model_type = _model_type(stated, facts)
    common: dict[str, Any] = {
        "action_horizon": stated.get("action_horizon", int),
        "max_token_len": stated.get("max_token_len", int, default=PROMPT_TOKENS[model_type]),
        "vocab_size": stated.get("vocab_size", int)
        if "vocab_size" in stated.raw
        else facts["vocab_size"],
        "paligemma": _gemma(stated, "paligemma", facts),
        "siglip": _siglip(stated, facts),
    }
    if model_type == "pi0_fast":
        config: ModelConfig = _build(
            Pi0FastConfig,
            stated.where,
            **common,
            action_dim=stated.get("action_dim", int),
            image_keys=_image_keys(stated, FAST_IMAGE_KEYS),
            max_decoding_steps=stated.get("max_decoding_steps", int, default=256),
            layout=_layout(stated),
        )
    else:
        config = _build(
            Pi0Config,
            stated.where,
            **common,
            pi05=model_type == "pi05",
            action_dim=stated.get("action_dim", int, default=facts["action_dim"]),
            action_expert=_gemma(stated, "action_expert", facts),
            discrete_state_input=_discrete_state_input(stated),
            image_keys=_image_keys(stated, IMAGE_KEYS),
        )
    _require_agreement(stated, config, facts)
    return config


def parameter_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of each parameter of a model of these sizes."""
    with torch.device("meta"):
        return {name: tuple(t.shape) for name, t in build_model(config).state_dict().items()}


def config_json(config: ModelConfig, dtype: torch.dtype) -> dict[str, Any]:
    """The object that ``model_config`` reads back, with all of openpi's own keys."""
    names = {sizes: name for name, sizes in GEMMA_VARIANTS.items()}
    blocks = ("paligemma", "action_expert") if isinstance(config, Pi0Config) else ("paligemma",)
    sizes = {name: value for name, value in asdict(config).items() if value is not None}
    if config.image_keys == (IMAGE_KEYS if isinstance(config, Pi0Config) else FAST_IMAGE_KEYS):
        del sizes["image_keys"]
    return {
        "model_type": config.model_type,
        **sizes,
        **{f"{name}_variant": names.get(getattr(config, name), "custom") for name in blocks},
        "precision": str(dtype).removeprefix("torch."),
    }


def _model_type(stated: Stated, facts: Mapping[str, Any]) -> Family:
    """``pi05`` is openpi's flag for its two flow models; ``model_type`` names all three."""
    found: Family = facts["model_type"]
    claimed = stated.raw.get("model_type", getattr(stated.defaults, "model_type", found))
    if "model_type" not in stated.raw and "pi05" in stated.raw:
        claimed = "pi05" if stated.get("pi05", bool) else "pi0"
    if claimed != found:
        raise _disagreement(
            stated.where, [f"model_type is {claimed} in config.json and {found} in the weights"]
        )
    if "pi05" in stated.raw and stated.get("pi05", bool) != (found == "pi05"):
        raise _disagreement(stated.where, [f"pi05 is {stated.raw['pi05']} beside {found}"])
    return found


def _facts_of_tensors(shapes: Shapes, where: str) -> dict[str, Any]:
    """The sizes that can be read off single tensors and their names."""
    embedding = shapes.get(TIED_EMBEDDING) or shapes.get(TOKEN_EMBEDDING)
    action_in = shapes.get("action_in_proj.weight")
    is_pi0, is_pi05 = "state_proj.weight" in shapes, "time_mlp_in.weight" in shapes
    is_flow = action_in is not None and len(action_in) == 2 and is_pi0 != is_pi05
    is_fast = action_in is None and not (is_pi0 or is_pi05)
    if embedding is None or len(embedding) != 2 or not (is_flow or is_fast):
        raise CheckpointError(
            "the weights are neither pi0 nor pi0.5 nor pi0-FAST",
            where=where,
            found=f"{len(shapes)} tensors: {', '.join(sorted(shapes)[:3])} ...",
            allowed=f"{TIED_EMBEDDING}; with action_in_proj.weight, and either state_proj.weight"
            " (pi0) or time_mlp_in.weight (pi0.5), or with no action expert (pi0-FAST)",
            fix="give a checkpoint of the pi0 family",
        )
    facts: dict[str, Any] = {
        "model_type": "pi0_fast" if not is_flow else "pi05" if is_pi05 else "pi0",
        "vocab_size": embedding[0],
        "paligemma.width": embedding[1],
        **_gemma_facts(shapes, "paligemma", PALIGEMMA + "model.language_model.layers."),
        "siglip.depth": _depth(
            shapes, PALIGEMMA + "model.vision_tower.vision_model.encoder.layers."
        ),
    }
    if is_flow and action_in is not None:
        facts |= {"action_dim": action_in[1], "action_expert.width": action_in[0]}
        facts |= _gemma_facts(shapes, "action_expert", EXPERT + "model.layers.")
    return facts


def _gemma_facts(shapes: Shapes, block: str, prefix: str) -> dict[str, int]:
    mlp = shapes.get(prefix + "0.mlp.gate_proj.weight", (0,))
    return {f"{block}.depth": _depth(shapes, prefix), f"{block}.mlp_dim": mlp[0]}


def _depth(shapes: Shapes, prefix: str) -> int:
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.")
    return len({match[1] for name in shapes if (match := pattern.match(name))})


def _gemma(stated: Stated, block: str, facts: Mapping[str, Any]) -> GemmaConfig:
    """From the sizes in the file, a variant's name, a recipe, or shapes that fit a variant."""
    if block in stated.raw:
        return _read_sizes(stated, block, GemmaConfig)
    if f"{block}_variant" in stated.raw:
        name = stated.get(f"{block}_variant", str)
        if (variant := GEMMA_VARIANTS.get(name.removesuffix("_lora"))) is None:
            raise CheckpointError(
                "an unknown model variant",
                where=f"{stated.where}, {block}_variant",
                found=name,
                allowed=", ".join(GEMMA_VARIANTS),
                fix=f"give the sizes under the key {block!r}",
            )
        return variant
    known = {name: facts[f"{block}.{name}"] for name in ("width", "depth", "mlp_dim")}
    if heads := stated.heads.get(block):
        return _build(GemmaConfig, f"{stated.where}, {block}", **known, **heads)
    for variant in GEMMA_VARIANTS.values():
        if all(getattr(variant, name) == value for name, value in known.items()):
            return variant
    raise CheckpointError(
        "the sizes of an expert are not stated",
        where=f"{stated.where}, {block}",
        found=f"tensors of {known}",
        allowed=f"{block}_variant: one of {', '.join(GEMMA_VARIANTS)}",
        fix=f"state the sizes in config.json under the key {block!r}",
    )


def _siglip(stated: Stated, facts: Mapping[str, Any]) -> SiglipConfig:
    if "siglip" in stated.raw:
        return _read_sizes(stated, "siglip", SiglipConfig)
    if known := stated.heads.get("siglip"):
        return _build(SiglipConfig, stated.where, depth=facts["siglip.depth"], **known)
    return SO400M


def _read_sizes(stated: Stated, block: str, kind: type[Sizes]) -> Sizes:
    sizes = stated.get(block, dict)
    names = [size.name for size in fields(kind)]
    if set(sizes) - {"lora"} != set(names):
        raise CheckpointError(
            "a block of sizes has other keys than it should",
            where=f"{stated.where}, {block}",
            found=", ".join(sorted(sizes)),
            allowed=", ".join(names),
            fix=_FIX,
        )
    inner = Stated(raw=sizes, where=f"{stated.where}, {block}")
    return _build(kind, inner.where, **{name: inner.get(name, int) for name in names})


def _discrete_state_input(stated: Stated) -> bool | None:
    if stated.raw.get("discrete_state_input") is None:
        return getattr(stated.defaults, "discrete_state_input", None)
    return bool(stated.get("discrete_state_input", bool))


def _image_keys(stated: Stated, default: tuple[str, ...]) -> tuple[str, ...]:
    keys = stated.raw.get("image_keys")
    if keys is None:
        return getattr(stated.defaults, "image_keys", default)
    return tuple(map(str, stated.get("image_keys", list)))


def _layout(stated: Stated) -> FastLayout:
    if "layout" not in stated.raw:
        return getattr(stated.defaults, "layout", FastLayout.OPENPI)
    name = stated.get("layout", str)
    try:
        return FastLayout(name)
    except ValueError:
        raise CheckpointError(
            "an unknown layout of generated tokens",
            where=f"{stated.where}, layout",
            found=name,
            allowed=", ".join(layout.value for layout in FastLayout),
        ) from None


def _build(kind: type[Sizes], where: str, **sizes: Any) -> Sizes:
    """Sizes that no model can have are an error that names the file."""
    try:
        return kind(**sizes)
    except CheckpointError as error:
        raise CheckpointError(
            error.what,
            where=f"{where}, {error.where}",
            found=error.found,
            allowed=error.allowed,
            fix=_FIX,
        ) from error


def _require_agreement(stated: Stated, config: ModelConfig, facts: Mapping[str, Any]) -> None:
    """The sizes of the tensors, and what a recipe fixes, are those of the configuration."""
    claims = {name: attrgetter(name)(config) for name in facts}
    wrong = [
        f"{name} is {claims[name]} in config.json and {fact} in the weights"
        for name, fact in facts.items()
        if claims[name] != fact
    ]
    if stated.defaults is not None:
        given = {name: getattr(stated.defaults, name) for name in ("action_dim", "action_horizon")}
        wrong += [
            f"{name} is {getattr(config, name)} in the checkpoint and {value} in the recipe"
            for name, value in given.items()
            if getattr(config, name) != value
        ]
    if wrong:
        raise _disagreement(stated.where, wrong)


def _disagreement(where: str, wrong: list[str]) -> CheckpointError:
    return CheckpointError(
        "config.json and the weights describe different models",
        where=where,
        found="; ".join(wrong),
        allowed="the same sizes in both",
        fix=_FIX,
    )
