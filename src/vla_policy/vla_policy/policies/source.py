"""What `checkpoint:=` names when it is a model: a directory, an address, or a recipe."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from vla_core.contract import Contract
from vla_core.errors import CheckpointError
from vla_core.scaling import check_statistics
from vla_policy import recipes, robots
from vla_policy.checkpoints.cloud_storage import paligemma_tokenizer
from vla_policy.checkpoints.hub import local_directory
from vla_policy.checkpoints.open import read_checkpoint
from vla_policy.checkpoints.stored import StoredCheckpoint
from vla_policy.policies.open import HOLD
from vla_policy.policies.pipeline import make_tokenizer
from vla_policy.policies.replay import REPLAY
from vla_policy.recipes.recipe import FAST_TOKENIZER, Recipe
from vla_policy.robots.robot import Robot
from vla_policy.tokenizers.paligemma import ENVIRONMENT_VARIABLE

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A checkpoint and the recipe that it belongs to, None where none is named."""

    stored: StoredCheckpoint
    recipe: Recipe | None

    @property
    def adapter(self) -> str:
        """The robot adapter that files or recipe name; empty where neither does.

        Raises:
            CheckpointError: They name different ones.
        """
        own, recipe = self.stored.processing.robot, self.recipe.robot if self.recipe else ""
        if own and recipe and own != recipe:
            raise CheckpointError(
                "the recipe is for another robot adapter than the checkpoint",
                where=str(self.stored.path),
                found=recipe,
                allowed=own,
                fix="leave the recipe out, or name the one that it was trained with",
            )
        return own or recipe

    def adapted(self, robot: Robot) -> Robot:
        """The robot with the recipe's statistics, where it has a choice."""
        return replace(robot, asset_id=self.recipe.asset_id) if self.recipe else robot


def read_source(checkpoint: str, recipe: str = "", *, keep_lora: bool = False) -> Source:
    """Headers and statistics of what a user named.

    Args:
        checkpoint: A directory, ``hf://``, ``gs://``, or a recipe's name, which stands for its
            released checkpoint. A directory of that name goes first.
        recipe: Name of the recipe, for checkpoints that do not state all that it fixes.
        keep_lora: See `read_checkpoint`.

    Raises:
        CheckpointError: There is no such checkpoint or recipe, or they do not fit.
    """
    if checkpoint == HOLD or checkpoint.startswith(REPLAY):
        raise CheckpointError(
            "this policy has no checkpoint",
            where="checkpoint",
            found=checkpoint,
            allowed="a directory, an address, or a recipe's name",
            fix="give it to a launch file, or to infer with --contract",
        )
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
    elif checkpoint.strip() and "/" not in checkpoint and not Path(checkpoint).exists():
        near = recipes.nearest(checkpoint)
        raise CheckpointError(
            "no checkpoint directory, and no recipe, of this name",
            where=checkpoint,
            found="nothing",
            allowed="a directory, an address, or a recipe's name",
            fix=f"did you mean {', '.join(near)}?" if near else "ros2 run vla_policy list",
        )
    stored = read_checkpoint(checkpoint, named.config() if named else None, keep_lora=keep_lora)
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


def lacking(stored: StoredCheckpoint) -> list[str]:
    """What a robot would need beside these files."""
    missing = list(stored.missing)
    if not stored.norm_stats:
        missing.append("normalisation statistics")
    if stored.tokenizer is None:
        missing.append(f"tokenizer.model (or ${ENVIRONMENT_VARIABLE})")
    if stored.config.model_type == "pi0_fast" and stored.fast_tokenizer is None:
        missing.append("fast_tokenizer/")
    return missing


def unusable(stored: StoredCheckpoint) -> list[str]:
    """What of these files is there and would be refused for any robot."""
    found = []
    for asset_id, stats in stored.norm_stats.items():
        try:
            check_statistics(stats, stored.processing.scaling)
        except CheckpointError as error:
            found.append(f"statistics {asset_id}: {error.found}")
    needs_fast = stored.config.model_type == "pi0_fast" and stored.fast_tokenizer is None
    if stored.tokenizer is not None and not needs_fast:
        try:
            make_tokenizer(stored)
        except CheckpointError as error:
            found.append(f"{error.what}: {error.where}")
    return found


def robot_for(source: Source, contract: Contract) -> Robot:
    """The adapter between a contract and a checkpoint, compared with both.

    The checkpoint's files decide, then the recipe, then the contract.

    Raises:
        CheckpointError: Files, recipe and contract do not agree on adapter, cameras or dimensions.
        PolicyError: The adapter is not known, or the contract does not fit it.
    """
    processing = source.stored.processing
    name = source.adapter or contract.adapter
    if name == robots.PLAIN:
        robot = robots.get(name, contract, slots=_slots(source.stored, contract))
    elif processing.cameras:
        raise CheckpointError(
            "only the adapter plain has cameras by name",
            where=str(source.stored.path),
            found=name,
            allowed=robots.PLAIN,
        )
    else:
        robot = source.adapted(robots.get(name))
    check_contract(robot, contract)
    _check_names("state", processing.state_names, contract.state)
    _check_names("action", processing.action_names, contract.action_names)
    if others := assumed_instead_of(source, robot):
        _log.warning(
            "adapter=%s reason=of_the_contract also_possible=%s do=name_the_recipe",
            robot.name,
            ",".join(others),
        )
    return robot


def assumed_instead_of(source: Source, robot: Robot) -> tuple[str, ...]:
    """Adapters with the same joints, when neither files nor recipe say which one it is."""
    if source.adapter:
        return ()
    return tuple(
        other.name
        for other in robots.ROBOTS.values()
        if other.name != robot.name
        and (other.state_names, other.action_names) == (robot.state_names, robot.action_names)
    )


def _slots(stored: StoredCheckpoint, contract: Contract) -> dict[str, str]:
    """The model's slot for each camera that it sees."""
    names, keys = stored.processing.cameras, stored.config.image_keys
    slots = {camera.name: names.get(camera.name, camera.name) for camera in contract.cameras}
    slots = {camera: slot for camera, slot in slots.items() if slot in keys}
    if set(keys) - set(slots.values()):
        raise CheckpointError(
            "the checkpoint was trained with cameras that the contract does not have",
            where=str(stored.path),
            found=", ".join(camera.name for camera in contract.cameras) or "none",
            allowed=", ".join(names or keys),
            fix="name the contract's cameras as in the data set that it was trained on",
        )
    return slots


def _check_names(what: str, named: tuple[str, ...], own: tuple[str, ...]) -> None:
    """Another order or number is refused; other words for the same number are only told."""
    if not named or named == own:
        return
    if len(named) != len(own) or set(named) == set(own):
        raise CheckpointError(
            f"the checkpoint was trained with another {what} than the contract's",
            found=", ".join(own),
            allowed=", ".join(named),
            fix="put the contract's joints in the order of the data set",
        )
    _log.warning("%s=named_otherwise checkpoint=%s contract=%s", what, named, own)


def check_contract(robot: Robot, contract: Contract) -> None:
    """Compares names, units, cameras and rate; see `Robot.check`."""
    robot.check(
        state_names=contract.state,
        action_names=contract.action_names,
        cameras=[camera.name for camera in contract.cameras],
        units={name: joint.unit for name, joint in contract.joints.items()},
        policy_rate_hz=contract.policy_rate_hz,
    )
