#!/usr/bin/env python3
"""Smoothness at chunk boundaries under inference delay, and steadiness of the command stream.

Needs `source scripts/env.sh`. First, on fake clocks and with the same noise in each run: every
strategy, and two peers written from their formulas, on a scripted trajectory with a flow policy
that answers late (`scripted_flow.py`, `boundaries.py`). An injected delay comes on top of the one
control tick that a chunk takes from process to process. Then, with real processes and clocks, the
command stream at 50, 100 and 500 Hz (`bench_commands.py`).
Prints JSON and draws the picture of docs/execution.md; exits with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from bench_commands import TARGET as STREAM_TARGET
from bench_commands import measure_all
from boundaries import ENTRIES, LEFT, Run, figures, run_entry
from boundary_plot import draw_boundaries
from measured_on import ROOT, measured_on
from scripted_flow import STEP_S

PICTURE = ROOT / "docs" / "images" / "boundaries.png"
DELAYS_S = (0.0, 0.1, 0.2, 0.3)
DRAWN_S = 0.2
DRAWN = (
    "synchronous",
    "receding_horizon",
    "temporal_ensemble",
    "LeRobot weighted_average",
    "latency_aligned",
    "rtc",
    "rtc_trained",
    "ACT, each action",
)
TOO_LATE_S = 0.6  # longer than what is left of a chunk: shows that starved ticks are seen
SMOOTH = ("latency_aligned", "rtc", "rtc_trained")
SHARE = 0.3  # of the largest step of synchronous
RATES_HZ = (50, 100, 500)
STREAM_S, LONG_S = 10.0, 60.0
STEP = "wish_largest_step_rad_s"


def measure_boundaries(
    seconds: float, runs: int
) -> tuple[dict[str, dict[str, Any]], dict[str, Run]]:
    """Figures by delay and row, and the runs to draw."""
    report: dict[str, dict[str, Any]] = {}
    drawn: dict[str, Run] = {}
    for delay_s in DELAYS_S:
        rows = report[f"{delay_s * 1e3:.0f}_ms"] = {}
        for name, entry in ENTRIES.items():
            made = run_entry(entry, delay_s=delay_s, seconds=seconds, runs=runs)
            rows[name] = figures(made)
            if delay_s == DRAWN_S and name in DRAWN:
                drawn[name] = made[0]
        for row in rows.values():
            row["share_of_synchronous"] = round(row[STEP] / rows["synchronous"][STEP], 3)
    return report, {name: drawn[name] for name in DRAWN}


def missed(delays: dict[str, dict[str, Any]], too_late: dict[str, Any]) -> list[str]:
    """Targets that are not reached, in words."""
    found = [
        f"{delay}, {name}: {row['starved_ticks']} starved ticks"
        for delay, rows in delays.items()
        for name, row in rows.items()
        if row["starved_ticks"]
    ]
    found += [
        f"{delay}, {name}: {rows[name]['share_of_synchronous']} of synchronous"
        for delay, rows in delays.items()
        for name in SMOOTH
        if not rows[name]["share_of_synchronous"] <= SHARE
    ]
    if not too_late["starved_ticks"]:
        found.append(f"{TOO_LATE_S} s: starvation is not seen")
    return found


def main() -> int:
    """Measure, draw, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="of each script run (20)")
    parser.add_argument("--runs", type=int, default=2, help="of each row, with other noise (2)")
    parser.add_argument(
        "--long",
        action="store_true",
        help=f"command streams of {LONG_S:.0f} s instead of {STREAM_S:.0f} s",
    )
    parser.add_argument("--no-streams", action="store_true", help="leave out the command streams")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="PNG to write")
    options = parser.parse_args()
    torch.set_num_threads(1)  # the matrices are small
    delays, drawn = measure_boundaries(options.seconds, options.runs)
    delay = f"{DRAWN_S * 1e3:.0f} ms"
    draw_boundaries(options.picture, drawn, f"The worst chunk boundary, inference delay {delay}")
    too_late = figures(
        run_entry(ENTRIES["latency_aligned"], delay_s=TOO_LATE_S, seconds=5.0, runs=1)
    )
    failures = missed(delays, too_late)
    streams = []
    if not options.no_streams:
        streams = measure_all(rates_hz=RATES_HZ, seconds=LONG_S if options.long else STREAM_S)
        failures += [
            f"{run['rate_hz']} Hz, {run['load']}" for run in streams if not run["reached"]
        ]
    report = {
        "benchmark": "chunk boundaries under inference delay, and the command stream",
        "boundaries": delays,
        "rtc_execution_horizon": LEFT,
        "observations_every_s": ENTRIES["rtc"].every_s,
        "action_s": STEP_S,
        f"{TOO_LATE_S * 1e3:.0f}_ms, latency_aligned": too_late,
        "streams": streams,
        "target": f"no starved tick; {', '.join(SMOOTH)}: share_of_synchronous <= {SHARE};"
        f" streams: {STREAM_TARGET}",
        "missed": failures,
        "reached": not failures,
        **measured_on(),
    }
    print(json.dumps(report, indent=2))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
