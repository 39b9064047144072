#!/usr/bin/env python3
"""Writes docs/parameters.md from the nodes' declarations; ``--check`` only compares."""

from __future__ import annotations

import sys
from pathlib import Path

from vla_bringup.sim.parameters import ALOHA_SIM, FAKE_ROBOT
from vla_bringup.teleop.parameters import TELEOP
from vla_core.parameters import table
from vla_policy.nodes.node_parameters import EXECUTOR_NODE, LIFECYCLE_MANAGER, POLICY_NODE
from vla_recorder.nodes.recorder_parameters import EPISODE_RECORDER

TARGET = Path(__file__).resolve().parents[1] / "docs" / "parameters.md"
NODES = {
    "vla_policy policy_node": POLICY_NODE,
    "vla_policy executor_node": EXECUTOR_NODE,
    "vla_policy lifecycle_manager": LIFECYCLE_MANAGER,
    "vla_recorder episode_recorder": EPISODE_RECORDER,
    "vla_bringup aloha_sim": ALOHA_SIM,
    "vla_bringup fake_robot": FAKE_ROBOT,
    "vla_bringup teleop": TELEOP,
}


def main() -> int:
    parts = ["# Parameters\n\nMade from the declarations by `scripts/make_docs.py`.\n"]
    parts += [f"## {name}\n\n{table(parameters)}\n" for name, parameters in NODES.items()]
    text = "\n".join(parts)
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(text)
    elif TARGET.read_text() != text:
        print("docs/parameters.md is stale: run scripts/make_docs.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
