"""Recordings for the Rerun viewer; its SDK is optional."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import tools_dataset as rig

from vla_recorder.cli.dataset import main


def test_without_the_sdk_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    assert main(["to_rerun", str(tmp_path), str(tmp_path / "out.rrd")]) == 1
    assert "pip install rerun-sdk" in capsys.readouterr().err


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_an_episode_becomes_a_recording(tmp_path: Path, version: str) -> None:
    pytest.importorskip("rerun")
    dataset = rig.make_dataset(tmp_path / "d", version=version, lengths=(10, 20))
    out = tmp_path / "out.rrd"
    assert main(["to_rerun", str(dataset), str(out), "--episode", "1"]) == 0
    data = out.read_bytes()
    assert data.startswith(b"RRF2")
    assert all(name.encode() in data for name in ("action/g", "Scalars", "EncodedImage"))
    assert main(["to_rerun", str(dataset), str(tmp_path / "two.rrd"), "--episode", "2"]) == 1
    assert [path.name for path in tmp_path.glob("*.rrd*")] == ["out.rrd"]


def test_more_than_one_episode_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["to_rerun", str(tmp_path), str(tmp_path / "out.rrd"), "--episode", "0,3"])
    assert stopped.value.code == 2
