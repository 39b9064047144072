"""openpi's JAX layout: read as orbax writes it, written back whole, damage is one clear error."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import golden_model_case as golden
import pytest
import tensorstore as ts
import torch

from vla_core.errors import CheckpointError
from vla_policy.checkpoints import (
    CheckpointFormat,
    StoredCheckpoint,
    convert,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from vla_policy.checkpoints.ocdbt_arrays import ArraySizes, OcdbtWriter, open_ocdbt
from vla_policy.checkpoints.openpi_jax_names import (
    array_shapes_of,
    hidden_sizes,
    parameter_shapes_of,
)
from vla_policy.models.build import build_model
from vla_policy.models.config import Pi0Config, Pi0FastConfig
from vla_policy.models.lora import LoraConfig, add_lora

JAX = golden.GOLDEN / "jax"
EMBEDDING = "params.PaliGemma.llm.embedder.input_embedding"
QUERY = "params.PaliGemma.llm.layers.attn.q_einsum.w"
BIAS = "params.action_out_proj.bias"
OPENPI_LORA = {  # gemma_2b_lora, gemma_300m_lora
    "paligemma": LoraConfig(rank=16, alpha=16.0),
    "action_expert": LoraConfig(rank=32, alpha=32.0),
}
Damage = Callable[[Path], Any]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A writable copy of the golden pi0.5 checkpoint, whose arrays lie in several chunks."""
    return copied("pi05", tmp_path)


def copied(family: str, folder: Path) -> Path:
    directory = folder / family
    shutil.copytree(JAX / family, directory, copy_function=shutil.copyfile)
    for entry in [directory, *directory.rglob("*")]:
        entry.chmod(0o755)
    return directory


def database(directory: Path) -> Any:
    path = f"{directory / 'params'}/"
    return ts.KvStore.open({"driver": "ocdbt", "base": {"driver": "file", "path": path}}).result()


def weights(stored: StoredCheckpoint) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in stored.stream()}


def same_weights(left: StoredCheckpoint, right: StoredCheckpoint) -> bool:
    a, b = weights(left), weights(right)
    return a.keys() == b.keys() and all(
        a[name].dtype == b[name].dtype and torch.equal(a[name], b[name]) for name in a
    )


@pytest.mark.parametrize("family", ["pi0", "pi05", "lora", "pi0_fast"])
def test_shapes_and_types_are_known_before_the_weights_are_read(family: str) -> None:
    stored = read_checkpoint(JAX / family, keep_lora=True)
    assert stored.format is CheckpointFormat.OPENPI_JAX
    assert stored.missing == ()
    drawn = weights(stored)
    assert {name: tuple(tensor.shape) for name, tensor in drawn.items()} == stored.shapes
    assert {name: tensor.dtype for name, tensor in drawn.items()} == stored.dtypes
    types = json.loads((JAX / family / "config.json").read_text())["stored_dtypes"]
    assert {str(dtype).removeprefix("torch.") for dtype in stored.dtypes.values()} == set(types)


@pytest.mark.parametrize("family", ["pi0", "pi05", "lora", "pi0_fast"])
def test_without_a_config_the_shapes_tell_all_but_the_horizon(family: str, tmp_path: Path) -> None:
    directory, stated = copied(family, tmp_path), read_checkpoint(JAX / family).config
    (directory / "config.json").unlink()
    found = read_checkpoint(directory)
    openpi = Pi0FastConfig() if family == "pi0_fast" else Pi0Config.full(pi05=family == "pi05")
    unstated = ["action_horizon", "max_token_len"]
    unstated += ["action_dim", "max_decoding_steps"] if family == "pi0_fast" else []
    assumed = {name: getattr(openpi, name) for name in unstated}
    assert found.config == replace(stated, **assumed)
    named = ["action_horizon"] + (["action_dim"] if family == "pi0_fast" else [])
    assert [text.partition(":")[0] for text in found.missing] == named
    assert all("--recipe" in text for text in found.missing)
    of_recipe = read_checkpoint(directory, stated)
    assert (of_recipe.config, of_recipe.missing) == (stated, ())


def test_a_conversion_does_not_state_what_was_only_assumed(checkpoint: Path) -> None:
    (checkpoint / "config.json").unlink()
    source = read_checkpoint(checkpoint)
    jax, pytorch = checkpoint.with_name("jax"), checkpoint.with_name("pytorch")
    convert(source, jax, CheckpointFormat.OPENPI_JAX)
    assert read_checkpoint(jax).missing == source.missing != ()
    convert(source, pytorch, CheckpointFormat.OPENPI_PYTORCH)
    with pytest.raises(CheckpointError, match=r"action_horizon; found: nothing.*recipe"):
        read_checkpoint(pytorch)


@pytest.mark.parametrize(
    ("config", "lora", "leaves", "parameters"),
    [
        (Pi0Config.full(pi05=False), {}, 50, 3_238_048_528),
        (Pi0Config.full(pi05=True), {}, 51, 3_353_433_872),
        (Pi0FastConfig(), {}, 32, 2_923_335_408),
        (Pi0Config.full(pi05=False), OPENPI_LORA, 70, 3_238_048_528 + 49_987_584),
        (Pi0FastConfig(), {"paligemma": OPENPI_LORA["paligemma"]}, 42, 2_923_335_408 + 27_869_184),
    ],
)
def test_a_model_of_the_released_size_has_the_arrays_that_openpi_counts(
    config: Pi0Config | Pi0FastConfig, lora: dict[str, LoraConfig], leaves: int, parameters: int
) -> None:
    with torch.device("meta"):
        model = build_model(config)
        add_lora(model, lora)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    arrays = array_shapes_of(shapes, config)
    assert len(arrays) == leaves
    assert sum(math.prod(shape) for shape in arrays.values()) == parameters
    assert parameter_shapes_of(arrays) == shapes
    assert hidden_sizes(arrays)["siglip"]["image_size"] == 224
    assert hidden_sizes(arrays)["paligemma"] == {
        "num_heads": 8, "num_kv_heads": 1, "head_dim": 256
    }  # fmt: skip


def test_lora_factors_are_merged_unless_asked_for(tmp_path: Path) -> None:
    kept = read_checkpoint(JAX / "lora", keep_lora=True)
    assert kept.lora == {
        "paligemma": LoraConfig(rank=4, alpha=4.0),
        "action_expert": LoraConfig(rank=6, alpha=6.0),
    }
    merged = read_checkpoint(JAX / "lora")
    assert merged.lora == {}
    assert not any("lora" in name for name in merged.shapes)
    assert "merged" in merged.notes[0]
    query = "paligemma_with_expert.paligemma.model.language_model.layers.0.self_attn.q_proj.weight"
    assert (kept.dtypes[query], merged.dtypes[query]) == (torch.bfloat16, torch.float32)
    with pytest.raises(CheckpointError, match=r"kept apart.*openpi-jax.*merge them"):
        convert(kept, tmp_path / "out", CheckpointFormat.OPENPI_PYTORCH)


def test_a_stated_alpha_counts(tmp_path: Path) -> None:
    directory = copied("lora", tmp_path)
    raw = json.loads((directory / "config.json").read_text())
    raw["paligemma"]["lora"]["alpha"] = 8
    (directory / "config.json").write_text(json.dumps(raw))
    assert read_checkpoint(directory, keep_lora=True).lora["paligemma"].alpha == 8.0
    raw["paligemma"]["lora"]["alpha"] = "much"
    (directory / "config.json").write_text(json.dumps(raw))
    with pytest.raises(CheckpointError, match=r"LoRA configuration.*paligemma"):
        read_checkpoint(directory)


@pytest.mark.parametrize("family", ["pi0", "pi05", "pi0_fast"])
def test_conversion_there_and_back_gives_the_same_bytes(family: str, tmp_path: Path) -> None:
    source = read_checkpoint(JAX / family)
    torch_1 = convert(source, tmp_path / "torch_1", CheckpointFormat.OPENPI_PYTORCH)
    jax = convert(torch_1, tmp_path / "jax", CheckpointFormat.OPENPI_JAX)
    torch_2 = convert(jax, tmp_path / "torch_2", CheckpointFormat.OPENPI_PYTORCH)
    assert same_weights(source, jax)
    first, second = (each.path / "model.safetensors" for each in (torch_1, torch_2))
    assert first.read_bytes() == second.read_bytes()
    assert headers(jax) == headers(source)


def headers(stored: StoredCheckpoint) -> dict[str, tuple[object, ...]]:
    arrays = open_ocdbt(stored.path / "params").arrays
    return {
        key.removesuffix(".value"): (sizes.shape, sizes.dtype) for key, sizes in arrays.items()
    }


def test_a_checkpoint_with_lora_factors_comes_back_whole(tmp_path: Path) -> None:
    source = read_checkpoint(JAX / "lora", keep_lora=True)
    again = convert(source, tmp_path / "again", CheckpointFormat.OPENPI_JAX)
    assert same_weights(source, again)
    assert again.lora == source.lora
    assert headers(again) == headers(source)


def test_a_bfloat16_model_with_float32_norms_keeps_its_types(tmp_path: Path) -> None:
    model = golden.model("pi05", torch.bfloat16)
    save_checkpoint(tmp_path / "torch", model=model, norm_stats={})
    source = read_checkpoint(tmp_path / "torch")
    assert same_weights(source, convert(source, tmp_path / "jax", CheckpointFormat.OPENPI_JAX))
    assert len(set(source.dtypes.values())) == 2


def test_weights_of_several_types_in_one_array_are_refused(tmp_path: Path) -> None:
    source = read_checkpoint(JAX / "pi0")
    odd = "paligemma_with_expert.gemma_expert.model.layers.1.mlp.up_proj.weight"
    mixed = replace(source, dtypes={**source.dtypes, odd: torch.bfloat16})
    with pytest.raises(CheckpointError, match=r"several types.*gating_einsum.*bfloat16"):
        convert(mixed, tmp_path / "out", CheckpointFormat.OPENPI_JAX)
    assert list(tmp_path.iterdir()) == []


def test_what_is_written_is_described_for_orbax(tmp_path: Path) -> None:
    written = convert(read_checkpoint(JAX / "pi0"), tmp_path / "out", CheckpointFormat.OPENPI_JAX)
    own, reference = (
        json.loads((path / "params" / "_METADATA").read_text())
        for path in (written.path, JAX / "pi0")
    )
    assert own == reference


def test_rows_are_read_alike_whether_chunks_span_them_or_not(tmp_path: Path) -> None:
    values = torch.randn(5, 4, 6)
    for chunks in ((1, 4, 6), (2, 3, 6), (5, 4, 6)):
        path = tmp_path / str(chunks)
        sizes = ArraySizes(shape=(5, 4, 6), chunks=chunks, dtype=torch.float32)
        writer = OcdbtWriter(path=path, arrays={"params.a": sizes})
        writer.write("params.a", (), values)
        writer.close()
        found = open_ocdbt(path)
        assert found.arrays["params.a"] == sizes
        assert torch.equal(torch.stack(list(found.rows("params.a"))), values)
        assert torch.equal(found.whole("params.a"), values)


def test_chunks_of_zeros_may_lack_where_orbax_left_them_out(checkpoint: Path) -> None:
    database(checkpoint).delete_range(ts.KvStore.KeyRange(f"{BIAS}/0", f"{BIAS}/9")).result()
    tree = checkpoint / "params" / "_METADATA"
    raw = json.loads(tree.read_text())
    tree.write_text(json.dumps(raw | {"store_array_data_equal_to_fill_value": False}))
    assert not weights(read_checkpoint(checkpoint))["action_out_proj.bias"].any()


def header(key: str, **changes: Any) -> Damage:
    def damage(directory: Path) -> None:
        store = database(directory)
        raw = json.loads(store.read(f"{key}/.zarray").result().value)
        store.write(f"{key}/.zarray", json.dumps({**raw, **changes})).result()

    return damage


def key(name: str, value: bytes = b"x") -> Damage:
    return lambda directory: database(directory).write(name, value).result()


def drop(prefix: str) -> Damage:
    return lambda directory: (
        database(directory).delete_range(ts.KvStore.KeyRange(prefix, prefix + "~")).result()
    )


def moved(old: str, new: str) -> Damage:
    """An array or a chunk under another name."""

    def damage(directory: Path) -> None:
        store = database(directory)
        for found in [key.decode() for key in store.list().result()]:
            if found == old or found.startswith(f"{old}/"):
                store.write(found.replace(old, new), store.read(found).result().value).result()
                store.write(found, None).result()

    return damage


def truncate(file: str) -> Damage:
    def damage(directory: Path) -> None:
        largest = max((directory / "params").glob(file), key=lambda path: path.stat().st_size)
        largest.write_bytes(largest.read_bytes()[: largest.stat().st_size * 9 // 10])

    return damage


def remove(pattern: str) -> Damage:
    return lambda directory: [file.unlink() for file in (directory / "params").glob(pattern)]


def config(**changes: Any) -> Damage:
    def damage(directory: Path) -> None:
        path = directory / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return damage


def link(directory: Path) -> None:
    (directory / "params" / "d" / "elsewhere").symlink_to("/etc/passwd")


def plant_nan(directory: Path) -> None:
    path = f"{directory / 'params'}/"
    kvstore = {"driver": "ocdbt", "base": {"driver": "file", "path": path}, "path": f"{BIAS}/"}
    store = ts.open({"driver": "zarr", "kvstore": kvstore}).result()
    store[3].write(float("nan")).result()


HEADS = {
    "width": 64,
    "depth": 4,
    "mlp_dim": 128,
    "num_heads": 4,
    "num_kv_heads": 1,
    "head_dim": 32,
}
FAULTS: Mapping[str, tuple[Damage, str]] = {
    "no manifest": (remove("manifest.ocdbt"), "found: no manifest.ocdbt"),
    "cut manifest": (truncate("manifest.ocdbt"), "database of weights cannot be read"),
    "no data files": (remove("**/d/*"), "database of weights cannot be read"),
    "cut data file": (truncate("**/d/*"), "database of weights cannot be read.*truncated"),
    "missing array": (drop(f"{BIAS}/"), "1 missing: params.action_out_proj.bias"),
    "missing chunk": (drop(f"{QUERY}/0.0.2.0"), r"q_einsum.w; found: 3 chunks where 4 belong"),
    "missing header": (drop(f"{BIAS}/.zarray"), "50 arrays, 51 arrays with data"),
    "an unknown array": (moved(BIAS, "params.extra.bias"), "1 unexpected: params.extra.bias"),
    "an array outside of the tree": (
        moved(BIAS, "action_out_proj.bias"), "unexpected: action_out_proj.bias"
    ),
    "a key outside of the tree": (key("../../etc/passwd"), r"found: key '../../etc/passwd'"),
    "zarr version 3": (key(f"{BIAS}/zarr.json"), "found: key.*zarr.json.*version 2"),
    "a header that is none": (key(f"{BIAS}/.zarray", b"[1]"), "header that cannot be read"),
    "a nested header": (key(f"{BIAS}/.zarray", b"[" * 100_000), "header that cannot be read"),
    "integers": (header(BIAS, dtype="<i4"), "unsupported type.*bias.*<i4.*bfloat16"),
    "objects": (header(BIAS, dtype="|O"), "unsupported type"),
    "a shape of text": (header(BIAS, shape=["32"]), r"shape \('32',\)"),
    "a huge shape": (header(BIAS, shape=[1 << 40]), "found: shape"),
    "a huge array": (
        header(BIAS, shape=[1 << 24, 1 << 20], chunks=[1 << 23, 1 << 20]),
        "2 chunks where|chunks where 2 belong",
    ),
    "chunks in other places": (
        header(QUERY, dimension_separator="/"),
        r"q_einsum.w; found: dimension_separator '/' instead of '\.'",
    ),
    "a chunk in another spelling": (
        moved(f"{QUERY}/0.0.2.0", f"{QUERY}/0.0.02.0"), r"found: key.*0\.0\.02\.0"
    ),
    "turned chunks": (header(QUERY, order="F"), "found: order 'F'"),
    "filtered chunks": (header(QUERY, filters=[{"id": "delta"}]), "found: filters"),
    "filled gaps": (header(QUERY, fill_value="NaN"), "found: fill_value 'NaN'"),
    "a later zarr": (header(QUERY, zarr_format=3), "found: zarr_format 3"),
    "a record": (header(BIAS, dtype=[["a", "<f4"]]), "unsupported type.*bias"),
    "an unknown compressor": (
        header(QUERY, compressor={"id": "x" * 99}), "q_einsum.w; found: [^{]{0,300}; allowed"
    ),
    "a header that says it twice": (
        key(f"{BIAS}/.zarray", b'{"shape": [1], "shape": [2]}'), "the key 'shape' twice"
    ),
    "a bomb": (header(EMBEDDING, shape=[1 << 22, 64], chunks=[1 << 20, 64]), "declared in files"),
    "another shape": (header(QUERY, shape=[4, 8, 63, 16]), r"q_einsum.w \(4, 8, 63, 16\) instead"),
    "other heads": (config(paligemma=HEADS, action_expert={**HEADS, "width": 48, "mlp_dim": 96}),
                    r"q_einsum.w \(4, 8, 64, 16\) instead of \(4, 4, 64, 32\)"),
    "a link out": (link, "link to /etc/passwd"),
    "NaN": (plant_nan, "action_out_proj.bias; found: 1 of 32"),
    "other family": (config(pi05=False, model_type="pi0"), "pi0 in config.json and pi05 in the"),
    "two families": (config(pi05=False), "pi05 is False beside pi05"),
    "bad statistics": (
        lambda d: next((d / "assets").rglob("norm_stats.json")).write_text("{}"),
        "norm_stats.json",
    ),
}  # fmt: skip


def test_settings_that_say_what_is_usual_are_read(checkpoint: Path) -> None:
    header(BIAS, fill_value=0.0)(checkpoint)
    store = database(checkpoint)
    raw = json.loads(store.read(f"{QUERY}/.zarray").result().value)
    del raw["dimension_separator"]
    store.write(f"{QUERY}/.zarray", json.dumps(raw)).result()
    assert same_weights(read_checkpoint(checkpoint), read_checkpoint(JAX / "pi05"))


def test_a_header_cannot_lead_to_another_store(checkpoint: Path) -> None:
    header(BIAS, kvstore="http://127.0.0.1:9/", driver="zarr3", path="/etc")(checkpoint)
    assert same_weights(read_checkpoint(checkpoint), read_checkpoint(JAX / "pi05"))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_checkpoint_is_one_clear_error(fault: str, checkpoint: Path) -> None:
    damage, message = FAULTS[fault]
    damage(checkpoint)
    with pytest.raises(CheckpointError, match=f"(?s){message}") as caught:
        load_checkpoint(checkpoint)
    error = caught.value
    assert str(checkpoint) in error.where
    assert str(error.found)
    assert str(error.allowed)
    assert error.fix
