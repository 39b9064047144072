"""Opens a checkpoint directory: the format is detected from the files, never declared."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vla_core.errors import CheckpointError
from vla_policy.checkpoints import fluxvla, lerobot, openpi_jax, openpi_pytorch, transformers
from vla_policy.checkpoints.folder import checked_names
from vla_policy.checkpoints.json_file import read_json_object
from vla_policy.checkpoints.merge_lora import merge_lora
from vla_policy.checkpoints.stored import CheckpointFormat, StoredCheckpoint
from vla_policy.models.config import FAMILIES, ModelConfig

PICKLE_SUFFIXES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")

Reader = Callable[[Path, ModelConfig | None], StoredCheckpoint]
READERS: Mapping[CheckpointFormat, Reader] = {
    CheckpointFormat.OPENPI_PYTORCH: openpi_pytorch.read,
    CheckpointFormat.OPENPI_JAX: openpi_jax.read,
    CheckpointFormat.LEROBOT: lerobot.read,
    CheckpointFormat.TRANSFORMERS: transformers.read,
    CheckpointFormat.FLUXVLA: fluxvla.read,
}


def read_checkpoint(
    path: Path | str, defaults: ModelConfig | None = None, *, keep_lora: bool = False
) -> StoredCheckpoint:
    """What a checkpoint directory of any supported format says, without its weights.

    Args:
        path: The directory, or an ``hf://`` or ``gs://`` address.
        defaults: Sizes that the files may leave out: those of a recipe.
        keep_lora: Leave LoRA factors beside the weights instead of merging them.

    Raises:
        CheckpointError: The format is not known, or the files are damaged, hostile or incomplete.
    """
    path = local_path(path)
    stored = READERS[detect_format(path)](path, defaults)
    return stored if keep_lora else merge_lora(stored)


def local_path(path: Path | str) -> Path:
    """A local directory as it is; what an address names is fetched first."""
    if not str(path).strip():  # a Path would make the working directory of it
        raise CheckpointError(
            "no checkpoint is named",
            where="checkpoint",
            found="nothing",
            allowed="a directory, an address, a recipe's name, replay:..., or hold:",
        )
    if ":/" in str(path):  # a Path has joined the two slashes
        from vla_policy.checkpoints import hub  # slow, and not for local ones

        return hub.local_directory(path)
    return Path(os.path.expanduser(path))


def is_other_lerobot_policy(path: Path) -> bool:
    """Whether a directory holds a LeRobot policy that is not of the pi0 family."""
    if "config.json" not in _names(path):
        return False
    kind = read_json_object(path / "config.json").get("type", "pi0")
    return kind not in FAMILIES


def detect_format(path: Path) -> CheckpointFormat:
    """The format of a directory, from the names of its files and the keys of its config.json."""
    names = checked_names(path)
    found = _formats(path, names)
    if len(found) == 1:
        return found[0]
    if found:
        raise CheckpointError(
            "two formats in one directory",
            where=str(path),
            found="; ".join(known.value for known in found),
            allowed="one",
            fix="move one of them to a directory of its own",
        )
    if pickles := sorted(n for n in names if n.endswith(PICKLE_SUFFIXES)):
        raise CheckpointError(
            "pickled weights are refused: loading them can run any code",
            where=str(path),
            found=", ".join(pickles[:5]),
            allowed="; ".join(known.value for known in CheckpointFormat),
            fix="convert them to safetensors where they come from",
        )
    inner = sorted(e.name for e in path.iterdir() if e.is_dir() and _formats(e, _names(e)))
    raise CheckpointError(
        "a checkpoint of unsupported layout",
        where=str(path),
        found=", ".join(sorted(names)[:8]) or "an empty directory",
        allowed="; ".join(known.value for known in CheckpointFormat),
        fix=f"did you mean {path / inner[-1]}?"
        if inner
        else "convert it to a supported layout, or give the directory that has it",
    )


def _formats(path: Path, names: set[str]) -> list[CheckpointFormat]:
    """All formats that a directory shows the marks of."""
    found = []
    weights = bool(names & {"model.safetensors", "model.safetensors.index.json"})
    if "params" in names and _names(path / "params") & {"manifest.ocdbt", "_METADATA"}:
        found.append(CheckpointFormat.OPENPI_JAX)
    if "adapter_config.json" in names:
        found.append(CheckpointFormat.LEROBOT)
    config = read_json_object(path / "config.json") if "config.json" in names else {}
    if fluxvla.describes(config):
        found.append(CheckpointFormat.FLUXVLA)
    if weights:
        found.append(_of_weights(config))
    return list(dict.fromkeys(found))  # an adapter may lie beside its base


def _of_weights(config: Mapping[str, Any]) -> CheckpointFormat:
    if "type" in config:
        return CheckpointFormat.LEROBOT
    if {"architectures", "transformers_version"} & config.keys():
        return CheckpointFormat.TRANSFORMERS
    return CheckpointFormat.OPENPI_PYTORCH


def _names(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir()} if path.is_dir() else set()
