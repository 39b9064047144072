"""The model that a configuration describes."""

from __future__ import annotations

from vla_policy.models.config import ModelConfig, Pi0Config
from vla_policy.models.pi0 import Pi0
from vla_policy.models.pi0_fast import Pi0Fast


def build_model(config: ModelConfig) -> Pi0 | Pi0Fast:
    """A model without trained weights; under ``torch.device("meta")`` without memory."""
    return Pi0(config) if isinstance(config, Pi0Config) else Pi0Fast(config)
