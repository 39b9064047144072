"""One inference without a robot: on a random observation, or on a recorded case."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from vla_policy import robots
from vla_policy.cli.command import DONE, add_checkpoint, add_model, outcome
from vla_policy.policies import Policy

EXAMPLES = ("aloha", "droid", "libero", "ur5")


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns 0 when done, 1 when it failed. Wrong usage exits with 2."""
    options = _parser().parse_args(argv)
    return outcome("infer", lambda: _case(options) if options.case else _example(options))


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


def _example(options: argparse.Namespace) -> int:
    from vla_policy.policies.open import open_for_robot
    from vla_policy.policies.source import read_source

    source = read_source(options.checkpoint, options.recipe)
    of_recipe = source.recipe.robot if source.recipe else ""
    robot = robots.get(options.robot or of_recipe or options.example)
    policy = open_for_robot(
        source,
        robot,
        device=options.device,
        precision=options.precision,
        num_steps=options.num_steps,
        asset_id=options.asset_id,
    )
    if (trained := source.stored.processing.robot) not in ("", robot.name):
        print(f"note: trained on numbers of adapter {trained}, not {robot.name}: try its latency")
    observation = robot.make_observation(options.prompt)
    chunk = policy.infer(observation)  # the first one also allocates and tunes
    latencies_ms = []
    for _ in range(options.repeat):
        began = time.perf_counter()
        chunk = policy.infer(observation)
        latencies_ms.append(1e3 * (time.perf_counter() - began))
    _print(policy, chunk, np.asarray(latencies_ms))
    return DONE


def _print(policy: Policy, chunk: np.ndarray, latencies_ms: np.ndarray) -> None:
    print(f"chunk {chunk.shape} of {', '.join(policy.action_names)}")
    with np.printoptions(precision=3, suppress=True, linewidth=99):
        print(f"first {chunk[0]}\nlast  {chunk[-1]}")
    p50, p90, p99 = np.percentile(latencies_ms, (50, 90, 99))
    print(f"latency of {latencies_ms.size}: p50 {p50:.1f}, p90 {p90:.1f}, p99 {p99:.1f} ms")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="infer", description=__doc__)
    add_checkpoint(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--example", choices=EXAMPLES, help="random pictures and a resting pose of this robot"
    )
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
