"""docs/promises.md is what scripts/measure_promises.py makes of its last report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_page_is_made_from_the_report() -> None:
    command = [sys.executable, ROOT / "scripts" / "measure_promises.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_report_says_was_kept_has_tests_and_figures() -> None:
    report = json.loads((ROOT / "docs" / "performance" / "promises.json").read_text())
    for promise in ("P1", "P2", "P3", "P5", "P6"):
        row = report["promises"][promise]
        assert row["passed"] > 0, promise
        assert row["figures"], promise
