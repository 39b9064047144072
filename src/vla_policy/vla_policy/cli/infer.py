"""One inference without a robot: on a random observation, or on a recorded case."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from vla_core.contract import load_contract
from vla_core.errors import CheckpointError
from vla_core.types import Observation
from vla_policy import robots
from vla_policy.cli.command import DONE, add_checkpoint, add_model, outcome
from vla_policy.policies import Policy
from vla_policy.robots.robot import Robot

if TYPE_CHECKING:
    from vla_policy.checkpoints.stored import StoredCheckpoint
    from vla_policy.policies.source import Source

Result = TypeVar("Result")
_log = logging.getLogger(__name__)
EXAMPLES = ("aloha", "droid", "libero", "ur5")
DEFAULTS: Mapping[str, Any] = {
    "out": None,
    "robot": "",
    "asset_id": "",
    "prompt": "",
    "num_steps": 10,
    "repeat": 10,
}
UNUSED = {
    "example": {"out"},
    "contract": {"out", "robot"},
    "case": {"robot", "asset_id", "prompt", "num_steps", "repeat"},
}


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns 0 when done, 1 when it failed. Wrong usage exits with 2."""
    options = _options(argv)
    return outcome(
        "infer", lambda: _case(options) if options.case is not None else _timed(options)
    )


def _case(options: argparse.Namespace) -> int:
    from vla_policy.checkpoints.load import load_model
    from vla_policy.cli.case_file import load_case, new_file
    from vla_policy.cli.recorded_case import compare, run_case
    from vla_policy.policies.open import choose_device
    from vla_policy.policies.source import read_source

    case = load_case(options.case)
    stored = read_source(options.checkpoint, options.recipe).stored
    with nullcontext() if options.out is None else new_file(options.out) as out:
        model = load_model(stored, *choose_device(options.device, options.precision))
        results = run_case(model, case)
        if out is not None:
            np.savez(out, **results)  # type: ignore[arg-type]
    if out is not None:
        print(f"wrote {options.out}: {', '.join(sorted(results))}")
    else:
        for name, array in results.items():
            print(f"{name:28} {array.dtype} {array.shape}")
    for kind in ("out", "out_bf16"):
        for name, error in compare(results, case, kind).items():
            print(f"{name.replace('out', kind, 1):28} relative error {error:.1e}")
    return DONE


def _timed(options: argparse.Namespace) -> int:
    from vla_policy.policies.source import lacking, read_source

    if options.contract is not None:  # of any policy
        policy, observation = _on_contract(options)
    else:
        source = read_source(options.checkpoint, options.recipe)
        robot = _robot(source, options)
        if missing := lacking(source.stored):
            print(f"note: no {', '.join(missing)}: random inputs in the model's own space")
            return _time_model(source.stored, options)
        policy, observation = _on_robot(source, robot, options)
    chunk, latencies_ms = _repeat(lambda: policy.infer(observation), options.repeat)
    print(f"chunk {chunk.shape} of {', '.join(policy.action_names)}")
    with np.printoptions(precision=3, suppress=True, linewidth=99):
        print(f"first {chunk[0]}\nlast  {chunk[-1]}")
    _print(latencies_ms)
    return DONE


def _time_model(stored: StoredCheckpoint, options: argparse.Namespace) -> int:
    """The model alone, where there is nothing that would make a robot's numbers of its own."""
    from vla_policy.checkpoints.load import load_model
    from vla_policy.cli.recorded_case import random_case, run_once
    from vla_policy.policies.open import choose_device

    model = load_model(stored, *choose_device(options.device, options.precision))
    case = random_case(stored.config)
    result, latencies_ms = _repeat(
        lambda: run_once(model, case, options.num_steps), options.repeat
    )
    print(f"{stored.config.model_type} gives {result.dtype} {result.shape}")
    _print(latencies_ms)
    return DONE


def _repeat(infer: Callable[[], Result], count: int) -> tuple[Result, np.ndarray]:
    result = infer()  # the first one also allocates and tunes
    latencies_ms = []
    for _ in range(count):
        began = time.perf_counter()
        result = infer()
        latencies_ms.append(1e3 * (time.perf_counter() - began))
    return result, np.asarray(latencies_ms)


def _on_contract(options: argparse.Namespace) -> tuple[Policy, Observation]:
    """The policy, and an observation that it was made for."""
    from vla_policy.policies.open import open_policy

    contract = load_contract(options.contract)
    policy = open_policy(options.checkpoint, contract, recipe=options.recipe, **_how(options))
    return policy, robots.plain(contract).make_observation(options.prompt)


def _on_robot(
    source: Source, robot: Robot, options: argparse.Namespace
) -> tuple[Policy, Observation]:
    from vla_policy.policies.open import open_for_robot

    policy = open_for_robot(source, robot, **_how(options))
    return policy, robot.make_observation(options.prompt)


def _how(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "device": options.device,
        "precision": options.precision,
        "num_steps": options.num_steps,
        "asset_id": options.asset_id,
    }


def _robot(source: Source, options: argparse.Namespace) -> Robot:
    """The adapter of an example: its own, or the checkpoint's variant of it.

    Raises:
        CheckpointError: The checkpoint is for another platform, and no adapter is named.
    """
    of_example = source.adapter.startswith(options.example)  # droid_velocity is a droid
    if not (options.robot or of_example or source.adapter in ("", robots.PLAIN)):
        raise CheckpointError(
            "the checkpoint or its recipe is for another robot than the example",
            where=f"--example {options.example}",
            found=f"adapter {source.adapter}",
            allowed=f"adapter {options.example}, or a variant of it",
            fix=f"name the adapter to take: --robot {source.adapter}, or {options.example}",
        )
    name = options.robot or (source.adapter if of_example else options.example)
    robot = source.adapted(robots.get(name))
    if source.adapter not in ("", robot.name):
        _log.warning("trained on numbers of adapter %s, not %s", source.adapter, robot.name)
    return robot


def _print(latencies_ms: np.ndarray) -> None:
    p50, p90, p99 = np.percentile(latencies_ms, (50, 90, 99))
    print(f"latency of {latencies_ms.size}: p50 {p50:.1f}, p90 {p90:.1f}, p99 {p99:.1f} ms")


def _options(argv: list[str] | None) -> argparse.Namespace:
    """What is given; an option that would be ignored is wrong usage."""
    parser = _parser()
    options = parser.parse_args(argv)
    given = {name for name in DEFAULTS if getattr(options, name) is not None}
    for mode, unused in UNUSED.items():
        if getattr(options, mode) is not None and (ignored := sorted(given & unused)):
            names = ", ".join(f"--{name.replace('_', '-')}" for name in ignored)
            parser.error(f"not with --{mode}: {names}")
    for name in DEFAULTS.keys() - given:
        setattr(options, name, DEFAULTS[name])
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="infer", description=__doc__)
    add_checkpoint(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--example", choices=EXAMPLES, help="random pictures and a resting pose of this robot"
    )
    what.add_argument("--contract", type=Path, help="the same on a robot contract (YAML)")
    what.add_argument("--case", type=Path, metavar="FILE.npz", help="recorded arrays in/...")
    parser.add_argument("--out", type=Path, metavar="OUT.npz", help="file for the arrays out/...")
    parser.add_argument("--robot", help="adapter for --example, where not its own")
    parser.add_argument("--asset-id", help="statistics in the checkpoint")
    parser.add_argument("--prompt", help="task in words (that of the example)")
    parser.add_argument("--num-steps", type=_count, help="steps of the flow (10)")
    parser.add_argument("--repeat", type=_count, help="inferences to time (10)")
    add_model(parser)
    return parser


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise argparse.ArgumentTypeError("at least one")
    return count


if __name__ == "__main__":
    sys.exit(main())
