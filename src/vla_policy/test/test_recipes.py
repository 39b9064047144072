"""A name alone fixes model, sizes, transforms and statistics, as openpi's registry does."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vla_core.errors import CheckpointError
from vla_policy import recipes, robots
from vla_policy.models.config import FAST_IMAGE_KEYS, IMAGE_KEYS, Pi0Config, Pi0FastConfig

#: openpi, src/openpi/training/config.py: model, dims, horizon, tokens, statistics, robot.
OPENPI = {
    "pi0_aloha": ("pi0", 32, 50, 48, "trossen", "aloha"),
    "pi05_aloha": ("pi05", 32, 50, 200, "trossen", "aloha"),
    "pi0_aloha_towel": ("pi0", 32, 50, 48, "trossen", "aloha"),
    "pi0_aloha_tupperware": ("pi0", 32, 50, 48, "trossen", "aloha"),
    "pi0_droid": ("pi0", 32, 10, 48, "droid", "droid_velocity"),
    "pi0_fast_droid": ("pi0_fast", 8, 10, 250, "droid", "droid_velocity"),
    "pi05_droid": ("pi05", 32, 15, 200, "droid", "droid_velocity"),
    "pi0_libero": ("pi0", 32, 50, 48, "physical-intelligence/libero", "libero_delta"),
    "pi0_libero_low_mem_finetune": (
        *("pi0", 32, 50, 48, "physical-intelligence/libero", "libero_delta"),
    ),
    "pi0_fast_libero": ("pi0_fast", 7, 10, 180, "physical-intelligence/libero", "libero_delta"),
    "pi0_fast_libero_low_mem_finetune": (
        *("pi0_fast", 7, 10, 180, "physical-intelligence/libero", "libero_delta"),
    ),
    "pi05_libero": ("pi05", 32, 10, 200, "physical-intelligence/libero", "libero"),
    "pi0_aloha_pen_uncap": ("pi0", 32, 50, 48, "trossen", "aloha"),
    "pi05_aloha_pen_uncap": ("pi05", 32, 50, 200, "trossen", "aloha"),
    "pi0_fast_full_droid_finetune": ("pi0_fast", 8, 16, 180, "droid", "droid"),
    "pi05_full_droid_finetune": ("pi05", 32, 16, 200, "droid", "droid"),
    "pi05_droid_finetune": ("pi05", 32, 16, 200, "droid", "droid_velocity"),
    "pi0_aloha_sim": (
        *("pi0", 32, 50, 48, "lerobot/aloha_sim_transfer_cube_human", "aloha_absolute"),
    ),
    "paligemma_fast_droid": ("pi0_fast", 8, 15, 250, "droid", "droid_velocity"),
    "paligemma_fast_specialist_droid": ("pi0_fast", 8, 15, 250, "droid", "droid_velocity"),
    "paligemma_diffusion_droid": ("pi0", 8, 10, 48, "droid", "droid_velocity"),
    "pi05_droid_jointpos_polaris": ("pi05", 32, 15, 200, "droid", "droid"),
    "pi0_fast_droid_jointpos_polaris": ("pi0_fast", 8, 10, 180, "droid", "droid"),
    "pi0_droid_jointpos_polaris": ("pi0", 32, 10, 100, "droid", "droid"),
    "pi0_droid_jointpos_100k_polaris": ("pi0", 32, 10, 100, "droid", "droid"),
}


@pytest.mark.parametrize("name", OPENPI)
def test_a_name_fixes_what_it_fixes_in_openpi(name: str) -> None:
    recipe = recipes.get(name)
    config = recipe.config()
    sizes = (config.model_type, config.action_dim, config.action_horizon, config.max_token_len)
    assert (*sizes, recipe.asset_id, recipe.robot) == OPENPI[name]


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_every_recipe_fits_its_robot(name: str) -> None:
    recipe = recipes.get(name)
    robot, config = robots.get(recipe.robot), recipe.config()
    fast = isinstance(config, Pi0FastConfig)
    assert name == recipe.name
    assert config.image_keys == robot.slots(fast=fast)
    if fast:
        assert config.action_dim == robot.model_action_dim
    else:
        assert config.action_dim >= max(robot.model_state_dim, robot.model_action_dim)
    for address in (recipe.checkpoint, recipe.base):
        assert address is None or address.startswith("gs://openpi-assets/checkpoints/")
    assert recipe.description
    assert "\n" not in recipe.description


def test_every_robot_has_a_recipe_or_is_a_variant_of_one_that_has() -> None:
    used = {recipe.robot for recipe in recipes.RECIPES.values()}
    assert {"aloha", "aloha_agilex_absolute", "aloha_trossen", "ur5", "ur3", "droid"} <= used
    assert {"libero", "libero_delta", "droid_velocity", "aloha_trossen_flipped_cropped"} <= used


def test_only_pi05_of_libero_leaves_the_state_out_of_its_prompt() -> None:
    unusual = [r.name for r in recipes.RECIPES.values() if r.discrete_state_input is not None]
    assert unusual == ["pi05_libero"]
    config = recipes.get("pi05_libero").config()
    assert isinstance(config, Pi0Config)
    assert not config.reads_state_as_text


def test_camera_slots_of_fast_are_those_of_its_robot() -> None:
    assert recipes.get("pi0_fast_droid").config().image_keys == FAST_IMAGE_KEYS
    assert recipes.get("pi0_fast_libero").config().image_keys == IMAGE_KEYS


def test_names_are_listed_in_order_and_none_twice() -> None:
    names = list(recipes.RECIPES)
    assert names == sorted(names)
    assert not set(names) & set(recipes.NOT_HERE)


def test_unknown_names_and_those_that_cannot_run_are_refused_with_a_reason() -> None:
    with pytest.raises(CheckpointError, match=r"unknown named policy.*pi0_aloha"):
        recipes.get("pi1_aloha")
    with pytest.raises(CheckpointError, match="coded by a learned quantizer"):
        recipes.get("paligemma_vq_droid")


def test_a_misspelt_name_is_answered_with_the_nearest_first() -> None:
    with pytest.raises(CheckpointError, match=r"found: pi05_droidd; allowed: pi05_droid, "):
        recipes.get("pi05_droidd")


def test_recipes_do_not_need_torch() -> None:
    code = "import sys; from vla_policy import recipes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
