"""Opens a checkpoint directory: the format is detected from the files, never declared."""

from __future__ import annotations

from pathlib import Path

import torch

from vla_core.errors import CheckpointError
from vla_policy.checkpoints import openpi_pytorch
from vla_policy.checkpoints.json_file import read_json_object
from vla_policy.checkpoints.loaded import CheckpointFormat, LoadedCheckpoint

PICKLE_SUFFIXES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")


def load_checkpoint(
    path: Path | str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> LoadedCheckpoint:
    """Loads a checkpoint directory of any supported format.

    Args:
        path: The directory.
        device: Where the model goes; weights are streamed there one by one.
        dtype: float32 or bfloat16; bfloat16 keeps the float32 parts of the reference.

    Raises:
        CheckpointError: The directory cannot be loaded; the message says why and what to do.
    """
    if "://" in str(path):
        raise CheckpointError(
            "remote checkpoints are not supported yet",
            found=path,
            allowed="a local directory",
            fix="download it, and give the directory",
        )
    path = Path(path).expanduser()
    if dtype not in (torch.float32, torch.bfloat16):
        raise CheckpointError(
            "a model cannot run in this type",
            where=str(path),
            found=dtype,
            allowed="torch.float32, torch.bfloat16",
        )
    match detect_format(path):
        case CheckpointFormat.OPENPI_PYTORCH:
            return openpi_pytorch.load(path, device=device, dtype=dtype)


def detect_format(path: Path) -> CheckpointFormat:
    """The format of a directory, from the names of its files and the keys of its config.json."""
    names = _file_names(path)
    if "model.safetensors" in names and "config.json" in names:
        if "type" in read_json_object(path / "config.json"):
            raise _unsupported(path, "a LeRobot policy (config.json has a key 'type')")
        return CheckpointFormat.OPENPI_PYTORCH
    if "model.safetensors" in names:
        raise _unsupported(path, "model.safetensors without a config.json")
    if "params" in names and (path / "params").is_dir():
        raise _unsupported(path, "params/, an openpi JAX checkpoint")
    if any(name.startswith("adapter_model.") for name in names):
        raise _unsupported(path, "a PEFT adapter without its base model")
    if pickles := sorted(n for n in names if n.endswith(PICKLE_SUFFIXES)):
        raise CheckpointError(
            "pickled weights are refused: loading them can run any code",
            where=str(path),
            found=", ".join(pickles[:5]),
            allowed=CheckpointFormat.OPENPI_PYTORCH.value,
            fix="convert them to safetensors where they come from",
        )
    raise _unsupported(path, ", ".join(sorted(names)[:8]) or "an empty directory")


def _file_names(path: Path) -> set[str]:
    if not path.is_dir():
        raise CheckpointError(
            "no checkpoint directory",
            where=str(path),
            found="a file" if path.exists() else "nothing",
            allowed=f"a directory: {CheckpointFormat.OPENPI_PYTORCH.value}",
            fix="give the directory that holds model.safetensors, or make one to try with: "
            "ros2 run vla_policy make_random_checkpoint --output DIR",
        )
    return {entry.name for entry in path.iterdir()}


def _unsupported(path: Path, found: str) -> CheckpointError:
    return CheckpointError(
        "a checkpoint of unsupported layout",
        where=str(path),
        found=found,
        allowed="; ".join(known.value for known in CheckpointFormat),
        fix="convert it to a supported layout, or give the directory that has it",
    )
