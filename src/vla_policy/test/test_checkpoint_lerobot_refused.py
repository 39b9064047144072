"""LeRobot's files when they are damaged or hostile: one clear message each, before any weight."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import golden_lerobot_case as golden
import pytest
import torch
from test_checkpoint_lerobot import edit_config, edit_json, edit_tensors, state_file

from vla_core.errors import CheckpointError
from vla_policy.checkpoints import read_checkpoint

BEFORE, AFTER = "policy_preprocessor.json", "policy_postprocessor.json"
Damage = Callable[[Path], Any]


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(golden.LEROBOT / "pi0", tmp_path / "pi0"))


def step(name: str, change: Callable[[dict[str, Any]], Any], file: str = BEFORE) -> Damage:
    """Changes the step of a name."""

    def damage(directory: Path) -> None:
        def edit(content: dict[str, Any]) -> None:
            change(next(s for s in content["steps"] if s["registry_name"].startswith(name)))

        edit_json(directory / file, edit)

    return damage


def without(name: str) -> Damage:
    def edit(content: dict[str, Any]) -> None:
        content["steps"] = [s for s in content["steps"] if s["registry_name"] != name]

    return lambda directory: edit_json(directory / BEFORE, edit)


def swapped(directory: Path) -> None:
    def edit(content: dict[str, Any]) -> None:
        steps = content["steps"]
        names = [s["registry_name"] for s in steps]
        i, k = names.index("relative_actions_processor"), names.index("normalizer_processor")
        steps[i], steps[k] = steps[k], steps[i]

    edit_json(directory / BEFORE, edit)


def by_class(entry: dict[str, Any]) -> None:
    entry["class"] = "os.system"
    del entry["registry_name"]


def statistics(change: Callable[[dict[str, torch.Tensor]], Any], of: str = "policy_pre") -> Damage:
    return lambda directory: edit_tensors(state_file(directory, of), change)


def not_a_number(tensors: dict[str, torch.Tensor]) -> None:
    tensors["observation.state.mean"][2] = torch.nan


def link_out(directory: Path) -> None:
    (directory.parent / "outside.safetensors").write_bytes(b"")
    state_file(directory).unlink()
    os.symlink(directory.parent / "outside.safetensors", state_file_name(directory))


def state_file_name(directory: Path) -> Path:
    steps = json.loads((directory / BEFORE).read_text())["steps"]
    return directory / next(s["state_file"] for s in steps if "state_file" in s)


def cut(directory: Path) -> None:
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def overlap(directory: Path) -> None:
    path = directory / "model.safetensors"
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    a, b = (header[f"model.action_time_mlp_{end}.bias"] for end in ("in", "out"))
    b["data_offsets"] = a["data_offsets"]
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])


DAMAGES: dict[str, tuple[Damage, str]] = {
    "an unknown step": (
        step("rename", lambda s: s.update(registry_name="unpack_everything_processor")),
        "an unknown processor step.*unpack_everything",
    ),
    "a step by class path": (step("rename", by_class), "named by a class.*os.system"),
    "a step by class beside a name": (
        step("rename", lambda s: s.update({"class": "os.system"})),
        "named by a class",
    ),
    "a step left out": (without("pi0_new_line_processor"), "missing or in another order"),
    "no tokenizer step": (without("tokenizer_processor"), "missing or in another order"),
    "steps swapped": (swapped, "missing or in another order"),
    "a state file outside": (
        step("normalizer", lambda s: s.update(state_file="../other.safetensors")),
        "outside of the directory",
    ),
    "an absolute state file": (
        step("normalizer", lambda s: s.update(state_file="/etc/passwd")),
        "outside of the directory",
    ),
    "an absent state file": (lambda d: state_file(d).unlink(), "no state file.*nothing"),
    "a state file that links out": (link_out, "holds what it should not.*a link to"),
    "a pickled state file": (
        lambda d: state_file(d).write_bytes(b"\x80\x04\x95" + bytes(64)),
        "pickled weights are refused",
    ),
    "statistics of the wrong size": (
        statistics(lambda t: t.update({"observation.state.mean": torch.zeros(4)})),
        "of another size than the feature",
    ),
    "statistics of all actions too short": (
        statistics(
            lambda t: t.update(
                {n: v[:3].clone() for n, v in t.items() if n.startswith("action.")}
            ),
            "policy_post",
        ),
        "of another size than the feature",
    ),
    "statistics with NaN": (statistics(not_a_number), "a statistic is not finite"),
    "a negative deviation": (
        statistics(lambda t: t.update({"observation.state.std": -torch.ones(5)})),
        "deviation is negative",
    ),
    "no deviation": (
        statistics(lambda t: {n: v for n, v in t.items() if not n.endswith("std")}),
        "statistics are incomplete",
    ),
    "another epsilon": (step("normalizer", lambda s: s["config"].update(eps=0.1)), "epsilon"),
    "pictures normalised": (
        step("normalizer", lambda s: s["config"]["norm_map"].update(VISUAL="MEAN_STD")),
        "pictures are normalised",
    ),
    "bounds the wrong way round": (
        statistics(lambda t: t.update({"observation.state.q99": t["observation.state.q01"] - 1})),
        "q99 lies below q01.*observation.state",
    ),
    "a state file without the state": (
        statistics(lambda t: {n: v for n, v in t.items() if not n.startswith("observation.")}),
        "a state file without statistics.*none of observation.state",
    ),
    "the weights as a state file": (
        step("normalizer", lambda s: s.update(state_file="model.safetensors")),
        "a state file without statistics.*model.safetensors",
    ),
    **{
        f"normalised keys that are {keys!r}": (
            step("normalizer", lambda s, k=keys: s["config"].update(normalize_observation_keys=k)),
            "no list of names.*normalize_observation_keys",
        )
        for keys in (3, "observation.state", [["a"]], {"observation.state": True})
    },
    **{
        f"a {key} of {size}": (
            lambda d, k=key, n=size: edit_config(d, **{k: n}),
            f"size out of range.*{key}; found: {size}",
        )
        for key in ("max_state_dim", "max_action_dim")
        for size in (-1, 0, 10**12)
    },
    "a huge feature": (
        lambda d: edit_config(
            d, output_features={"action": {"type": "ACTION", "shape": [10**12]}}
        ),
        "no feature.*action",
    ),
    "a key twice": (
        lambda d: (d / "config.json").write_text(
            (d / "config.json").read_text().replace("{", '{"chunk_size": 7,', 1)
        ),
        "the key 'chunk_size' twice",
    ),
    "an unknown mode": (
        step("normalizer", lambda s: s["config"]["norm_map"].update(STATE="COSINE")),
        "unknown mode of normalisation.*COSINE",
    ),
    "relative in one direction": (
        step("absolute", lambda s: s["config"].update(enabled=False), AFTER),
        "relative in one direction alone",
    ),
    "padded on the left": (
        step("tokenizer", lambda s: s["config"].update(padding_side="left")),
        "cannot be run.*left",
    ),
    "one processor file": (lambda d: (d / AFTER).unlink(), "one of two processor files"),
    "steps that are no list": (
        lambda d: (d / BEFORE).write_text('{"steps": {}}'),
        "no list of steps",
    ),
    "an unknown type": (lambda d: edit_config(d, type="smolvla"), "does not read.*smolvla"),
    "a type that is no text": (lambda d: edit_config(d, type=["pi0"]), "of the wrong type"),
    "another type than the weights": (
        lambda d: (
            edit_config(d, type="pi05"),
            (d / BEFORE).unlink(),
            (d / AFTER).unlink(),
        ),
        "neither pi0 nor pi0.5 nor pi0-FAST",
    ),
    "another resolution": (
        lambda d: edit_config(d, image_resolution=[448, 448]),
        "cannot be run.*448",
    ),
    "memory": (lambda d: edit_config(d, use_visual_memory=True), "cannot be run"),
    "a variant that is not there": (
        lambda d: edit_json(
            d / "config.json", lambda c: (c.pop("paligemma"), c.update(paligemma_variant="9b"))
        ),
        "unknown model variant.*9b",
    ),
    "features that are none": (
        lambda d: edit_config(d, input_features={"observation.state": {"shape": "5"}}),
        "no feature",
    ),
    "two formats": (
        lambda d: (
            (d / "params").mkdir(),
            (d / "params" / "manifest.ocdbt").write_bytes(b""),
        ),
        "two formats in one directory",
    ),
    "truncated weights": (cut, "cannot be read"),
    "overlapping weights": (overlap, "cannot be read"),
    "the same parameter twice": (
        lambda d: edit_tensors(
            d / "model.safetensors",
            lambda t: t.update({"state_proj.bias": t["model.state_proj.bias"].clone()}),
        ),
        "two tensors are the same parameter",
    ),
    "a policy before 0.4": (
        lambda d: edit_tensors(
            d / "model.safetensors",
            lambda t: t.update({"normalize_inputs.buffer_observation_state.mean": torch.zeros(5)}),
        ),
        "before 0.4.*migrate",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_policy_is_refused(damage: str, policy: Path) -> None:
    spoil, message = DAMAGES[damage]
    spoil(policy)
    with pytest.raises(CheckpointError, match=f"(?s){message}"):
        read_checkpoint(policy)


def test_the_undamaged_policy_is_read(policy: Path) -> None:
    assert read_checkpoint(policy).norm_stats
