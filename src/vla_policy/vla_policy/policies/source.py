"""What `checkpoint:=` names when it is a model: a directory, an address, or a recipe."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vla_core.contract import Contract
from vla_core.errors import CheckpointError
from vla_policy import recipes, robots
from vla_policy.checkpoints.cloud_storage import paligemma_tokenizer
from vla_policy.checkpoints.hub import local_directory
from vla_policy.checkpoints.open import read_checkpoint
from vla_policy.checkpoints.stored import StoredCheckpoint
from vla_policy.recipes.recipe import FAST_TOKENIZER, Recipe
from vla_policy.robots.robot import Robot

EMPTY_CAMERA = "empty_camera"  # of LeRobot: a slot that was always black


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A checkpoint and the recipe that it belongs to, None where none is named."""

    stored: StoredCheckpoint
    recipe: Recipe | None

    def asset_id(self, given: str) -> str:
        """Name of the statistics: as given, else the recipe's; empty: by `choose_statistics`."""
        return given or (self.recipe.asset_id if self.recipe else "")


def read_source(checkpoint: str, recipe: str = "") -> Source:
    """Headers and statistics of what a user named.

    Args:
        checkpoint: A directory, ``hf://``, ``gs://``, or a recipe's name, which stands for its
            released checkpoint. A directory of that name goes first.
        recipe: Name of the recipe, for checkpoints that do not state all that it fixes.

    Raises:
        CheckpointError: There is no such checkpoint or recipe, or they do not fit.
    """
    named = recipes.named(checkpoint, recipe)
    if recipes.named(checkpoint, "") is not None:
        released = recipes.get(checkpoint).checkpoint
        if released is None:
            raise CheckpointError(
                "this recipe has no released checkpoint",
                found=checkpoint,
                allowed="the directory of one that was trained with it",
                fix=f"checkpoint:=DIRECTORY recipe:={checkpoint}",
            )
        checkpoint = released
    stored = read_checkpoint(checkpoint, named.config() if named else None)
    if "://" in checkpoint:
        stored = _with_tokenizers(stored, named)
    return Source(stored=stored, recipe=named)


def _with_tokenizers(stored: StoredCheckpoint, recipe: Recipe | None) -> StoredCheckpoint:
    """Released checkpoints come without the tokenizers that they share: these are fetched."""
    if stored.tokenizer is None:
        stored = replace(stored, tokenizer=paligemma_tokenizer())
    if stored.config.model_type == "pi0_fast" and stored.fast_tokenizer is None:
        address = recipe.fast_tokenizer if recipe else FAST_TOKENIZER
        stored = replace(stored, fast_tokenizer=local_directory(address))
    return stored


def robot_for(source: Source, contract: Contract) -> Robot:
    """The adapter between a contract and a checkpoint, compared with both.

    The checkpoint's framework decides, then the recipe, then the contract.

    Raises:
        CheckpointError: The checkpoint was trained with cameras that the contract does not have.
        PolicyError: The adapter is not known, or the contract does not fit it.
    """
    processing, keys = source.stored.processing, source.stored.config.image_keys
    recipe = source.recipe.robot if source.recipe else ""
    name = processing.robot or recipe or contract.adapter
    slots = {c.name: processing.cameras.get(c.name, c.name) for c in contract.cameras}
    slots = {camera: slot for camera, slot in slots.items() if slot in keys}
    robot = robots.get(name, contract, slots=slots)
    missing = [
        key
        for key in keys
        if name == robots.PLAIN and key not in slots.values() and not key.startswith(EMPTY_CAMERA)
    ]
    if missing:
        raise CheckpointError(
            "the checkpoint was trained with cameras that the contract does not have",
            where=str(source.stored.path),
            found=", ".join(camera.name for camera in contract.cameras) or "none",
            allowed=", ".join(processing.cameras or keys),
            fix="name the contract's cameras as in the data set that it was trained on",
        )
    for what, named, own in (
        ("state", processing.state_names, contract.state),
        ("action", processing.action_names, contract.action_names),
    ):
        if named and tuple(named) != own:
            raise CheckpointError(
                f"the checkpoint was trained with another {what} than the contract's",
                where=str(source.stored.path),
                found=", ".join(named),
                allowed=", ".join(own),
                fix="put the contract's joints in that order, under the names of the data set",
            )
    check_contract(robot, contract)
    return robot


def check_contract(robot: Robot, contract: Contract) -> None:
    """Compares names, units, cameras and rate; see `Robot.check`."""
    robot.check(
        state_names=contract.state,
        action_names=contract.action_names,
        cameras=[camera.name for camera in contract.cameras],
        units={name: joint.unit for name, joint in contract.joints.items()},
        policy_rate_hz=contract.policy_rate_hz,
    )
