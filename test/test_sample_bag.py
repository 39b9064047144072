"""The recording that comes with the suite is whole, small, and makes a dataset without a fault."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "bags" / "sample"
MAX_BYTES = 6 << 20


def test_its_files_have_the_hashes_that_are_stated() -> None:
    stated = dict(line.split()[::-1] for line in (SAMPLE / "SHA256SUMS").read_text().splitlines())
    files = {file.name: file for file in SAMPLE.iterdir() if file.name != "SHA256SUMS"}
    assert stated.keys() == files.keys()
    for name, file in files.items():
        assert hashlib.sha256(file.read_bytes()).hexdigest() == stated[name], name
    assert sum(file.stat().st_size for file in files.values()) <= MAX_BYTES


def test_one_command_makes_a_dataset_of_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "dataset_demo.sh", tmp_path],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    info = json.loads((tmp_path / "dataset/meta/info.json").read_text())
    assert (info["total_episodes"], info["fps"]) == (1, 50)
    assert info["total_frames"] > 390
    made = {file.name for file in (tmp_path / "preview").iterdir()}
    assert {"contact_sheet.png", "report.html"} <= made
