"""The checkpoint's side of preflight: what it is, and whether the live state is one it knows.

Only headers and statistics are read, by the same functions that open the policy. What imports
torch is imported where it is used: that takes seconds, which `hold:` need not wait for.

Shape letter: S state dims.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vla_core.contract import Contract, Kind
from vla_core.errors import VlaError
from vla_core.preflight.findings import Finding, Level
from vla_core.preflight.measured import Measured
from vla_core.preflight.statistics import Trained, judge_statistics
from vla_core.stats import NormStats, Vector
from vla_core.transforms import apply
from vla_policy.policies.open import HOLD
from vla_policy.policies.replay import REPLAY
from vla_policy.robots.robot import Robot

if TYPE_CHECKING:
    from vla_policy.checkpoints.stored import StoredCheckpoint
    from vla_policy.policies.source import Source

_PROBE_SHARE = 0.1  # of a joint's range


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A policy that fits the contract.

    Attributes:
        robot: The adapter between them.
        stored: The checkpoint.
        state: Statistics of the state, None where it is not scaled by any.
        asset_id: Whose they are.
    """

    robot: Robot
    stored: StoredCheckpoint
    state: NormStats | None
    asset_id: str


def read_side(
    checkpoint: str, contract: Contract, *, recipe: str, asset_id: str
) -> tuple[list[Finding], Side | None]:
    """Read headers and statistics, and fit them to the contract; what does not is a finding."""
    findings: list[Finding] = []
    where = checkpoint
    try:
        if (skipped := _skipped(checkpoint)) is not None:
            return [skipped], None
        from vla_policy.policies.source import read_source

        source = read_source(checkpoint, recipe)
        findings += _judge_stored(source.stored, contract)
        where = contract.adapter
        side = _fit(source, contract, asset_id)
        findings += _judge_adapter(source, side.robot)
    except VlaError as error:
        return [*findings, _failed(where, error)], None
    found = f"state {side.robot.state_dim}, action {side.robot.action_dim} fit contract and model"
    findings.append(_passed("robot", side.robot.name, found))
    if side.state is None:
        findings.append(_passed("statistics", checkpoint, "the state is not scaled by any"))
        return findings, None
    known = ", ".join(sorted(source.stored.norm_stats))
    findings.append(_passed("statistics", side.asset_id, f"one of: {known}; in {checkpoint}"))
    return findings, side


def _fit(source: Source, contract: Contract, asset_id: str) -> Side:
    """The checks that the policy makes when it is opened.

    Raises:
        VlaError: Names, dims, cameras, statistics or tokenizer do not fit.
    """
    from vla_policy.policies.pipeline import (
        choose_statistics,
        make_tokenizer,
        statistics_name,
        steps_for,
    )
    from vla_policy.policies.source import robot_for

    stored, robot = source.stored, robot_for(source, contract)
    steps_for(stored, robot, make_tokenizer(stored), asset_id=asset_id)
    stats = choose_statistics(stored, robot, asset_id)
    return Side(
        robot=robot,
        stored=stored,
        state=stats.get("state"),
        asset_id=statistics_name(stored, robot, asset_id),
    )


def judge_state(side: Side | None, contract: Contract, measured: Measured) -> Iterator[Finding]:
    """The live state in the model's space, against the statistics."""
    if side is None or side.state is None:
        return
    live: dict[str, float] = {}
    for source in measured.sources.values():
        live |= {name: float(np.median(values)) for name, values in source.joints.items()}
    if missing := [name for name in contract.state if name not in live]:
        yield Finding(
            level=Level.WARN,
            check="statistics",
            where=side.asset_id,
            found=f"not compared with the live state: no value of {', '.join(missing)}",
            advice="see the findings on their topics",
        )
        return
    to_model = _Transform(contract, side)
    joints = [contract.joints.get(label) for label in to_model.labels]
    trained = Trained(
        stats=side.state,
        scaling=side.stored.processing.scaling["state"],
        formula=side.stored.processing.formula,
        labels=to_model.labels,
        reach=to_model.reach,
        grippers=tuple(joint is not None and joint.kind is Kind.GRIPPER for joint in joints),
        where=side.asset_id,
    )
    yield from judge_statistics(trained, to_model(np.array([live[n] for n in contract.state])))


class _Transform:
    """The robot's transform on states alone, and what it does to the contract's joints.

    Attributes:
        reach: (2, S), the ends of the contract's ranges in the model's space.
        labels: S contract names, found by moving one joint at a time.
    """

    def __init__(self, contract: Contract, side: Side) -> None:
        self._steps = side.robot.transforms(
            fast=side.stored.config.model_type == "pi0_fast"
        ).inputs
        self._example = side.robot.make_example()
        joints = [contract.joints[name] for name in contract.state]
        lower, upper = (np.array([getattr(j, end) for j in joints]) for end in ("lower", "upper"))
        self.reach = np.stack([self(lower), self(upper)])
        self.labels = self._labels(contract.state, (lower + upper) / 2, upper - lower)

    def __call__(self, state: Vector) -> Vector:
        transformed = apply(self._steps, {**self._example, "state": state})
        return np.asarray(transformed["state"], np.float64)

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
    """A finding for what has no statistics here, with the reason."""
    if checkpoint == HOLD or checkpoint.startswith(REPLAY):
        return _passed("checkpoint", checkpoint, "no model: its statistics are skipped")
    found = ""
    if "://" in checkpoint:
        found = "remote: its statistics are not compared with this robot"
    else:
        from vla_policy.checkpoints.open import is_other_lerobot_policy, local_path
        from vla_policy.recipes import RECIPES

        if checkpoint in RECIPES and not Path(checkpoint).exists():
            found = "a released checkpoint, not here yet: its statistics are not compared"
        elif is_other_lerobot_policy(local_path(checkpoint)):
            found = "a policy that lerobot itself normalises: its statistics are not compared"
    if not found:
        return None
    advice = "give the directory that it was downloaded to; of other policies, compare by hand"
    return Finding(
        level=Level.WARN, check="checkpoint", where=checkpoint, found=found, advice=advice
    )


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
            advice="complete the directory, or name the recipe: ros2 run vla_policy list",
        )
    if stored.contract is not None and stored.contract != contract.sha256:
        yield Finding(
            level=Level.WARN,
            check="checkpoint",
            where=where,
            found=f"trained with contract {stored.contract[:12]}, this is {contract.sha256[:12]}",
            advice="compare the two contracts: names, order, units and rates must be the same",
        )


def _judge_adapter(source: Source, robot: Robot) -> Iterator[Finding]:
    from vla_policy.policies.source import assumed_instead_of

    if others := assumed_instead_of(source, robot):
        yield Finding(
            level=Level.WARN,
            check="robot",
            where=robot.name,
            found=f"neither checkpoint nor recipe names the adapter; also {', '.join(others)}",
            advice="name the recipe that it was trained with: ros2 run vla_policy list",
        )
    for note in source.stored.notes:
        if note.startswith("assumed"):
            yield Finding(
                level=Level.WARN,
                check="checkpoint",
                where=str(source.stored.path),
                found=note,
                advice="name the recipe that it was trained with: ros2 run vla_policy list",
            )


def _passed(check: str, where: str, found: str) -> Finding:
    return Finding(level=Level.PASS, check=check, where=where, found=found)


def _failed(where: str, error: VlaError) -> Finding:
    parts = [error.what]
    parts += [f"found {error.found}"] if str(error.found) else []
    parts += [f"expected {error.allowed}"] if str(error.allowed) else []
    return Finding(
        level=Level.FAIL,
        check="checkpoint",
        where=error.where or where,
        found="; ".join(parts),
        advice=error.fix or "give a checkpoint of this robot",
    )
