"""Live equals offline: plays a bag to a policy node and compares what its model sees with what
conversion makes of the same bag, bit for bit. Exit code 0 when all is equal, 1 when it is not.

The node runs on simulated time on a ROS domain of its own; nothing else may be there.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vla_core.contract import load_contract
from vla_recorder.bags import open_bag
from vla_recorder.cli.command import DONE, FAILED, outcome
from vla_recorder.convert.checks import read_contract

DOMAIN = 219


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; 0 equal, 1 different or not comparable."""
    parser = argparse.ArgumentParser(prog="parity", description=__doc__)
    parser.add_argument("bag", type=Path, metavar="BAG")
    parser.add_argument("--checkpoint", required=True, help="as of the launch files")
    parser.add_argument("--contract", type=Path, metavar="C", help="YAML (that of the bag)")
    parser.add_argument("--prompt", default="", help="the task (that of the bag)")
    parser.add_argument("--ticks", type=int, default=20, metavar="N", help="at most (20)")
    parser.add_argument("--domain", type=int, default=DOMAIN, help=f"ROS domain ({DOMAIN})")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    given = parser.parse_args(argv)
    return outcome("parity", lambda: _compare_bag(given))


def _compare_bag(given: argparse.Namespace) -> int:
    from vla_recorder.parity.compare import compare  # with torch, which takes seconds

    with tempfile.TemporaryDirectory(prefix="vla_parity_") as folder:
        _, text = read_contract(given.contract, [given.bag])
        file = Path(folder, "contract.yaml")
        file.write_text(text, encoding="utf-8")
        report = compare(
            given.bag,
            load_contract(file),
            checkpoint=given.checkpoint,
            prompt=given.prompt or _task(given.bag),
            count=given.ticks,
            domain=given.domain,
            folder=Path(folder),
        )
    print(json.dumps(report, indent=2) if given.json else _text(report))
    return DONE if report["equal"] else FAILED


def _task(bag: Path) -> str:
    with open_bag(bag) as opened:
        return opened.custom.get("task", "")


def _text(report: Mapping[str, Any]) -> str:
    if report["equal"]:
        return (
            f"equal, bit for bit: {len(report['arrays'])} arrays at {report['ticks']} ticks"
            f" ({', '.join(report['arrays'])})"
        )
    lines = [f"{len(report['differences'])} differences at {report['ticks']} ticks"]
    return "\n".join(lines + [f"  {found}" for found in report["differences"][:20]])
