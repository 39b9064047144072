"""One door to every policy: what ``checkpoint:=`` may name."""

from __future__ import annotations

import logging
import os
import time

import numpy as np

from vla_core.contract import Contract
from vla_core.errors import PolicyError
from vla_core.image_codecs import DEPTH_ENCODINGS
from vla_core.types import Observation
from vla_policy import robots
from vla_policy.policies import Policy
from vla_policy.policies.hold import HoldPolicy
from vla_policy.robots.robot import Robot

HOLD = "hold:"

_log = logging.getLogger(__name__)


def open_policy(
    checkpoint: str,
    contract: Contract,
    *,
    device: str = "auto",
    precision: str = "auto",
    num_steps: int = 10,
    asset_id: str = "",
) -> Policy:
    """A policy for this robot, warmed up by one inference.

    Args:
        checkpoint: A checkpoint directory, or ``hold:``.
        contract: The robot.
        device: ``cpu``, ``cuda``, or ``auto``.
        precision: ``float32``, ``bfloat16``, or ``auto``.
        num_steps: Euler steps of the flow.
        asset_id: Statistics to use; empty: the robot adapter's.

    Raises:
        CheckpointError: it cannot be loaded or does not fit.
        PolicyError: the robot is not known, or the contract does not fit its adapter.
    """
    robot = robots.get(contract.adapter)
    robot.check(
        state_names=contract.state,
        action_names=contract.action_names,
        cameras=[camera.name for camera in contract.cameras],
    )
    depth = [camera.name for camera in contract.cameras if camera.encoding in DEPTH_ENCODINGS]
    if depth:
        raise PolicyError(
            "policies of this family see colour",
            where="cameras",
            found=", ".join(depth),
            allowed="cameras without depth",
            fix="leave depth cameras out of the contract that the policy runs with",
        )
    if checkpoint == HOLD:
        return HoldPolicy(robot=robot, horizon=max(2, round(contract.policy_rate_hz)))
    policy = _open_local(checkpoint, robot, device, precision, num_steps, asset_id)
    began = time.perf_counter()
    policy.infer(_example(contract))
    policy.reset()
    _log.info("warm-up inference took %.2f s", time.perf_counter() - began)
    return policy


def _open_local(
    checkpoint: str, robot: Robot, device: str, precision: str, num_steps: int, asset_id: str
) -> Policy:
    import torch  # here: seconds, and not needed for hold:

    from vla_policy.checkpoints.load import load_model
    from vla_policy.checkpoints.open import read_checkpoint
    from vla_policy.policies.local import LocalPolicy
    from vla_policy.policies.pipeline import steps_for

    if device == "cuda" and not torch.cuda.is_available():
        raise PolicyError("no GPU", where="device", found="cuda", allowed="cpu, or auto")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if precision == "auto":
        precision = "bfloat16" if device == "cuda" else "float32"
    if device == "cpu":
        torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))  # a core is left for the executor
    stored = read_checkpoint(checkpoint)
    steps = steps_for(stored, robot, asset_id=asset_id)  # what does not fit is refused first
    model = load_model(stored, device, getattr(torch, precision))
    return LocalPolicy(model, robot=robot, steps=steps, num_steps=num_steps)


def _example(contract: Contract) -> Observation:
    """An observation of the right shapes: joints in the middle of their ranges, black images."""
    joints = [contract.joints[name] for name in contract.state]
    return Observation(
        stamp_ns=0,
        state=np.array([(joint.lower + joint.upper) / 2 for joint in joints]),
        images={
            camera.name: np.zeros((camera.height, camera.width, 3), np.uint8)
            for camera in contract.cameras
        },
        prompt="warm up",
    )
