"""FluxVLA's platforms. Its checkpoints state their own images and normalisation.

Source: FluxVLA, configs/pi0.
"""

from __future__ import annotations

from functools import partial

from vla_policy.recipes.recipe import PI0_BASE, Recipe

_pi0 = partial(Recipe, model="pi0", base=PI0_BASE)

ALL = (
    Recipe(
        name="pi0_aloha_agilex",
        description="two Piper arms on your recordings, 14 wide without padding",
        model="pi0",
        robot="aloha_agilex_absolute",
        asset_id="aloha_agilex",
        action_dim=14,
        action_horizon=32,
    ),
    _pi0(
        name="pi0_ur3",
        description="base model trained on your recordings",
        robot="ur3",
        asset_id="ur3",
    ),
    _pi0(
        name="pi0_ur3_mixed",
        description="the same in one model with an ALOHA",
        robot="ur3_mixed",
        asset_id="ur3",
    ),
)
