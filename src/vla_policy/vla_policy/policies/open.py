"""One door to every policy: what ``checkpoint:=`` may name."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vla_core.contract import Contract
from vla_core.errors import CheckpointError, PolicyError
from vla_core.image_codecs import DEPTH_ENCODINGS
from vla_core.rtc import RTC_OFF, Committed, Rtc, RtcMode
from vla_policy import recipes, robots
from vla_policy.policies import Policy
from vla_policy.policies.hold import HoldPolicy
from vla_policy.policies.replay import REPLAY, ReplayPolicy
from vla_policy.robots.robot import Robot

if TYPE_CHECKING:
    import torch

    from vla_policy.policies.source import Source

HOLD = "hold:"

_log = logging.getLogger(__name__)


def open_policy(
    checkpoint: str,
    contract: Contract,
    *,
    recipe: str = "",
    device: str = "auto",
    precision: str = "auto",
    num_steps: int = 10,
    asset_id: str = "",
    rtc: Rtc = RTC_OFF,
) -> Policy:
    """A policy for this robot, warmed up by one inference.

    Args:
        checkpoint: A checkpoint directory of any format, ``hf://owner/name@revision``,
            ``gs://bucket/path``, a recipe's name, ``replay:<dataset>#<episode>``, or ``hold:``.
        contract: The robot.
        recipe: Named policy that the checkpoint belongs to; empty: what its files say.
        device: ``cpu``, ``cuda``, or ``auto``.
        precision: ``float32``, ``bfloat16``, or ``auto``.
        num_steps: Euler steps of the flow.
        asset_id: Statistics to use; empty: those trained on, of several the recipe's.
        rtc: How a flow model continues the previous chunk; other policies ignore it.

    Raises:
        CheckpointError: it cannot be loaded or does not fit.
        PolicyError: the robot is not known, or the contract does not fit its adapter.
    """
    _refuse_depth(contract)
    if checkpoint == HOLD:
        from vla_policy.policies.source import check_contract

        robot = robots.get(contract.adapter, contract)
        check_contract(robot, contract)
        return HoldPolicy(robot=robot, horizon=max(2, round(contract.policy_rate_hz)))
    if checkpoint.startswith(REPLAY):
        return ReplayPolicy.open(checkpoint, contract)
    # Here, because torch takes seconds and is not needed above.
    from vla_policy.checkpoints.open import is_other_lerobot_policy, local_path
    from vla_policy.policies.source import read_source, robot_for

    is_recipe = recipes.named(checkpoint, recipe) is not None
    if not is_recipe and is_other_lerobot_policy(path := local_path(checkpoint)):
        from vla_policy.policies.lerobot import LerobotPolicy

        return LerobotPolicy.open(path, contract, device=choose_device(device, precision)[0])
    source = read_source(checkpoint, recipe)
    return open_for_robot(
        source,
        robot_for(source, contract),
        device=device,
        precision=precision,
        num_steps=num_steps,
        asset_id=asset_id,
        rtc=rtc,
    )


def open_for_robot(
    source: Source,
    robot: Robot,
    *,
    device: str = "auto",
    precision: str = "auto",
    num_steps: int = 10,
    asset_id: str = "",
    rtc: Rtc = RTC_OFF,
) -> Policy:
    """A policy of the pi0 family for an adapter; arguments as `open_policy`."""
    from vla_policy.checkpoints.load import load_model
    from vla_policy.models.pi0_fast import EOS
    from vla_policy.policies.local import LocalPolicy
    from vla_policy.policies.pipeline import make_tokenizer, steps_for
    from vla_policy.tokenizers.fast import FastTokenizer

    stored, recipe = source.stored, source.recipe
    if stored.missing:
        raise CheckpointError(
            "the checkpoint does not state all that a robot needs",
            where=str(stored.path),
            found="; ".join(stored.missing),
            allowed="nothing missing",
            fix="name the recipe that it was trained with: ros2 run vla_policy list",
        )
    for note in stored.notes:
        _log.info("checkpoint=%s note=%s", stored.path, note)
    if robot.name != robots.PLAIN:  # openpi states no names of cameras: the adapter's are meant
        slots = robot.slots(fast=stored.config.model_type == "pi0_fast")
        stored = replace(stored, config=replace(stored.config, image_keys=slots))
    tokenizer = make_tokenizer(stored)
    steps = steps_for(  # before the weights: what does not fit is refused at once
        stored,
        robot,
        tokenizer,
        asset_id=asset_id,
        default_prompt=recipe.default_prompt if recipe else "",
    )
    policy = LocalPolicy(
        load_model(stored, *choose_device(device, precision)),
        robot=robot,
        steps=steps,
        num_steps=num_steps,
        stop_token=tokenizer.stop_token if isinstance(tokenizer, FastTokenizer) else EOS,
        rtc=rtc,
    )
    _warm_up(policy, robot, continues=rtc.mode is not RtcMode.OFF)
    return policy


def _warm_up(policy: Policy, robot: Robot, *, continues: bool) -> None:
    """One inference of each kind: the first allocates and tunes, and shows what does not fit."""
    began = time.perf_counter()
    actions = policy.infer(robot.make_observation())
    if continues:
        stepped = np.zeros(robot.action_dim, bool)
        previous = Committed(actions=actions, delay_steps=1, stepped=stepped)
        policy.infer(robot.make_observation(), previous=previous)
    policy.reset()
    _log.info("warm-up inference took %.2f s", time.perf_counter() - began)


def choose_device(device: str, precision: str) -> tuple[str, torch.dtype]:
    """The device and the type of weights that ``auto`` stands for.

    Raises:
        PolicyError: There is no GPU.
    """
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise PolicyError("no GPU", where="device", found="cuda", allowed="cpu, or auto")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if precision == "auto":
        precision = "bfloat16" if device == "cuda" else "float32"
    if device == "cpu":
        torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))  # a core is left for the executor
    return device, getattr(torch, precision)


def _refuse_depth(contract: Contract) -> None:
    depth = [camera.name for camera in contract.cameras if camera.encoding in DEPTH_ENCODINGS]
    if depth:
        raise PolicyError(
            "policies of this family see colour",
            where="cameras",
            found=", ".join(depth),
            allowed="cameras without depth",
            fix="leave depth cameras out of the contract that the policy runs with",
        )
