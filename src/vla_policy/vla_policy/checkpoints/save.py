"""Writes checkpoints of any format that can hold them; a directory appears whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from zlib import crc32

import torch
from torch import Tensor

from vla_core.errors import CheckpointError
from vla_core.stats import NormStats
from vla_policy.checkpoints import lerobot_write, openpi_jax, openpi_pytorch
from vla_policy.checkpoints.folder import new_directory
from vla_policy.checkpoints.open import read_checkpoint
from vla_policy.checkpoints.stored import AllStats, CheckpointFormat, StoredCheckpoint
from vla_policy.checkpoints.tokenizer_files import FAST_FILES
from vla_policy.models.paligemma import parameter_dtype
from vla_policy.models.pi0 import Pi0
from vla_policy.models.pi0_fast import Pi0Fast
from vla_policy.processing import Processing

Writer = Callable[[Path, StoredCheckpoint], None]
WRITERS: Mapping[CheckpointFormat, Writer] = {
    CheckpointFormat.OPENPI_PYTORCH: openpi_pytorch.write,
    CheckpointFormat.OPENPI_JAX: openpi_jax.write,
    CheckpointFormat.LEROBOT: lerobot_write.write,
}


def save_checkpoint(
    directory: Path,
    *,
    model: Pi0 | Pi0Fast,
    norm_stats: AllStats,
    tokenizer: Path | None = None,
    fast_tokenizer: Path | None = None,
    robot: str = "",
    contract: str | None = None,
) -> None:
    """Writes a model in openpi's PyTorch layout.

    Args:
        directory: Must not exist yet, or be empty.
        model: Stored in the types it has.
        norm_stats: By asset id, then by quantity.
        tokenizer: A SentencePiece model to copy beside the weights.
        fast_tokenizer: Directory of a FAST tokenizer to copy likewise.
        robot: Adapter whose numbers the model knows; empty: not stated.
        contract: Content hash of the contract that it was trained with.
    """
    state = model.state_dict()
    stored = StoredCheckpoint(
        format=CheckpointFormat.OPENPI_PYTORCH,
        path=directory,
        config=model.config,
        processing=replace(Processing.openpi(model.config), robot=robot),
        shapes={name: tuple(tensor.shape) for name, tensor in state.items()},
        dtypes={name: tensor.dtype for name, tensor in state.items()},
        stream=lambda: iter(state.items()),
        norm_stats=norm_stats,
        tokenizer=tokenizer,
        fast_tokenizer=fast_tokenizer,
        contract=contract,
    )
    with new_directory(directory) as partial:
        openpi_pytorch.write(partial, stored)


def convert(
    stored: StoredCheckpoint,
    directory: Path,
    to: CheckpointFormat,
    dtype: torch.dtype | None = None,
) -> StoredCheckpoint:
    """Writes a checkpoint in another format, and reads it back to see that nothing was lost.

    Args:
        stored: The source.
        directory: Must not exist yet, or be empty.
        to: The format to write.
        dtype: Of the weights; None keeps each as it is stored. bfloat16 keeps the float32 parts
            of the reference.

    Returns:
        What was written.

    Raises:
        CheckpointError: The format cannot hold something of the source; nothing was written.
    """
    if to not in WRITERS:
        raise CheckpointError(
            "this format can be read but not written",
            found=to.short,
            allowed=", ".join(known.short for known in WRITERS),
        )
    if stored.lora and to is not CheckpointFormat.OPENPI_JAX:
        raise CheckpointError(
            "LoRA factors are kept apart in one format only",
            where=str(stored.path),
            found=to.short,
            allowed=CheckpointFormat.OPENPI_JAX.short,
            fix="merge them",
        )
    if dtype is not None:
        stored = replace(stored, dtypes={n: parameter_dtype(n, dtype) for n in stored.dtypes})
    sums: dict[str, int] = {}
    with new_directory(directory, outside=stored.path) as partial:
        WRITERS[to](partial, replace(stored, stream=lambda: _summed(stored, sums)))
        again = read_checkpoint(partial, stored.config, keep_lora=True)
        _require_same(stored, sums, again, to)
    return read_checkpoint(directory, stored.config, keep_lora=True)


def _summed(stored: StoredCheckpoint, sums: dict[str, int]) -> Iterator[tuple[str, Tensor]]:
    """The weights in the types to write, and their checksums on the way."""
    for name, tensor in stored.stream():
        cast = tensor.to(stored.dtypes[name]).contiguous()
        sums[name] = crc32(cast.view(-1).view(torch.uint8).numpy().data)
        yield name, cast


def _require_same(
    source: StoredCheckpoint, sums: Mapping[str, int], copy: StoredCheckpoint, to: CheckpointFormat
) -> None:
    facts, again = _facts(source), _facts(copy)
    if lost := [name for name in facts if facts[name] != again[name]]:
        raise CheckpointError(
            f"the format {to.short} cannot hold everything of this checkpoint",
            where=str(source.path),
            found="; ".join(f"{name}: {facts[name]} became {again[name]}" for name in lost),
            allowed="what comes back as it was",
            fix="choose another --format, such as openpi-pytorch",
        )
    written: dict[str, int] = {}
    for _ in _summed(copy, written):
        pass
    if wrong := [name for name in sums if written.get(name) != sums[name]]:
        raise CheckpointError(
            "weights came back other than they were written",
            where=", ".join(wrong[:5]),
            fix="check the disk, and try again",
        )


def _facts(stored: StoredCheckpoint) -> dict[str, object]:
    """What must come back as it was, in a form that can be compared."""
    files = [stored.tokenizer]
    if stored.fast_tokenizer is not None:
        files += [stored.fast_tokenizer / name for name in FAST_FILES]
    return {
        "config": stored.config,
        "processing": stored.processing,
        "norm_stats": {
            asset: {key: _lists(entry) for key, entry in stats.items()}
            for asset, stats in stored.norm_stats.items()
        },
        "tokenizers": [file and crc32(file.read_bytes()) for file in files],
        "contract": stored.contract,
        "lora": stored.lora,
    }


def _lists(stats: NormStats) -> dict[str, list[float] | None]:
    vectors = {field.name: getattr(stats, field.name) for field in fields(stats)}
    return {n: None if vector is None else vector.tolist() for n, vector in vectors.items()}
