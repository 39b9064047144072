"""One inference without a robot: on a random observation, or on a recorded case."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from vla_core.contract import load_contract
from vla_core.types import Observation
from vla_policy import robots
from vla_policy.cli.command import DONE, add_checkpoint, add_model, outcome
from vla_policy.policies import Policy

if TYPE_CHECKING:
    from vla_policy.checkpoints.stored import StoredCheckpoint

Result = TypeVar("Result")
_log = logging.getLogger(__name__)
EXAMPLES = ("aloha", "droid", "libero", "ur5")


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns 0 when done, 1 when it failed. Wrong usage exits with 2."""
    options = _parser().parse_args(argv)
    return outcome("infer", lambda: _case(options) if options.case else _timed(options))


def _case(options: argparse.Namespace) -> int:
    from vla_policy.checkpoints.load import load_model
    from vla_policy.cli.recorded_case import compare, load_case, run_case
    from vla_policy.policies.open import choose_device
    from vla_policy.policies.source import read_source

    case = load_case(options.case)
    stored = read_source(options.checkpoint, options.recipe).stored
    model = load_model(stored, *choose_device(options.device, options.precision))
    results = run_case(model, case)
    if options.out is not None:
        np.savez(options.out, **results)  # type: ignore[arg-type]
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

    is_model = options.contract is None  # else it may be any policy
    if is_model and (missing := lacking((source := read_source(*_named(options))).stored)):
        print(f"note: no {', '.join(missing)}: random inputs in the model's own space")
        return _time_model(source.stored, options)
    policy, observation = _policy(options)
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


def _named(options: argparse.Namespace) -> tuple[str, str]:
    return options.checkpoint, options.recipe


def _policy(options: argparse.Namespace) -> tuple[Policy, Observation]:
    """The policy, and an observation that it was made for."""
    from vla_policy.policies.open import open_for_robot, open_policy
    from vla_policy.policies.source import read_source

    how = {
        "device": options.device,
        "precision": options.precision,
        "num_steps": options.num_steps,
        "asset_id": options.asset_id,
    }
    if options.contract is not None:
        contract = load_contract(options.contract)
        policy = open_policy(options.checkpoint, contract, recipe=options.recipe, **how)
        return policy, robots.plain(contract).make_observation(options.prompt)
    source = read_source(*_named(options))
    of_example = source.adapter.startswith(options.example)  # droid_velocity is a droid
    name = options.robot or (source.adapter if of_example else options.example)
    robot = source.adapted(robots.get(name))
    if source.adapter not in ("", robot.name):
        _log.warning("trained on numbers of adapter %s, not %s", source.adapter, robot.name)
    return open_for_robot(source, robot, **how), robot.make_observation(options.prompt)


def _print(latencies_ms: np.ndarray) -> None:
    p50, p90, p99 = np.percentile(latencies_ms, (50, 90, 99))
    print(f"latency of {latencies_ms.size}: p50 {p50:.1f}, p90 {p90:.1f}, p99 {p99:.1f} ms")


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
    parser.add_argument("--robot", default="", help="adapter for --example, where not its own")
    parser.add_argument("--asset-id", default="", help="statistics in the checkpoint")
    parser.add_argument("--prompt", default="", help="task in words (that of the example)")
    parser.add_argument("--num-steps", type=_count, default=10, help="steps of the flow (10)")
    parser.add_argument("--repeat", type=_count, default=10, help="inferences to time (10)")
    add_model(parser)
    return parser


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise argparse.ArgumentTypeError("at least one")
    return count


if __name__ == "__main__":
    sys.exit(main())
