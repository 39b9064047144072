"""openpi's PyTorch layout: read as it is written, and one clear error for whatever else is met."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import golden_model_case as golden
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from vla_core.errors import CheckpointError
from vla_core.stats import NormStats
from vla_policy.checkpoints import (
    CheckpointFormat,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from vla_policy.checkpoints.model_config import TIED_EMBEDDING, TOKEN_EMBEDDING
from vla_policy.checkpoints.model_config import UNUSED_EXPERT_HEAD as HEAD
from vla_policy.models.config import GEMMA_VARIANTS
from vla_policy.models.pi0 import Pi0

STATS = {
    "state": NormStats(mean=np.zeros(2), std=np.ones(2), q01=-np.ones(2), q99=np.ones(2)),
    "actions": NormStats(mean=np.ones(3), std=np.ones(3)),
}
Directory = Path
Damage = Callable[[Directory], Any]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Iterator[Path]:
    """A writable copy of the golden pi0 checkpoint with statistics."""
    directory = tmp_path / "checkpoint"
    save_checkpoint(
        directory, model=golden.model("pi0"), norm_stats={"trossen": STATS, "lab/cup": STATS}
    )
    return directory


def edit_tensors(directory: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = load_file(directory / "model.safetensors")
    change(tensors)
    save_file(tensors, directory / "model.safetensors")


def edit_config(directory: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = directory / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def equal_weights(a: Pi0, b: Pi0) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[n], right[n]) for n in left)


def test_a_saved_checkpoint_is_loaded_back_whole(checkpoint: Path) -> None:
    loaded, original = load_checkpoint(checkpoint), golden.model("pi0")
    assert loaded.config == original.config
    assert equal_weights(loaded.model, original)
    assert not loaded.model.training
    assert loaded.stored.format is CheckpointFormat.OPENPI_PYTORCH
    assert loaded.stored.path == checkpoint
    assert loaded.stored.tokenizer is None
    stats = loaded.stored.norm_stats
    assert set(stats) == {"trossen", "lab/cup"}
    np.testing.assert_array_equal(stats["lab/cup"]["state"].q01, STATS["state"].q01)
    assert stats["trossen"]["actions"].q01 is None


@pytest.mark.parametrize("family", golden.FAMILIES)
def test_a_saved_file_has_the_tensors_and_alias_of_the_reference_file(
    family: str, tmp_path: Path
) -> None:
    save_checkpoint(tmp_path / "own", model=golden.model(family), norm_stats={})
    own = load_file(tmp_path / "own" / "model.safetensors")
    reference = load_file(golden.GOLDEN / family / "model.safetensors")
    assert own.keys() == reference.keys()
    assert all(torch.equal(own[name], reference[name]) for name in own if name != HEAD)
    assert own[HEAD].shape == reference[HEAD].shape


def test_a_checkpoint_saved_in_bfloat16_keeps_its_types(tmp_path: Path) -> None:
    model = golden.model("pi05", torch.bfloat16)
    save_checkpoint(tmp_path / "own", model=model, norm_stats={})
    again = load_checkpoint(tmp_path / "own", dtype=torch.bfloat16).model
    assert equal_weights(again, model)
    assert json.loads((tmp_path / "own" / "config.json").read_text())["precision"] == "bfloat16"


def test_saving_writes_the_tokenizer_beside_the_weights(tmp_path: Path) -> None:
    (tmp_path / "some.model").write_bytes(b"pieces")
    directory = tmp_path / "own"
    save_checkpoint(
        directory,
        model=golden.model("pi0"),
        norm_stats={},
        tokenizer=tmp_path / "some.model",
    )
    found = read_checkpoint(directory).tokenizer
    assert found == directory / "tokenizer.model"
    assert found.read_bytes() == b"pieces"


def test_saving_never_writes_over_files_and_leaves_nothing_half_done(
    checkpoint: Path, tmp_path: Path
) -> None:
    before = (checkpoint / "model.safetensors").read_bytes()
    model = golden.model("pi05")
    with pytest.raises(CheckpointError, match="never written over"):
        save_checkpoint(checkpoint, model=model, norm_stats={})
    assert (checkpoint / "model.safetensors").read_bytes() == before
    with pytest.raises(CheckpointError, match="leaves the checkpoint"):
        save_checkpoint(tmp_path / "new", model=model, norm_stats={"../x": STATS})
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["checkpoint"]


def test_saving_after_a_killed_save_succeeds(tmp_path: Path) -> None:
    (tmp_path / ".new.partial").mkdir()
    (tmp_path / ".new.partial" / "rest").write_text("of a killed run")
    save_checkpoint(tmp_path / "new", model=golden.model("pi0"), norm_stats={})
    assert [entry.name for entry in tmp_path.iterdir()] == ["new"]
    assert not (tmp_path / "new" / "rest").exists()


def rename_to_embedding(tensors: dict[str, torch.Tensor]) -> None:
    tensors[TOKEN_EMBEDDING] = tensors.pop(TIED_EMBEDDING)


def add_embedding(tensors: dict[str, torch.Tensor]) -> None:
    tensors[TOKEN_EMBEDDING] = tensors[TIED_EMBEDDING].clone()


@pytest.mark.parametrize(
    "change", [rename_to_embedding, add_embedding, lambda tensors: tensors.pop(HEAD)]
)
def test_every_known_way_to_store_the_embedding_is_read(
    checkpoint: Path, change: Callable[[dict[str, torch.Tensor]], Any]
) -> None:
    edit_tensors(checkpoint, change)
    assert equal_weights(load_checkpoint(checkpoint).model, golden.model("pi0"))


def test_sizes_that_openpis_config_leaves_out_come_from_names_and_tensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = golden.model("pi05")
    save_checkpoint(tmp_path / "own", model=model, norm_stats={})
    variants = {"small": model.config.paligemma, "smaller": model.config.action_expert}
    monkeypatch.setattr(
        "vla_policy.checkpoints.model_config.GEMMA_VARIANTS", {**GEMMA_VARIANTS, **variants}
    )
    monkeypatch.setattr("vla_policy.checkpoints.model_config.SO400M", model.config.siglip)
    openpi = {
        "action_dim": 32,
        "action_horizon": 50,
        "paligemma_variant": "small",
        "action_expert_variant": "smaller",
        "precision": "float32",
    }
    (tmp_path / "own" / "config.json").write_text(json.dumps(openpi))
    loaded = load_checkpoint(tmp_path / "own")
    assert loaded.config == model.config
    assert equal_weights(loaded.model, model)


def test_files_of_a_training_run_beside_the_weights_are_not_opened(checkpoint: Path) -> None:
    (checkpoint / "optimizer.pt").write_bytes(b"\x80\x04not even a pickle")
    assert load_checkpoint(checkpoint).config == golden.model("pi0").config


def test_a_loaded_model_does_not_follow_later_changes_of_its_file(checkpoint: Path) -> None:
    model = load_checkpoint(checkpoint).model
    with (checkpoint / "model.safetensors").open("r+b") as file:
        file.write(bytes((checkpoint / "model.safetensors").stat().st_size))
    assert equal_weights(model, golden.model("pi0"))


def truncate(share: float) -> Damage:
    def damage(directory: Path) -> None:
        path = directory / "model.safetensors"
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return damage


def in_config(change: Callable[[dict[str, Any]], Any]) -> Damage:
    return lambda directory: edit_config(directory, change)


def in_tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Damage:
    return lambda directory: edit_tensors(directory, change)


def keep_only(*names: str) -> Damage:
    def damage(directory: Path) -> None:
        shutil.rmtree(directory)
        directory.mkdir()
        for name in names:
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_bytes(b"\x80\x04")

    return damage


def with_index(weight_map: dict[str, Any]) -> Damage:
    def damage(directory: Path) -> None:
        (directory / "model.safetensors").unlink()
        index = json.dumps({"weight_map": weight_map})
        (directory / "model.safetensors.index.json").write_text(index)

    return damage


def plant(name: str, value: float) -> Damage:
    return in_tensors(lambda tensors: tensors[name].view(-1)[3:4].fill_(value))


def as_integers(tensors: dict[str, torch.Tensor]) -> None:
    tensors["state_proj.bias"] = tensors["state_proj.bias"].to(torch.int32)


def as_fast(tensors: dict[str, torch.Tensor]) -> None:
    for name in [n for n in tensors if n.startswith(("state_proj", "action_", "time_"))]:
        del tensors[name]


FAULTS: dict[str, tuple[Damage, str]] = {
    "missing directory": (shutil.rmtree, "no checkpoint directory.*found: nothing"),
    "a file instead": (
        lambda d: (shutil.rmtree(d), d.write_text("x")),
        "no checkpoint directory.*found: a file",
    ),
    "empty directory": (keep_only(), "unsupported layout.*an empty directory"),
    "unknown layout": (keep_only("notes.txt", "run.yaml"), "unsupported layout.*notes.txt"),
    "pickle": (keep_only("pytorch_model.bin"), "pickled weights are refused.*pytorch_model.bin"),
    "no config": (
        lambda d: (d / "config.json").unlink(),
        "a value is missing.*action_horizon.*recipe",
    ),
    "no weights": (lambda d: (d / "model.safetensors").unlink(), "unsupported layout"),
    "config is not JSON": (
        lambda d: (d / "config.json").write_text("{"),
        "configuration file cannot be read.*config.json",
    ),
    "config is a list": (
        lambda d: (d / "config.json").write_text("[]"),
        "found: list; allowed: one JSON object",
    ),
    "config is nested too deep": (
        lambda d: (d / "config.json").write_text("[" * 100_000),
        "configuration file cannot be read",
    ),
    "config is huge": (
        lambda d: (d / "config.json").write_text(" " * 2_000_000),
        "found: 2000000 bytes",
    ),
    "empty weights": (truncate(0.0), "weight file cannot be read.*model.safetensors"),
    "cut header": (truncate(0.001), "weight file cannot be read"),
    "cut data": (truncate(0.9), "weight file cannot be read.*truncated"),
    "no horizon": (in_config(lambda c: c.pop("action_horizon")), "action_horizon; found: nothing"),
    "horizon as text": (
        in_config(lambda c: c.update(action_horizon="50")),
        "action_horizon; found: '50'; allowed: int",
    ),
    "a size as bool": (
        in_config(lambda c: c["siglip"].update(depth=True)),
        "siglip, depth; found: True; allowed: int",
    ),
    "a size of zero": (in_config(lambda c: c["siglip"].update(width=0)), "out of range"),
    "a hostile depth": (
        in_config(lambda c: c["siglip"].update(depth=1 << 20)),
        "siglip.depth is 1048576 in config.json and 2 in the weights",
    ),
    "other action_dim": (
        in_config(lambda c: c.update(action_dim=14)),
        "action_dim is 14 in config.json and 32 in the weights",
    ),
    "other family": (
        in_config(lambda c: (c.pop("model_type"), c.update(pi05=True))),
        "model_type is pi05 in config.json and pi0 in the weights",
    ),
    "unknown variant": (
        in_config(lambda c: (c.pop("paligemma"), c.update(paligemma_variant="gemma_7b"))),
        "unknown model variant.*gemma_7b.*gemma_2b, gemma_300m",
    ),
    "other mlp_dim": (
        in_config(lambda c: c["paligemma"].update(mlp_dim=64)),
        "paligemma.mlp_dim is 64 in config.json and 128 in the weights",
    ),
    "missing tensor": (
        in_tensors(lambda t: t.pop("action_out_proj.bias")),
        "1 missing: action_out_proj.bias",
    ),
    "unexpected tensor": (
        in_tensors(lambda t: t.update(extra=torch.zeros(2))),
        "1 unexpected: extra",
    ),
    "no embedding": (in_tensors(lambda t: t.pop(TIED_EMBEDDING)), "neither pi0 nor pi0.5"),
    "two embeddings": (
        in_tensors(lambda t: t.update({TOKEN_EMBEDDING: t[TIED_EMBEDDING] + 1})),
        "copies differ",
    ),
    "pi0-FAST": (in_tensors(as_fast), "pi0 in config.json and pi0_fast in the weights"),
    "integers": (in_tensors(as_integers), "unsupported type.*state_proj.bias.*I32.*F32"),
    "NaN": (plant("action_out_proj.weight", float("nan")), "action_out_proj.weight; found: 1 of"),
    "infinity": (plant("state_proj.weight", float("-inf")), "not finite.*state_proj.weight"),
    "vocabulary as a float": (
        in_config(lambda c: c.update(vocab_size=float(c["vocab_size"]))),
        "vocab_size; found: .*; allowed: int",
    ),
    "an index of lists": (with_index({"a": ["model.safetensors"]}), "names no files beside it"),
    "an index of no name": (with_index({"a": ""}), "names no files beside it"),
    "a link to itself": (
        lambda d: (d / "loop").symlink_to("loop"),
        "holds what it should not.*a link that leads to itself",
    ),
    "bad statistics": (
        lambda d: (d / "assets/lab/cup/norm_stats.json").write_text("{}"),
        "lab/cup/norm_stats.json",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_checkpoint_is_one_clear_error(fault: str, checkpoint: Path) -> None:
    damage, message = FAULTS[fault]
    damage(checkpoint)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(checkpoint)
    error = caught.value
    assert str(checkpoint) in error.where
    assert str(error.found)
    assert str(error.allowed)
    assert error.fix


def test_a_type_that_no_model_runs_in_is_refused(checkpoint: Path) -> None:
    with pytest.raises(CheckpointError, match=r"torch.float16.*torch.bfloat16"):
        load_checkpoint(checkpoint, dtype=torch.float16)
