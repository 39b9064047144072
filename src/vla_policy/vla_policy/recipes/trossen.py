"""Two forks of openpi for Trossen AI.

Source: TrossenRobotics/openpi, branch trossen-ai, and anredlich/openpi,
src/openpi/training/config.py of both.
"""

from __future__ import annotations

from functools import partial

from vla_policy.recipes.recipe import PI0_BASE, PI05_BASE, Recipe

_TOOLS = "TrossenRoboticsCommunity/trossen_ai_stationary_organize_tools"
_BLOCK = "TrossenRoboticsCommunity/bimanual-widowxai-handover-cube"
_tools = partial(Recipe, robot="aloha_trossen", asset_id="trossen", dataset=_TOOLS)
_block = partial(Recipe, robot="aloha_trossen", asset_id="trossen", dataset=_BLOCK)

PLAIN = (
    _tools(
        name="pi05_trossen_organize_tools",
        description="tidies up tools",
        model="pi05",
        default_prompt="Put all tools on table into the pen holder",
        base=PI05_BASE,
    ),
    _tools(
        name="pi0_trossen_organize_tools",
        description="tidies up tools, low rank",
        model="pi0",
        lora=True,
        default_prompt="Put all tools on table into the pen holder",
        base=PI0_BASE,
    ),
    _tools(
        name="pi05_trossen_multitask_training",
        description="tidies up tools, one task after another by prompt",
        model="pi05",
        base=PI05_BASE,
    ),
    _block(
        name="pi05_trossen_transfer_block",
        description="hands over a cube",
        model="pi05",
        default_prompt="grab and handover the red cube",
        base=PI05_BASE,
    ),
    _block(
        name="pi0_trossen_transfer_block",
        description="hands over a cube, low rank",
        model="pi0",
        lora=True,
        default_prompt="grab and handover the red cube",
        base=PI0_BASE,
    ),
    Recipe(
        name="pi05_aloha_sim_trossen_ai",
        description="serves what was trained in simulation",
        model="pi05",
        robot="aloha_trossen",
        asset_id="trossen",
        default_prompt="Transfer cube",
    ),
)


def _trained(
    name: str, data: str, prompt: str, *, lora: bool = False, cropped: bool = False
) -> Recipe:
    """Statistics bear the name of the data set, as openpi names them where it is not told."""
    pi05 = name.startswith("pi05")
    return Recipe(
        name=name,
        description=f"{data.replace('_', ' ')}{', low rank' if lora else ''}",
        model="pi05" if pi05 else "pi0",
        robot="aloha_trossen_flipped_cropped" if cropped else "aloha_trossen_flipped",
        asset_id=f"ANRedlich/trossen_ai_stationary_{data}",
        lora=lora,
        default_prompt=prompt,
        base=PI05_BASE if pi05 else PI0_BASE,
        dataset=f"ANRedlich/trossen_ai_stationary_{data}",
    )


_LIDS = "place_lids_04"
FLIPPED = (
    Recipe(
        name="pi0_aloha_sim_trossen_ai",
        description="serves what was trained in simulation",
        model="pi0",
        robot="aloha_trossen_flipped",
        asset_id="trossen",
        default_prompt="Transfer cube",
    ),
    _trained("pi0_aloha_sim_trossen_ai_mem_finetune_v2", _LIDS, "place lid on pot", lora=True),
    _trained("pi0_aloha_sim_trossen_ai_mem_finetune_v3", "pick_and_place_07", "pick and place"),
    _trained("pi0_aloha_sim_trossen_ai_full_finetune_v0", _LIDS, "place lid on pot"),
    _trained("pi0_aloha_sim_trossen_ai_full_finetune_v4", "pick_and_place_09", "pick and place"),
    _trained(
        "pi05_aloha_sim_trossen_ai_full_finetune_v5",
        _LIDS,
        "Transfer place lids using Trossen AI Stationary.",
    ),
    _trained(
        "pi05_aloha_sim_trossen_ai_full_finetune_v6",
        "close_tie_wrap_12",
        "close tie wrap",
        cropped=True,
    ),
    _trained(
        "pi05_aloha_sim_trossen_ai_lora",
        "sim_transfer_40mm_cube_07",
        "Transfer cube",
        lora=True,
    ),
)
