"""openpi's registry of configurations.

Source: openpi, src/openpi/training/config.py, misc/roboarena_config.py, misc/polaris_config.py,
scripts/serve_policy.py, examples/droid/README.md and examples/ur5/README.md.
"""

from __future__ import annotations

from functools import partial

from vla_policy.models.config import Family
from vla_policy.recipes.recipe import (
    PI0_BASE,
    PI0_FAST_BASE,
    PI05_BASE,
    RELEASED,
    Recipe,
)

_aloha = partial(Recipe, robot="aloha", asset_id="trossen")
_velocity = partial(Recipe, robot="droid_velocity", asset_id="droid")
_position = partial(Recipe, robot="droid", asset_id="droid", dataset="droid (RLDS 1.0.1)")
_libero = partial(
    Recipe,
    robot="libero_delta",
    asset_id="physical-intelligence/libero",
    dataset="physical-intelligence/libero",
)

ALOHA = (
    _aloha(
        name="pi0_aloha",
        description="base model, tasks by prompt",
        model="pi0",
        checkpoint=PI0_BASE,
    ),
    _aloha(
        name="pi05_aloha",
        description="base model, tasks by prompt",
        model="pi05",
        checkpoint=PI05_BASE,
    ),
    _aloha(
        name="pi0_aloha_towel",
        description="folds a towel",
        model="pi0",
        default_prompt="fold the towel",
        checkpoint=RELEASED + "pi0_aloha_towel",
    ),
    _aloha(
        name="pi0_aloha_tupperware",
        description="unpacks a food box",
        model="pi0",
        default_prompt="open the tupperware and put the food on the plate",
        checkpoint=RELEASED + "pi0_aloha_tupperware",
    ),
    _aloha(
        name="pi0_aloha_pen_uncap",
        description="uncaps a pen",
        model="pi0",
        default_prompt="uncap the pen",
        checkpoint=RELEASED + "pi0_aloha_pen_uncap",
        base=PI0_BASE,
        dataset="physical-intelligence/aloha_pen_uncap_diverse",
    ),
    _aloha(
        name="pi05_aloha_pen_uncap",
        description="uncaps a pen",
        model="pi05",
        default_prompt="uncap the pen",
        base=PI05_BASE,
        dataset="physical-intelligence/aloha_pen_uncap_diverse",
    ),
    Recipe(
        name="pi0_aloha_sim",
        description="hands over a cube in simulation; joint angles, no differences",
        model="pi0",
        robot="aloha_absolute",
        asset_id="lerobot/aloha_sim_transfer_cube_human",
        default_prompt="Transfer cube",
        checkpoint=RELEASED + "pi0_aloha_sim",
        base=PI0_BASE,
        dataset="lerobot/aloha_sim_transfer_cube_human",
    ),
)

DROID = (
    _velocity(
        name="pi0_droid",
        description="table-top tasks by prompt",
        model="pi0",
        action_horizon=10,
        checkpoint=RELEASED + "pi0_droid",
    ),
    _velocity(
        name="pi0_fast_droid",
        description="table-top tasks by prompt",
        model="pi0_fast",
        action_dim=8,
        action_horizon=10,
        checkpoint=RELEASED + "pi0_fast_droid",
    ),
    _velocity(
        name="pi05_droid",
        description="table-top tasks by prompt",
        model="pi05",
        action_horizon=15,
        checkpoint=RELEASED + "pi05_droid",
    ),
    _velocity(
        name="pi05_droid_finetune",
        description="pi05_droid trained further on your recordings, joint velocities",
        model="pi05",
        action_horizon=16,
        base=RELEASED + "pi05_droid",
    ),
    _position(
        name="pi0_fast_full_droid_finetune",
        description="base model trained on the whole of DROID, joint positions",
        model="pi0_fast",
        action_dim=8,
        action_horizon=16,
        max_token_len=180,
        base=PI0_FAST_BASE,
    ),
    _position(
        name="pi05_full_droid_finetune",
        description="base model trained on the whole of DROID, joint positions",
        model="pi05",
        action_horizon=16,
        base=PI05_BASE,
    ),
)

LIBERO = (
    _libero(
        name="pi0_libero",
        description="the LIBERO benchmark",
        model="pi0",
        base=PI0_BASE,
    ),
    _libero(
        name="pi0_libero_low_mem_finetune",
        description="the LIBERO benchmark, low rank",
        model="pi0",
        lora=True,
        base=PI0_BASE,
    ),
    _libero(
        name="pi0_fast_libero",
        description="the LIBERO benchmark",
        model="pi0_fast",
        action_dim=7,
        action_horizon=10,
        max_token_len=180,
        base=PI0_FAST_BASE,
    ),
    _libero(
        name="pi0_fast_libero_low_mem_finetune",
        description="the LIBERO benchmark, low rank",
        model="pi0_fast",
        action_dim=7,
        action_horizon=10,
        max_token_len=180,
        lora=True,
        base=PI0_FAST_BASE,
    ),
    _libero(
        name="pi05_libero",
        description="the LIBERO benchmark; sees no state",
        model="pi05",
        robot="libero",
        action_horizon=10,
        discrete_state_input=False,
        checkpoint=RELEASED + "pi05_libero",
        base=PI05_BASE,
    ),
)

ROBOARENA = (
    _velocity(
        name="paligemma_fast_droid",
        description="RoboArena baseline, trained from PaliGemma",
        model="pi0_fast",
        action_dim=8,
        action_horizon=15,
        checkpoint=RELEASED + "roboarena/paligemma_fast_droid",
    ),
    _velocity(
        name="paligemma_fast_specialist_droid",
        description="RoboArena baseline with a FAST tokenizer fitted on DROID",
        model="pi0_fast",
        action_dim=8,
        action_horizon=15,
        fast_tokenizer="hf://KarlP/fast_droid_specialist",
        checkpoint=RELEASED + "roboarena/paligemma_fast_specialist_droid",
    ),
    _velocity(
        name="paligemma_diffusion_droid",
        description="RoboArena baseline, a flow model trained from PaliGemma",
        model="pi0",
        action_dim=8,
        action_horizon=10,
        checkpoint=RELEASED + "roboarena/paligemma_diffusion_droid",
    ),
)

_JOINT_POSITION: tuple[tuple[str, Family, int, int, int], ...] = (
    ("pi05_droid_jointpos_polaris", "pi05", 32, 15, 200),
    ("pi0_fast_droid_jointpos_polaris", "pi0_fast", 8, 10, 180),
    ("pi0_droid_jointpos_polaris", "pi0", 32, 10, 100),
    ("pi0_droid_jointpos_100k_polaris", "pi0", 32, 10, 100),
)
POLARIS = tuple(
    _position(
        name=name,
        description="DROID and some simulation, joint positions",
        model=model,
        action_dim=action_dim,
        action_horizon=action_horizon,
        max_token_len=max_token_len,
        checkpoint=f"{RELEASED}polaris/{name}",
        base=f"{RELEASED}polaris/{name}",
    )
    for name, model, action_dim, action_horizon, max_token_len in _JOINT_POSITION
)

UR5 = (
    Recipe(
        name="pi0_ur5",
        description="base model trained on your recordings; untrained, tasks by prompt",
        model="pi0",
        robot="ur5",
        asset_id="ur5e",
        checkpoint=PI0_BASE,
        base=PI0_BASE,
    ),
)

_BINS = "its actions are coded by {}, which no pi0 model uses"
_DUMMY = "it trains a dummy on random data; use make_random_checkpoint"
NOT_HERE = {
    "paligemma_binning_droid": _BINS.format("bins"),
    "paligemma_binning_droid_jointpos": _BINS.format("bins"),
    "paligemma_vq_droid": _BINS.format("a learned quantizer"),
    "debug": _DUMMY,
    "debug_restore": _DUMMY,
    "debug_pi05": _DUMMY,
}
