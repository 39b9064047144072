"""One door: each thing that `checkpoint:=` may name, on the shipped contracts."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import golden_model_case as golden
import numpy as np
import pytest

from vla_core.contract import Contract, load_contract
from vla_core.errors import CheckpointError, PolicyError, VlaError
from vla_core.types import Observation
from vla_policy import robots
from vla_policy.cli import make_random_checkpoint
from vla_policy.policies import Policy
from vla_policy.policies.open import open_policy
from vla_policy.policies.source import Source, assumed_instead_of, read_source, robot_for

CONTRACTS = Path(__file__).resolve().parents[2] / "vla_bringup/config/robots"
TOKENIZER = golden.GOLDEN / "transforms/tokenizer/tokenizer.model"


def contract(name: str) -> Contract:
    return load_contract(CONTRACTS / f"{name}.yaml")


def random_checkpoint(directory: Path, *arguments: str) -> str:
    assert make_random_checkpoint.main(["--output", str(directory), *arguments]) == 0
    return str(directory)


def without_adapter(path: str) -> str:
    """As openpi writes it: nothing says what the numbers mean."""
    config = Path(path) / "config.json"
    raw = json.loads(config.read_text())
    del raw["robot"]
    config.write_text(json.dumps(raw, indent=2))
    return path


def infer(policy: Policy, robot: Contract, prompt: str = "do it") -> np.ndarray:
    example = robots.get("plain", robot).make_observation(prompt)
    images = {
        camera.name: np.full((camera.height, camera.width, 3), 99, np.uint8)
        for camera in robot.cameras
    }
    seen = Observation(stamp_ns=10**9, state=example.state, images=images, prompt=prompt)
    return policy.infer(seen)


def test_hold_needs_no_files() -> None:
    robot = contract("ur5e")
    assert np.ptp(infer(open_policy("hold:", robot), robot), axis=0).max() == 0.0


@pytest.mark.parametrize(
    ("name", "adapter"),
    [
        ("aloha", "aloha"),
        ("aloha_agilex", "aloha_agilex"),
        ("aloha_trossen", "aloha_trossen"),
        ("ur5e", "ur5"),
        ("ur3", "ur3"),
        ("franka", "droid"),
    ],
)
def test_a_checkpoint_of_a_shipped_robot_runs_on_its_contract(
    name: str, adapter: str, tmp_path: Path
) -> None:
    robot = contract(name)
    path = random_checkpoint(tmp_path / "checkpoint", "--robot", adapter)
    policy = open_policy(path, robot, num_steps=2)
    assert policy.action_names == robot.action_names
    assert infer(policy, robot).shape == (policy.horizon, len(robot.action_names))


def test_a_recipe_chooses_the_adapter_and_the_task(tmp_path: Path) -> None:
    """pi0_aloha_sim wants absolute actions where the contract's adapter makes differences."""
    robot = contract("aloha")
    path = without_adapter(random_checkpoint(tmp_path / "checkpoint", "--robot", "aloha"))
    recipe = open_policy(path, robot, recipe="pi0_aloha_sim", asset_id="trossen", num_steps=2)
    plain = open_policy(path, robot, num_steps=2)
    prompted = infer(recipe, robot, prompt="Transfer cube")
    recipe.reset()
    np.testing.assert_array_equal(infer(recipe, robot, prompt=""), prompted)
    assert np.abs(prompted - infer(plain, robot, prompt="Transfer cube")).max() > 0.05
    with pytest.raises(PolicyError, match="no prompt"):
        infer(plain, robot, prompt="")


def test_of_several_statistics_the_recipes_are_taken_and_a_single_one_wins(tmp_path: Path) -> None:
    robot = contract("aloha")
    path = without_adapter(random_checkpoint(tmp_path / "checkpoint", "--robot", "aloha"))
    alone = open_policy(path, robot, recipe="pi0_aloha_sim", num_steps=2)  # asset trossen
    assert alone.horizon == 50
    shutil.copytree(tmp_path / "checkpoint/assets/trossen", tmp_path / "checkpoint/assets/arx")
    with pytest.raises(CheckpointError, match="aloha_sim_transfer_cube_human"):
        open_policy(path, robot, recipe="pi0_aloha_sim")
    assert open_policy(path, robot, recipe="pi0_aloha", num_steps=2).horizon == 50


def test_a_recipe_for_another_adapter_than_the_checkpoint_states_is_refused(
    tmp_path: Path,
) -> None:
    path = random_checkpoint(tmp_path / "checkpoint", "--robot", "aloha")
    with pytest.raises(CheckpointError, match=r"another robot adapter.*aloha_absolute.*aloha;"):
        open_policy(path, contract("aloha"), recipe="pi0_aloha_sim")


def test_the_adapter_that_a_checkpoint_states_goes_before_the_contracts(tmp_path: Path) -> None:
    path = random_checkpoint(tmp_path / "checkpoint", "--robot", "droid_velocity")
    robot = contract("franka")
    assert robot_for(read_source(path), robot).name == "droid_velocity"
    assumed = read_source(without_adapter(path))
    assert robot_for(assumed, robot).name == "droid"
    assert assumed_instead_of(assumed, robots.get("droid")) == ("droid_velocity",)


def test_a_jax_checkpoint_that_states_no_horizon_needs_its_recipe(tmp_path: Path) -> None:
    directory = tmp_path / "jax"
    shutil.copytree(golden.GOLDEN / "jax/pi0", directory)
    (directory / "config.json").unlink()  # as released: nothing but arrays and statistics
    shutil.copyfile(TOKENIZER, directory / "tokenizer.model")
    robot = contract("aloha")
    with pytest.raises(CheckpointError, match=r"does not state all.*horizon.*recipe"):
        open_policy(str(directory), robot)
    with pytest.raises(CheckpointError, match="ids that the model does not know"):  # it is tiny
        open_policy(str(directory), robot, recipe="pi0_aloha")


@pytest.mark.parametrize(
    ("checkpoint", "recipe", "message"),
    [
        ("pi0_libero_low_mem_finetune", "", "no released checkpoint.*recipe:=pi0_libero"),
        ("somewhere", "", "no checkpoint directory.*somewhere"),
        ("somewhere", "pi0_alhoa", "unknown named policy.*pi0_alhoa"),
        ("", "", "no checkpoint is named"),
        ("replay:nowhere#x", "", "no episode to replay"),
        ("replay:nowhere#" + "9" * 5000, "", "no episode to replay"),
    ],
)
def test_what_is_not_there_is_one_message(checkpoint: str, recipe: str, message: str) -> None:
    with pytest.raises(VlaError, match=message):
        open_policy(checkpoint, contract("aloha"), recipe=recipe)


def test_droid_velocities_run_at_fifteen_hertz_alone(tmp_path: Path) -> None:
    path = without_adapter(random_checkpoint(tmp_path / "checkpoint", "--robot", "droid"))
    config = tmp_path / "checkpoint/config.json"
    config.write_text(config.read_text().replace('"action_horizon": 50', '"action_horizon": 10'))
    assert open_policy(path, contract("franka"), recipe="pi0_droid", num_steps=2).horizon == 10
    text = (CONTRACTS / "franka.yaml").read_text()
    (tmp_path / "slow.yaml").write_text(text.replace("policy_rate_hz: 15", "policy_rate_hz: 10"))
    with pytest.raises(VlaError, match=r"policy_rate_hz.*15"):
        open_policy(path, load_contract(tmp_path / "slow.yaml"), recipe="pi0_droid")


def lerobot_source(path: str, robot: Contract, **processing: object) -> Source:
    """A checkpoint that was trained on the contract's own numbers, as LeRobot's are."""
    source = read_source(path)
    stored = source.stored
    names = tuple(camera.name for camera in robot.cameras)
    return replace(
        source,
        stored=replace(
            stored,
            config=replace(stored.config, image_keys=names),
            processing=replace(stored.processing, robot="plain", **processing),
        ),
    )


def test_a_checkpoint_that_names_its_dimensions_runs_on_that_order_alone(tmp_path: Path) -> None:
    robot = contract("ur5e")
    path = random_checkpoint(tmp_path / "checkpoint", "--robot", "ur5")
    same = lerobot_source(path, robot, action_names=robot.action_names)
    assert robot_for(same, robot).action_names == robot.action_names
    other = lerobot_source(path, robot, action_names=robot.action_names[::-1])
    with pytest.raises(CheckpointError, match=r"trained with another action.*gripper, wrist_3"):
        robot_for(other, robot)


def test_a_camera_that_the_contract_lacks_is_missed(tmp_path: Path) -> None:
    robot = contract("ur5e")
    path = random_checkpoint(tmp_path / "checkpoint", "--robot", "ur5")
    source = lerobot_source(path, robot, cameras={"base_rgb": "somewhere_else"})
    with pytest.raises(CheckpointError, match="cameras that the contract does not have"):
        robot_for(source, robot)
