"""What the running policy node sees of a recording is what conversion makes of it, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from vla_system_tests.system import SMALL_ROBOT, System

from vla_policy.cli import make_random_checkpoint
from vla_recorder.cli import parity


@pytest.fixture
def bag(system: System, tmp_path: Path) -> Path:
    """Some seconds of the fake robot in motion, as ros2 bag records them."""
    system.start_swaying_robot()
    recorder = system.start("ros2", "bag", "record", "--all", "--output", str(tmp_path / "bag"))
    system.wait_output(recorder, "/wrist_camera/image_raw")
    system.wait_commands(150)
    recorder.signal(2)
    assert recorder.wait() == 0, recorder
    return tmp_path / "bag"


def test_live_equals_offline_bit_for_bit(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = str(tmp_path / "checkpoint")
    assert make_random_checkpoint.main(["--output", checkpoint, "--robot", "ur5"]) == 0
    capsys.readouterr()
    given = [str(bag), "--contract", str(SMALL_ROBOT), "--checkpoint", checkpoint, "--json"]
    given += ["--prompt", "wave", "--ticks", "5"]
    assert parity.main(given) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ticks"] == 5
    assert {"state", "image/base_0_rgb", "tokenized_prompt"} <= set(report["arrays"])
