#!/usr/bin/env python3
"""Seconds from nothing to the first executed action chunk: a fresh clone, and a second run.

Needs git and what scripts/setup.sh needs, no environment. Clones this repository into an empty
directory, gives pip an empty cache, and runs scripts/demo.sh twice. Prints JSON; exits with 1
when a target is missed. What the system's package manager already installed stays installed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measured_on import ROOT, measured_on

TARGETS_S = {"fresh": 360.0, "again": 30.0}
# An environment that a shell has sourced would hide what a fresh clone lacks.
SOURCED = ("VIRTUAL_ENV", "PYTHONPATH", "AMENT_PREFIX_PATH", "COLCON_PREFIX_PATH",
           "COLCON_DEFAULTS_FILE", "LD_LIBRARY_PATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE",
           "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")  # fmt: skip


def fresh_environment(folder: Path) -> dict[str, str]:
    """This process's environment without what scripts/env.sh exports, and an empty cache."""
    environment = {k: v for k, v in os.environ.items() if k not in SOURCED}
    paths = os.environ["PATH"].split(os.pathsep)
    venv = os.environ.get("VIRTUAL_ENV")
    here = [p for p in paths if not (venv and p.startswith(venv)) and str(ROOT) not in p]
    return {
        **environment,
        "PATH": os.pathsep.join(here),
        "PIP_CACHE_DIR": str(folder / "pip-cache"),
    }


def run_demo(
    clone: Path, out: Path, seconds: float, environment: dict[str, str]
) -> dict[str, float]:
    """One run of the demo; its own figure, and what the whole command took."""
    began_s = time.monotonic()
    command = ["scripts/demo.sh", "--seconds", str(seconds), "--out", str(out), "--headless"]
    done = subprocess.run(
        command, cwd=clone, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        sys.stderr.buffer.write(done.stdout[-4000:])
        raise SystemExit(f"bench_setup: the demo ended with {done.returncode}")
    summary = json.loads((out / "summary.json").read_text())
    return {
        "to_first_chunk_s": summary["start_to_first_chunk_s"],
        "whole_command_s": round(time.monotonic() - began_s, 1),
    }


def main() -> int:
    """Clone, run twice, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="of each demo (5)")
    parser.add_argument("--repository", default=str(ROOT), help="what to clone (this checkout)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench_setup_") as name:
        folder = Path(name)
        clone = folder / "clone"
        subprocess.run(["git", "clone", "--quiet", options.repository, str(clone)], check=True)
        environment = fresh_environment(folder)
        figures = {
            run: run_demo(clone, folder / run, options.seconds, environment) for run in TARGETS_S
        }
        commit = ["git", "-C", str(clone), "describe", "--always", "--abbrev=12"]
        cloned = subprocess.run(commit, check=True, capture_output=True, text=True).stdout.strip()
    reached = all(figures[run]["to_first_chunk_s"] < limit for run, limit in TARGETS_S.items())
    report = {
        "benchmark": "scripts/demo.sh until the first executed chunk, set-up included",
        **figures,
        "target": {run: f"to_first_chunk_s < {limit}" for run, limit in TARGETS_S.items()},
        "reached": reached,
        **measured_on(),
        "commit": cloned,
    }
    print(json.dumps(report, indent=2))
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
