"""How openpi's JAX arrays hold the model's parameters: names, axes, stacking.

Letters of axes: d width in or alone, i and o the two sides of a small projection, n heads,
g key/value heads, h head width, f feed-forward width, r LoRA rank, v vocabulary, t image tokens,
p, q, c patch rows, columns, channels; 1 an axis of one. ``"ndh", "nh d"`` reads: the JAX axes are
(n, d, h); PyTorch has two axes, the first is n and h merged.
Source: openpi src/openpi/models/{siglip,gemma,lora,pi0}.py, checked against its converter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from vla_policy.checkpoints.model_config import EXPERT, PALIGEMMA, TOKEN_EMBEDDING
from vla_policy.checkpoints.stored import Shapes
from vla_policy.models.config import ModelConfig

MOST_LAYERS = 1024
Counts = Mapping[str, int]
ROOT = "params."
_IMG, _LLM = ROOT + "PaliGemma.img.", ROOT + "PaliGemma.llm."
_BLOCK, _LAYERS = _IMG + "Transformer.encoderblock.", _LLM + "layers."
_ATTENTION = _LAYERS + "attn."
_VISION = PALIGEMMA + "model.vision_tower.vision_model."
_PATCHES = _VISION + "embeddings."
_LANGUAGE = PALIGEMMA + "model.language_model."


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One array of the tree.

    Args:
        key: Path in the tree, joined by dots.
        axes: JAX axes of one parameter, without those that stack layers and pairs.
        merged: PyTorch's axes, separated by spaces, in the same letters.
        names: Parameters; two where the array stacks a pair, with ``{}`` where it stacks layers.
    """

    key: str
    axes: str
    merged: str
    names: tuple[str, ...]

    @property
    def stacked(self) -> bool:
        return "{}" in self.names[0]

    @property
    def paired(self) -> bool:
        return len(self.names) > 1

    @property
    def block(self) -> str:
        """The block of sizes in ``config.json`` that it belongs to; empty: none."""
        if ".img." in self.key:
            return "siglip"
        if ".llm." not in self.key:
            return ""
        return "action_expert" if self.names[0].startswith(EXPERT) else "paligemma"

    @property
    def leading(self) -> int:
        """Number of axes that stack parameters."""
        return self.stacked + self.paired

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape has these axes."""
        return (
            len(shape) == self.leading + len(self.axes)
            and (not self.paired or shape[self.leading - 1] == len(self.names))
            and (not self.stacked or shape[0] <= MOST_LAYERS)
        )

    def parameters(self, layers: int) -> Iterator[tuple[tuple[int, ...], str]]:
        """Index along the leading axes and name of each parameter."""
        for layer in range(layers if self.stacked else 1):
            for pair, name in enumerate(self.names):
                yield (layer,) * self.stacked + (pair,) * self.paired, name.format(layer)

    def parameter_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """PyTorch's shape of each parameter in an array of this shape."""
        sizes = dict(zip(self.axes, shape[self.leading :], strict=True))
        return tuple(math.prod(sizes[a] for a in group) for group in self.merged.split())

    def array_shape(
        self, parameter: tuple[int, ...], layers: int, counts: Counts
    ) -> tuple[int, ...]:
        """Shape of the array whose parameters have this shape in PyTorch."""
        sizes = dict(zip(self._order, self._apart(parameter, counts), strict=True))
        stacks = (layers,) * self.stacked + (len(self.names),) * self.paired
        return stacks + tuple(sizes[axis] for axis in self.axes)

    def to_parameter(self, array: Tensor) -> Tensor:
        """A parameter from what lies at its index; may be a view, of any strides."""
        turned = array.permute([self.axes.index(axis) for axis in self._order])
        return turned.reshape(self.parameter_shape((0,) * self.leading + tuple(array.shape)))

    def to_array(self, parameter: Tensor, counts: Counts) -> Tensor:
        """The inverse of `to_parameter`."""
        apart = parameter.reshape(self._apart(tuple(parameter.shape), counts))
        return apart.permute([self._order.index(axis) for axis in self.axes])

    @property
    def _order(self) -> str:
        return self.merged.replace(" ", "")

    def _apart(self, parameter: tuple[int, ...], counts: Counts) -> tuple[int, ...]:
        """Sizes of the single axes in PyTorch's order; of two merged, the first is a count."""
        sizes: list[int] = []
        for group, size in zip(self.merged.split(), parameter, strict=True):
            counted = [counts[axis] for axis in group[:-1]]
            sizes += [*counted, size // math.prod(counted)]
        return tuple(sizes)


def counts(config: ModelConfig, block: str) -> Counts:
    """What merged axes do not show."""
    if block == "siglip":
        return {"1": 1, "n": config.siglip.num_heads}
    gemma = getattr(config, block, config.paligemma)
    return {"n": gemma.num_heads, "g": gemma.num_kv_heads}


def parameter_shapes_of(arrays: Shapes) -> dict[str, tuple[int, ...]]:
    """Shape of each parameter in the known ones of these arrays, by the model's names."""
    shapes = {}
    for key, shape in arrays.items():
        leaf = LEAVES.get(key)
        if leaf is not None and leaf.fits(shape):
            parameter = leaf.parameter_shape(shape)
            shapes.update({name: parameter for _, name in leaf.parameters(shape[0])})
    return shapes


def array_shapes_of(parameters: Shapes, config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays that hold these parameters."""
    shapes = {}
    for key, leaf in LEAVES.items():
        first = leaf.names[0].format(0)
        if first in parameters:
            depth = getattr(config, leaf.block).depth if leaf.stacked else 0
            shapes[key] = leaf.array_shape(parameters[first], depth, counts(config, leaf.block))
    return shapes


def hidden_sizes(arrays: Shapes) -> dict[str, dict[str, int]]:
    """Sizes that these arrays show and PyTorch's do not: by block, as in ``config.json``."""

    def seen(key: str, axis: str) -> int:
        return axis_sizes(key, arrays)[axis]

    found: dict[str, dict[str, int]] = {}
    for block, suffix in (("paligemma", ""), ("action_expert", "_1")):
        query, pair = f"{_ATTENTION}q_einsum{suffix}.w", f"{_ATTENTION}kv_einsum{suffix}.w"
        if shown(query, arrays) and shown(pair, arrays):
            found[block] = {
                "num_heads": seen(query, "n"),
                "num_kv_heads": seen(pair, "g"),
                "head_dim": seen(query, "h"),
            }
    query, pixels = (
        _BLOCK + "MultiHeadDotProductAttention_0.query.kernel",
        _IMG + "embedding.kernel",
    )
    tokens, mlp = _IMG + "pos_embedding", _BLOCK + "MlpBlock_0.Dense_0.kernel"
    if all(shown(key, arrays) for key in (query, pixels, tokens, mlp)):
        found["siglip"] = {
            "width": seen(query, "d"),
            "num_heads": seen(query, "n"),
            "mlp_dim": seen(mlp, "o"),
            "patch_size": seen(pixels, "p"),
            "image_size": seen(pixels, "p") * math.isqrt(seen(tokens, "t")),
        }
    return found


def shown(key: str, arrays: Shapes) -> bool:
    """Whether an array is there, with the number of axes that it should have."""
    return key in arrays and LEAVES[key].fits(arrays[key])


def axis_sizes(key: str, arrays: Shapes) -> dict[str, int]:
    """Size of each axis of an array, by its letter."""
    leaf = LEAVES[key]
    return dict(zip(leaf.axes, arrays[key][leaf.leading :], strict=True))


def _leaf(key: str, axes: str, merged: str, *names: str) -> Leaf:
    return Leaf(key=key, axes=axes, merged=merged, names=names)


def _linear(key: str, name: str) -> list[Leaf]:
    return [
        _leaf(f"{key}.kernel", "io", "o i", f"{name}.weight"),
        _leaf(f"{key}.bias", "o", "o", f"{name}.bias"),
    ]


def _layer_norm(key: str, name: str) -> list[Leaf]:
    return [
        _leaf(f"{key}.scale", "d", "d", f"{name}.weight"),
        _leaf(f"{key}.bias", "d", "d", f"{name}.bias"),
    ]


def _siglip() -> list[Leaf]:
    layer, attention = _VISION + "encoder.layers.{}.", _BLOCK + "MultiHeadDotProductAttention_0."
    leaves = [
        _leaf(_IMG + "embedding.kernel", "pqcd", "d c p q", f"{_PATCHES}patch_embedding.weight"),
        _leaf(_IMG + "embedding.bias", "d", "d", f"{_PATCHES}patch_embedding.bias"),
        _leaf(_IMG + "pos_embedding", "1td", "1t d", f"{_PATCHES}position_embedding.weight"),
        _leaf(f"{attention}out.kernel", "nhd", "d nh", f"{layer}self_attn.out_proj.weight"),
        _leaf(f"{attention}out.bias", "d", "d", f"{layer}self_attn.out_proj.bias"),
        *_layer_norm(f"{_BLOCK}LayerNorm_0", f"{layer}layer_norm1"),
        *_layer_norm(f"{_BLOCK}LayerNorm_1", f"{layer}layer_norm2"),
        *_linear(f"{_BLOCK}MlpBlock_0.Dense_0", f"{layer}mlp.fc1"),
        *_linear(f"{_BLOCK}MlpBlock_0.Dense_1", f"{layer}mlp.fc2"),
        *_layer_norm(_IMG + "Transformer.encoder_norm", _VISION + "post_layernorm"),
        *_linear(_IMG + "head", PALIGEMMA + "model.multi_modal_projector.linear"),
    ]
    for key, name in (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj")):
        leaves += [
            _leaf(f"{attention}{key}.kernel", "dnh", "nh d", f"{layer}self_attn.{name}.weight"),
            _leaf(f"{attention}{key}.bias", "nh", "nh", f"{layer}self_attn.{name}.bias"),
        ]
    return leaves


def _gemma(suffix: str, prefix: str) -> list[Leaf]:
    """One expert; the arrays of the second end in ``_1``."""
    attention, mlp = prefix + "layers.{}.self_attn.", prefix + "layers.{}.mlp."
    q, k, v, o = (f"{attention}{name}_proj." for name in "qkvo")
    gate, up, down = (f"{mlp}{name}_proj." for name in ("gate", "up", "down"))
    query, pair = f"{_ATTENTION}q_einsum{suffix}.", f"{_ATTENTION}kv_einsum{suffix}."
    out, feed = f"{_ATTENTION}attn_vec_einsum{suffix}.", f"{_LAYERS}mlp{suffix}."
    a, b = "lora_a", "lora_b"
    leaves = [
        _leaf(query + "w", "ndh", "nh d", f"{q}weight"),
        _leaf(query + a, "ndr", "nr d", q + a),
        _leaf(query + b, "nrh", "nh r", q + b),
        _leaf(pair + "w", "gdh", "gh d", f"{k}weight", f"{v}weight"),
        _leaf(pair + a, "gdr", "gr d", k + a, v + a),
        _leaf(pair + b, "grh", "gh r", k + b, v + b),
        _leaf(out + "w", "nhd", "d nh", f"{o}weight"),
        _leaf(out + a, "nhr", "r nh", o + a),
        _leaf(out + b, "nrd", "d nr", o + b),
        _leaf(feed + "gating_einsum", "df", "f d", f"{gate}weight", f"{up}weight"),
        _leaf(feed + "gating_einsum_lora_a", "dr", "r d", gate + a, up + a),
        _leaf(feed + "gating_einsum_lora_b", "rf", "f r", gate + b, up + b),
        _leaf(feed + "linear", "fd", "d f", f"{down}weight"),
        _leaf(feed + "linear_lora_a", "fr", "r f", down + a),
        _leaf(feed + "linear_lora_b", "rd", "d r", down + b),
    ]
    for key, name in (
        (f"{_LAYERS}pre_attention_norm{suffix}", prefix + "layers.{}.input_layernorm"),
        (f"{_LAYERS}pre_ffw_norm{suffix}", prefix + "layers.{}.post_attention_layernorm"),
        (f"{_LLM}final_norm{suffix}", prefix + "norm"),
    ):
        leaves.append(_leaf(f"{key}.scale", "d", "d", f"{name}.weight"))
        leaves += _linear(f"{key}.Dense_0", f"{name}.dense")
    return leaves


_TOP = (
    "action_in_proj",
    "action_out_proj",
    "state_proj",
    "action_time_mlp_in",
    "action_time_mlp_out",
    "time_mlp_in",
    "time_mlp_out",
)
#: All arrays of all models, by key.
LEAVES: Mapping[str, Leaf] = {
    leaf.key: leaf
    for leaf in (
        _leaf(f"{_LLM}embedder.input_embedding", "vd", "v d", TOKEN_EMBEDDING),
        *_siglip(),
        *_gemma("", _LANGUAGE),
        *_gemma("_1", EXPERT + "model."),
        *(leaf for name in _TOP for leaf in _linear(ROOT + name, name)),
    )
}
