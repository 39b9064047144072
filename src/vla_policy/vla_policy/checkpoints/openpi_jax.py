"""openpi's JAX checkpoints: params/ in OCDBT as orbax writes it, assets/<id>/norm_stats.json.

They state no sizes. The shapes of the arrays tell all but the horizon, for which a recipe stands
in; a ``config.json`` of this suite beside ``params`` wins over both.
Source: openpi src/openpi/models/model.py (restore_params), src/openpi/training/checkpoints.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vla_core.errors import CheckpointError
from vla_policy.checkpoints.assets import read_assets, write_assets
from vla_policy.checkpoints.json_file import read_json_object
from vla_policy.checkpoints.model_config import Stated, model_config
from vla_policy.checkpoints.ocdbt_arrays import (
    TREE,
    ArraySizes,
    OcdbtArrays,
    OcdbtWriter,
    chunks_to_write,
    open_ocdbt,
)
from vla_policy.checkpoints.openpi_jax_names import (
    LEAVES,
    ROOT,
    Leaf,
    array_shapes_of,
    axis_sizes,
    counts,
    hidden_sizes,
    parameter_shapes_of,
    shown,
)
from vla_policy.checkpoints.openpi_pytorch import (
    described,
    stated_contract,
    stated_processing,
)
from vla_policy.checkpoints.safetensors_file import require_shapes
from vla_policy.checkpoints.stored import CheckpointFormat, Shapes, StoredCheckpoint
from vla_policy.checkpoints.tokenizer_files import find_tokenizers, write_tokenizers
from vla_policy.models.build import build_model
from vla_policy.models.config import ModelConfig, Pi0Config, Pi0FastConfig
from vla_policy.models.lora import LoraConfig, add_lora

PARAMS, CONFIG = "params", "config.json"
VALUE = ".value"  # what a training run's state adds to each key
DICT_KEY = 2  # orbax's code for a key of a dictionary
UNSTATED = "{}: not stated in a JAX checkpoint; name the recipe it was trained with (--recipe)"
#: Leaves whose last axis is the rank, by LoRA target.
RANKS = {"attn": ROOT + "PaliGemma.llm.layers.attn.q_einsum{}.lora_a",
         "ffn": ROOT + "PaliGemma.llm.layers.mlp{}.linear_lora_a"}  # fmt: skip
SUFFIXES = {"paligemma": "", "action_expert": "_1"}


def read(path: Path, defaults: ModelConfig | None = None) -> StoredCheckpoint:
    """A directory of this format, with its LoRA factors as they are; see `read_checkpoint`."""
    database = open_ocdbt(path / PARAMS)
    keys = _leaf_keys(database)
    arrays = {leaf: database.arrays[key].shape for leaf, key in keys.items()}
    found = parameter_shapes_of(arrays)
    raw = read_json_object(path / CONFIG) if (path / CONFIG).exists() else {}
    assumed = _assumed(raw, defaults, arrays)
    stated = Stated(
        raw={**assumed, **raw},
        where=str(path / CONFIG if raw else path / PARAMS),
        defaults=defaults,
        heads=hidden_sizes(arrays),
    )
    config = model_config(stated, found)
    lora = _lora(stated, arrays)
    expected = _parameter_shapes(config, lora)
    require_shapes(arrays, array_shapes_of(expected, config), where=str(path / PARAMS))
    dtypes = {
        name: database.arrays[keys[leaf]].dtype
        for leaf in arrays
        for _, name in LEAVES[leaf].parameters(arrays[leaf][0])
    }
    return StoredCheckpoint(
        format=CheckpointFormat.OPENPI_JAX,
        path=path,
        config=config,
        processing=stated_processing(stated, config),
        shapes=expected,
        dtypes=dtypes,
        stream=lambda: _stream(database, keys),
        norm_stats=read_assets(path),
        contract=stated_contract(stated),
        lora=lora,
        missing=tuple(UNSTATED.format(name) for name in assumed),
        **find_tokenizers(path),
    )


def write(directory: Path, stored: StoredCheckpoint) -> None:
    """Writes an empty directory in this format, so that orbax restores it too."""
    shapes = array_shapes_of(stored.shapes, stored.config)
    places = {
        name: (LEAVES[key], index)
        for key, shape in shapes.items()
        for index, name in LEAVES[key].parameters(shape[0])
    }
    arrays = {key: _sizes(stored, LEAVES[key], shape) for key, shape in shapes.items()}
    writer = OcdbtWriter(path=directory / PARAMS, arrays=arrays)
    left = set(places)
    for name, tensor in stored.stream():
        leaf, index = places[name]
        parameter = tensor.to(stored.dtypes[name])
        sizes = counts(stored.config, leaf.block)
        writer.write(leaf.key, index, leaf.to_array(parameter, sizes))
        left.remove(name)
    writer.close()
    if left:
        raise CheckpointError(
            "weights are missing", where=str(stored.path), found=", ".join(sorted(left)[:5])
        )
    _write_json(directory / PARAMS / TREE, _tree(arrays))
    raw = described(stored)
    for block, lora in stored.lora.items():
        raw[block]["lora"] = {"rank": lora.rank, "alpha": lora.alpha, "targets": lora.targets}
    _write_json(directory / CONFIG, raw)
    write_assets(directory, stored.norm_stats)
    write_tokenizers(directory, stored)


def _leaf_keys(database: OcdbtArrays) -> dict[str, str]:
    """Key in the database by path in the tree."""
    names = list(database.arrays)
    suffix = VALUE if all(name.endswith(VALUE) for name in names) else ""
    return {name.removesuffix(suffix): name for name in names}


def _assumed(
    raw: Mapping[str, Any], defaults: ModelConfig | None, arrays: Shapes
) -> dict[str, int]:
    """Sizes that the model needs to be built and nothing states, as openpi has them by default."""
    if defaults is not None:
        return {}
    fast = ROOT + "action_in_proj.kernel" not in arrays
    usual = Pi0FastConfig() if fast else Pi0Config()
    names = ("action_horizon", "action_dim") if fast else ("action_horizon",)
    return {name: getattr(usual, name) for name in names if name not in raw}


def _lora(stated: Stated, arrays: Shapes) -> dict[str, LoraConfig]:
    """Which experts have factors, of which rank, on what."""
    found = {}
    for block, suffix in SUFFIXES.items():
        ranks = {
            target: axis_sizes(key.format(suffix), arrays)["r"]
            for target, key in RANKS.items()
            if shown(key.format(suffix), arrays)
        }
        if ranks:
            rank = max(ranks.values())
            found[block] = LoraConfig(
                rank=rank, alpha=_alpha(stated, block, rank), targets=tuple(ranks)
            )
    return found


def _alpha(stated: Stated, block: str, rank: int) -> float:
    """Stated in a ``config.json``; else the rank, as in all of openpi's variants."""
    try:
        return float(stated.raw.get(block, {}).get("lora", {}).get("alpha", rank))
    except (AttributeError, TypeError, ValueError) as error:
        raise CheckpointError(
            "a LoRA configuration cannot be read",
            where=f"{stated.where}, {block}.lora",
            found=error,
            allowed="alpha as a number",
        ) from error


def _parameter_shapes(config: ModelConfig, lora: Mapping[str, LoraConfig]) -> Shapes:
    with torch.device("meta"):
        model = build_model(config)
        add_lora(model, {block: lora[block] for block in lora if hasattr(config, block)})
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _stream(database: OcdbtArrays, keys: Mapping[str, str]) -> Iterator[tuple[str, Tensor]]:
    """LoRA factors first, which are small and wanted with the weights, then the largest first."""

    def rank(leaf: str) -> tuple[bool, int]:
        return "lora_" not in leaf, -database.arrays[keys[leaf]].num_bytes

    for key in sorted(keys, key=rank):
        leaf = LEAVES[key]
        rows = database.rows(keys[key]) if leaf.stacked else [database.whole(keys[key])]
        for layer, row in enumerate(rows):
            parts = row if leaf.paired else [row]
            for name, part in zip(leaf.names, parts, strict=True):
                yield name.format(layer), leaf.to_parameter(part)


def _sizes(stored: StoredCheckpoint, leaf: Leaf, shape: tuple[int, ...]) -> ArraySizes:
    dtypes = {stored.dtypes[name] for _, name in leaf.parameters(shape[0])}
    if len(dtypes) > 1:
        raise CheckpointError(
            "weights of several types cannot be stacked into one array",
            where=f"{stored.path}, {leaf.key}",
            found=", ".join(sorted(map(str, dtypes))),
            allowed="one type for all layers",
            fix="give the type to write",
        )
    [dtype] = dtypes
    return ArraySizes(
        shape=shape, chunks=chunks_to_write(shape, leaf.leading, dtype.itemsize), dtype=dtype
    )


def _tree(arrays: Mapping[str, ArraySizes]) -> dict[str, Any]:
    """What orbax wants to know of the tree before it restores it."""
    tree = {}
    for key, sizes in arrays.items():
        path = key.split(".")
        tree[str(tuple(path))] = {
            "key_metadata": [{"key": part, "key_type": DICT_KEY} for part in path],
            "value_metadata": {
                "value_type": "jax.Array",
                "skip_deserialize": False,
                "write_shape": list(sizes.shape),
            },
        }
    return {
        "tree_metadata": tree,
        "use_zarr3": False,
        "store_array_data_equal_to_fill_value": True,
        "custom_metadata": None,
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
