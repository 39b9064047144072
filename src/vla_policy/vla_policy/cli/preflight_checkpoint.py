"""The checkpoint's side of preflight: what it is, and whether the live state is one it knows.

Only headers and statistics are read. Shape letter: S state dims.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vla_core.contract import Contract, Kind
from vla_core.errors import VlaError
from vla_core.preflight.findings import Finding, Level
from vla_core.preflight.measured import Measured
from vla_core.preflight.statistics import Trained, judge_statistics
from vla_core.stats import NormStats, Vector
from vla_core.transforms import apply
from vla_policy import robots
from vla_policy.policies.open import HOLD
from vla_policy.robots.robot import Robot

if TYPE_CHECKING:  # its torch takes seconds, and hold: needs none
    from vla_policy.checkpoints import StoredCheckpoint

_PROBE_SHARE = 0.1  # of a joint's range


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSide:
    """What is known before any message has come.

    Attributes:
        findings: About the files and the contract.
        robot: The adapter, where the contract fits one.
        stored: The checkpoint, where it could be read.
        stats: Of the state on this robot, where they were found; `where` says whose.
    """

    findings: tuple[Finding, ...]
    robot: Robot | None = None
    stored: StoredCheckpoint | None = None
    stats: NormStats | None = None
    where: str = ""


def read_side(checkpoint: str, contract: Contract, asset_id: str) -> CheckpointSide:
    """Read headers and statistics; what cannot be read is a finding."""
    findings: list[Finding] = []
    robot: Robot | None = None
    try:
        robot = robots.get(contract.adapter)
        robot.check(
            state_names=contract.state,
            action_names=contract.action_names,
            cameras=[camera.name for camera in contract.cameras],
        )
        found = f"state {robot.state_dim}, action {robot.action_dim}, fits adapter {robot.name}"
        findings.append(_passed("contract", contract.robot, found))
    except VlaError as error:
        findings.append(_failed("contract", contract.robot, error))
    if skipped := _skipped(checkpoint):
        findings.append(skipped)
        return CheckpointSide(findings=tuple(findings))
    from vla_policy.checkpoints import read_checkpoint

    try:
        stored = read_checkpoint(checkpoint)
    except VlaError as error:
        findings.append(_failed("checkpoint", checkpoint, error))
        return CheckpointSide(findings=tuple(findings))
    findings += _judge_stored(stored, contract)
    if robot is None:
        return CheckpointSide(findings=tuple(findings), stored=stored)
    asset = asset_id or robot.asset_id
    findings += _judge_stats(stored, robot, asset)
    quantities = stored.norm_stats.get(asset, {})
    fits = findings[-1].level is not Level.FAIL and "state" in quantities
    return CheckpointSide(
        findings=tuple(findings),
        robot=robot,
        stored=stored,
        stats=quantities["state"].cut(robot.state_dim) if fits else None,
        where=asset,
    )


def judge_state(side: CheckpointSide, contract: Contract, measured: Measured) -> Iterator[Finding]:
    """The live state in the model's space, against the statistics."""
    if side.stats is None or side.robot is None or side.stored is None:
        return
    live: dict[str, float] = {}
    for source in measured.sources.values():
        live |= {name: float(np.median(values)) for name, values in source.joints.items()}
    if missing := [name for name in contract.state if name not in live]:
        found = f"not compared: no value of {', '.join(missing)}"
        yield Finding(level=Level.WARN, check="statistics", where=side.where, found=found,
                      advice="see the findings on their topics")  # fmt: skip
        return
    state = np.array([live[name] for name in contract.state])
    to_model = _Transform(contract, side.robot, fast=side.stored.config.model_type == "pi0_fast")
    processing = side.stored.processing
    trained = Trained(
        stats=side.stats,
        scaling=processing.scaling["state"],
        formula=processing.formula,
        labels=to_model.labels,
        reach=to_model.reach,
        grippers=tuple(
            label in contract.joints and contract.joints[label].kind is Kind.GRIPPER
            for label in to_model.labels
        ),
        where=side.where,
    )
    yield from judge_statistics(trained, to_model(state))


class _Transform:
    """The robot's transform on states alone, and what it does to the contract's joints.

    Attributes:
        reach: (2, S), the ends of the contract's ranges in the model's space.
        labels: S contract names, found by moving one joint at a time.
    """

    def __init__(self, contract: Contract, robot: Robot, *, fast: bool) -> None:
        self._steps = robot.transforms(fast=fast).inputs
        black = np.zeros((16, 16, 3), np.uint8)
        self._images = {camera.name: black for camera in contract.cameras}
        joints = [contract.joints[name] for name in contract.state]
        lower, upper = (np.array([getattr(j, end) for j in joints]) for end in ("lower", "upper"))
        self.reach = np.stack([self(lower), self(upper)])
        self.labels = self._labels(contract.state, (lower + upper) / 2, upper - lower)

    def __call__(self, state: Vector) -> Vector:
        data = {"state": state, "images": self._images, "prompt": "preflight"}
        return np.asarray(apply(self._steps, data)["state"], np.float64)

    def _labels(self, names: tuple[str, ...], middle: Vector, span: Vector) -> tuple[str, ...]:
        rest = self(middle)
        moved_by: list[list[str]] = [[] for _ in rest]
        for joint, name in enumerate(names):
            probe = middle.copy()
            probe[joint] += _PROBE_SHARE * span[joint]
            for dim in np.flatnonzero(self(probe) != rest):
                moved_by[dim].append(name)
        return tuple(
            who[0] if len(who) == 1 else f"state[{dim}]" for dim, who in enumerate(moved_by)
        )


def _skipped(checkpoint: str) -> Finding | None:
    """A finding for what has no statistics here."""
    if checkpoint == HOLD or checkpoint.startswith("replay:"):
        return _passed("checkpoint", checkpoint, "no model: its statistics are skipped")
    if "://" in checkpoint:
        return Finding(
            level=Level.WARN,
            check="checkpoint",
            where=checkpoint,
            found="remote: its statistics are not compared with this robot",
            advice="download it, and give the directory",
        )
    return None


def _judge_stored(stored: StoredCheckpoint, contract: Contract) -> Iterator[Finding]:
    config, where = stored.config, str(stored.path)
    found = f"{stored.format.short}, {config.model_type}, {stored.num_parameters:,} parameters,"
    found += f" action_dim {config.action_dim}, horizon {config.action_horizon}"
    yield _passed("checkpoint", where, found)
    for fact in stored.missing:
        yield Finding(
            level=Level.FAIL,
            check="checkpoint",
            where=where,
            found=f"missing: {fact}",
            advice="complete the directory, or give the recipe that it was trained with",
        )
    if stored.contract is not None and stored.contract != contract.sha256:
        yield Finding(
            level=Level.WARN,
            check="checkpoint",
            where=where,
            found=f"trained with contract {stored.contract[:12]}, this is {contract.sha256[:12]}",
            advice="compare the two contracts: names, order, units and rates must be the same",
        )


def _judge_stats(stored: StoredCheckpoint, robot: Robot, asset: str) -> Iterator[Finding]:
    """Whether there are statistics for this robot, of its size."""
    known = ", ".join(sorted(stored.norm_stats)) or "none"
    if asset not in stored.norm_stats:
        yield Finding(
            level=Level.FAIL,
            check="statistics",
            where=asset,
            found=f"none of this name in the checkpoint; there are: {known}",
            advice="give --asset-id (asset_id:= at launch) if one of them is of this robot's data",
        )
        return
    stats, width = stored.norm_stats[asset], stored.config.action_dim
    needed = {"state": robot.state_dim, "actions": robot.action_dim}
    sizes = {key: stats[key].mean.size if key in stats else 0 for key in needed}
    wrong = [f"{key} has {sizes[key]}, needs {needed[key]}" for key in needed
             if sizes[key] not in (needed[key], width)]  # fmt: skip
    if width < max(needed.values()):
        wrong.append(f"the model has {width} dims, the robot {max(needed.values())}")
    if wrong:
        advice = "these are of another robot: choose a checkpoint that was trained for this one"
        yield Finding(level=Level.FAIL, check="statistics", where=asset, found="; ".join(wrong),
                      advice=advice)  # fmt: skip
        return
    yield _passed("statistics", asset, f"from {stored.path}; there are: {known}")


def _passed(check: str, where: str, found: str) -> Finding:
    return Finding(level=Level.PASS, check=check, where=where, found=found)


def _failed(check: str, where: str, error: VlaError) -> Finding:
    parts = [error.what, f"found {error.found}" if str(error.found) else ""]
    parts.append(f"expected {error.allowed}" if str(error.allowed) else "")
    found = "; ".join(part for part in parts if part)
    return Finding(level=Level.FAIL, check=check, where=where, found=found,
                   advice=error.fix or "see the message")  # fmt: skip
