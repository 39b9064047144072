"""What a named policy fixes."""

from __future__ import annotations

from dataclasses import dataclass

from vla_policy import robots
from vla_policy.models.config import (
    PROMPT_TOKENS,
    Family,
    ModelConfig,
    Pi0Config,
    Pi0FastConfig,
)

RELEASED = "gs://openpi-assets/checkpoints/"
PI0_BASE = RELEASED + "pi0_base"
PI05_BASE = RELEASED + "pi05_base"
PI0_FAST_BASE = RELEASED + "pi0_fast_base"
FAST_TOKENIZER = "hf://physical-intelligence/fast"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One named policy.

    Attributes:
        name: As in the registry that it comes from.
        description: One line.
        model: Family.
        robot: Adapter in `vla_policy.robots`.
        asset_id: Folder of its statistics in a checkpoint.
        action_dim: Of the model.
        action_horizon: Actions in a chunk.
        max_token_len: Of the prompt; 0: as usual for the family.
        discrete_state_input: Whether the prompt holds the state; None: as usual for the family.
        lora: Both experts were trained as low-rank adapters.
        fast_tokenizer: FAST tokenizer on the Hub, for pi0-FAST.
        default_prompt: Task where nothing names one; empty: it has to be named.
        checkpoint: Address of released weights; None: there are none.
        base: Address of the weights that training starts from; None: it is not trained further.
        dataset: That it is trained on, where that is public.
    """

    name: str
    description: str
    model: Family
    robot: str
    asset_id: str
    action_dim: int = 32
    action_horizon: int = 50
    max_token_len: int = 0
    discrete_state_input: bool | None = None
    lora: bool = False
    fast_tokenizer: str = FAST_TOKENIZER
    default_prompt: str = ""
    checkpoint: str | None = None
    base: str | None = None
    dataset: str = ""

    def config(self) -> ModelConfig:
        """Sizes of the model; adapters of low rank are not part of them."""
        slots = robots.get(self.robot).slots(fast=self.model == "pi0_fast")
        max_token_len = self.max_token_len or PROMPT_TOKENS[self.model]
        if self.model == "pi0_fast":
            return Pi0FastConfig(
                action_dim=self.action_dim,
                action_horizon=self.action_horizon,
                max_token_len=max_token_len,
                image_keys=slots,
            )
        return Pi0Config(
            pi05=self.model == "pi05",
            action_dim=self.action_dim,
            action_horizon=self.action_horizon,
            max_token_len=max_token_len,
            discrete_state_input=self.discrete_state_input,
            image_keys=slots,
        )
