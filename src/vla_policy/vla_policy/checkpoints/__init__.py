"""Checkpoint directories: one loader that detects the format, one file per format."""

from vla_policy.checkpoints.load import LoadedCheckpoint, load_checkpoint
from vla_policy.checkpoints.open import read_checkpoint
from vla_policy.checkpoints.save import convert, save_checkpoint
from vla_policy.checkpoints.stored import CheckpointFormat, StoredCheckpoint

__all__ = [
    "CheckpointFormat",
    "LoadedCheckpoint",
    "StoredCheckpoint",
    "convert",
    "load_checkpoint",
    "read_checkpoint",
    "save_checkpoint",
]
