"""Keeps end effectors inside of boxes: where a command would leave one, the robot brakes.

Shape letter: A action dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vla_core.contract import Contract, Kind
from vla_core.contract_safety import Box
from vla_core.errors import ContractError
from vla_core.safety import Command, Limits, brake
from vla_core.types import FloatArray
from vla_core.urdf import MOVABLE, UrdfJoint, chain_of, load_urdf

_UNITS = {"revolute": "rad", "continuous": "rad", "prismatic": "m"}
_TOLERANCE = 1e-9
_LARGE = 1e12  # in place of inf
POSES = 8  # of a braking robot, between which the tip moves nearly straight


class Chain:
    """Forward kinematics of the point at the end of serial joints."""

    def __init__(self, joints: Sequence[UrdfJoint]) -> None:
        self.movable = tuple(joint.name for joint in joints if joint.kind in MOVABLE)
        self._steps = [
            (joint.kind, _rotation(joint.rpy), np.array(joint.xyz), np.array(joint.axis))
            for joint in joints
        ]

    def tip(self, values: FloatArray) -> FloatArray:
        """(P, 3) m, in the base's frame, for P poses: values (P, n) of ``movable``.

        From the tip to the base. A turn of p by q about k is, by Rodrigues' formula,
        p + sin q (k x p) + (1 - cos q) k x (k x p).
        """
        points, left = np.zeros((len(values), 3)), values.shape[1]
        for kind, rotation, offset, axis in reversed(self._steps):
            if kind in MOVABLE:
                left -= 1
                value = values[:, left, None]
                if kind == "prismatic":
                    points = points + value * axis
                else:
                    across = points @ _cross_with(axis)
                    twice = across @ _cross_with(axis)
                    points = points + np.sin(value) * across + (1 - np.cos(value)) * twice
            points = points @ rotation.T + offset
        return points


class Region:
    """One box, and the chain whose tip stays in it."""

    def __init__(self, box: Box, chain: Chain, columns: Sequence[int]) -> None:
        self._box, self._chain, self._columns = box, chain, list(columns)

    def outside_m(self, poses: FloatArray) -> float:
        """How far the tip gets outside, along the worst axis, in poses (P, A); 0 inside."""
        tips = self._chain.tip(poses[:, self._columns])
        beyond = np.maximum(self._box.lower - tips, tips - self._box.upper)
        return float(beyond.max(initial=0.0))


class Workspace:
    """All boxes of a contract; without any it lets every command pass."""

    def __init__(self, regions: Sequence[Region]) -> None:
        self._regions = tuple(regions)

    @classmethod
    def of(cls, contract: Contract) -> Workspace:
        """Reads the URDFs, whose paths are relative to the contract.

        Raises:
            ContractError: a URDF that cannot be read, or that does not fit the contract.
        """
        return cls([_region(contract, box) for box in contract.safety.workspace])

    def confine(
        self, limits: Limits, last: Command, proposed: Command, dt_s: float
    ) -> tuple[Command, bool]:
        """The command, or one that brakes where it would lead out of a box or further out.

        Judged are the pose and those through which the robot would brake from there: what may be
        reached can always be stopped in.

        Returns:
            The command, and whether it is the proposed one.
        """
        for region in self._regions:
            reach = region.outside_m(braking_poses(limits, proposed))
            if reach > _TOLERANCE and reach > region.outside_m(braking_poses(limits, last)):
                return brake(limits, last, dt_s), False
        return proposed, True


def braking_poses(limits: Limits, command: Command) -> FloatArray:
    """(P, A): from the command to rest, each joint by its own acceleration, in equal times."""
    stop_s = np.abs(command.rate) / limits.acceleration  # 0 for a velocity, which is no pose
    elapsed_s = np.minimum(np.linspace(0, stop_s.max(), POSES)[:, None], stop_s)
    slower = np.sign(command.rate) * np.minimum(limits.acceleration, _LARGE) * elapsed_s / 2
    return command.ramp_position + (command.rate - slower) * elapsed_s


def _region(contract: Contract, box: Box) -> Region:
    path = Path(contract.file).parent / box.urdf
    chain = Chain(joints := chain_of(load_urdf(path), box.base, box.tip, str(path)))
    names = {in_urdf: name for name, in_urdf in box.joints.items()}
    if set(chain.movable) != set(names):
        raise ContractError(
            "the joints of the workspace are not those between base and tip",
            where=f"{contract.file}: workspace {box.name}",
            found=", ".join(names),
            allowed=", ".join(chain.movable),
        )
    for joint in joints:
        if joint.name not in names:
            continue
        name = names[joint.name]
        declared = contract.joints[name]
        is_position = declared.kind is not Kind.VELOCITY and declared.unit == _UNITS[joint.kind]
        if not is_position or name not in contract.action_names:
            raise ContractError(
                "a joint that no action commands in the URDF's unit",
                where=f"{contract.file}: workspace {box.name}",
                found=f"{name}: {declared.unit}",
                allowed=f"an action joint in {_UNITS[joint.kind]}",
            )
    columns = [contract.action_names.index(names[name]) for name in chain.movable]
    return Region(box, chain, columns)


def _rotation(rpy: Sequence[float]) -> FloatArray:
    """(3, 3) fixed-axis roll, pitch, yaw."""
    (sr, sp, sy), (cr, cp, cy) = np.sin(rpy), np.cos(rpy)
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def _cross_with(axis: FloatArray) -> FloatArray:
    """(3, 3) M so that p @ M is axis x p."""
    x, y, z = axis
    return np.array([[0, z, -y], [-z, 0, x], [y, -x, 0]])
