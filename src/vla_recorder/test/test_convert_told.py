"""What a conversion says: of options that mean nothing, and of all that it leaves out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from convert_bags import Lab, recording

from vla_recorder.cli.recover import main as recover


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--crop", "nope=10x10+0+0"), "a crop of no camera; found: nope; allowed: top"),
        (("--crf", "52"), "--crf of h264"),
        (("--crf", "-1"), "--crf of h264"),
        (("--crf", "64", "--codec", "av1"), "0 to 63"),
        (("--gop", "0"), "--gop"),
        (("--gop", "100000"), "--gop"),
    ],
)
def test_options_of_what_is_not_there_are_refused(
    lab: Lab, options: tuple[str, ...], told: str, capsys: Any
) -> None:
    assert lab.convert(lab.bag(recording(0.2)), *options) == 1
    assert told in capsys.readouterr().err
    assert not lab.output.exists()


def test_what_was_lost_before_a_bag_was_recovered_is_told(lab: Lab, capsys: Any) -> None:
    bag = lab.bag(recording(30))
    file = next(bag.glob("*.mcap"))
    data = file.read_bytes()
    file.write_bytes(data[: len(data) * 3 // 5])
    assert recover([str(bag)]) == 3
    assert lab.convert(lab.folder / "bag_recovered") == 3
    assert "messages that metadata.yaml counts" in capsys.readouterr().err
    assert lab.run()["bags"][0]["losses"]
