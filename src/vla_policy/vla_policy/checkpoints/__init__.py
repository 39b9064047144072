"""Checkpoint directories: one loader that detects the format, one file per format."""

from vla_policy.checkpoints.loaded import LoadedCheckpoint
from vla_policy.checkpoints.open import load_checkpoint
from vla_policy.checkpoints.openpi_pytorch import save_checkpoint

__all__ = ["LoadedCheckpoint", "load_checkpoint", "save_checkpoint"]
