"""Robot descriptions: limits for a contract, and nothing from the file but numbers and names."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from urdf_robot import URDF

from vla_core.errors import ContractError
from vla_core.urdf import MAX_BYTES, chain_of, joints_block, load_urdf, main, parse_urdf


def parse(text: str) -> object:
    return parse_urdf(text.encode(), "robot.urdf")


def test_the_joints_block_has_the_narrower_limits_rounded_inwards() -> None:
    block = yaml.safe_load(joints_block(parse_urdf(URDF.encode()), 5.0))["joints"]
    assert list(block) == ["pan", "lift", "reach", "grip"]
    assert block["lift"] == {
        "unit": "rad",
        "range": [-1, 1.23456],
        "velocity": 1.5,
        "acceleration": 5,
    }
    assert block["pan"]["range"] == [-6.28318, 6.28318]
    assert (block["reach"]["unit"], block["reach"]["range"]) == ("m", [0, 0.25])


def test_the_command_prints_the_block_and_names_a_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "robot.urdf"
    file.write_text(URDF)
    assert main([str(file)]) == 0
    printed = capsys.readouterr().out
    assert "acceleration" not in printed  # a URDF holds none: the contract asks for it
    assert "# grip_mirror follows another joint" in printed
    assert main([str(tmp_path / "none.urdf")]) == 1
    assert "cannot read the URDF" in capsys.readouterr().err
    command = [sys.executable, "-m", "vla_core.urdf", str(file), "--acceleration", "3"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout.count("acceleration: 3")) == (0, 4)


LAUGHS = '<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><robot name="&b;"/>'
OUTSIDE = '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><robot>&a;</robot>'


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (LAUGHS, "document type"),
        (OUTSIDE, "document type"),
        ('<!DOCTYPE robot SYSTEM "http://example.com/x.dtd"><robot/>', "document type"),
        ("<robot>" + "<a>" * 40 + "</a>" * 40 + "</robot>", "too deep"),
        ("<robot><joint", "not XML"),
        ('<?xml version="1.0" encoding="no-such"?><robot/>', "not XML"),
        ("", "not XML"),
        ("<sdf/>", "not a URDF"),
        ('<robot xmlns:xacro="x"><xacro:include filename="a"/></robot>', "a xacro file"),
        (URDF.replace('name="lift"', 'name="pan"'), "a joint stands twice"),
        (URDF.replace('<parent link="column"/>', ""), "a joint without name"),
        (URDF.replace("0 2 0", "0 0 0"), "an axis without direction"),
        (URDF.replace("0.1 -0.2 0.3", "0.1 nan 0.3"), "not numbers"),
        (URDF.replace("0.1 -0.2 0.3", "0.1 0.3"), "not numbers"),
        (URDF.replace("1.5", "fast"), "not numbers"),
    ],
)
def test_p11_a_hostile_or_broken_file_is_one_clear_error(text: str, what: str) -> None:
    with pytest.raises(ContractError, match=what):
        parse(text)


def test_p11_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "large.urdf"
    with file.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    with pytest.raises(ContractError, match="too large"):
        load_urdf(file)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(URDF)), st.integers(0, 30), st.binary(max_size=8))
def test_p11_no_damaged_file_raises_anything_but_a_contract_error(
    at: int, cut: int, new: bytes
) -> None:
    data = URDF.encode()
    with contextlib.suppress(ContractError):
        parse_urdf(data[:at] + new + data[at + cut :])


def test_the_chain_runs_from_the_base_to_the_tip() -> None:
    joints = parse_urdf(URDF.encode())
    assert [j.name for j in chain_of(joints, "", "tool", "")] == ["pan", "lift", "reach", "flange"]
    assert [j.name for j in chain_of(joints, "arm", "tool", "")] == ["reach", "flange"]


@pytest.mark.parametrize(
    ("base", "tip", "what"),
    [
        ("", "nowhere", "does not hang"),
        ("tool", "arm", "does not hang"),
        ("", "base", "does not hang"),
        ("", "other_finger", "cannot be computed"),
    ],
)
def test_a_chain_that_is_none_is_refused(base: str, tip: str, what: str) -> None:
    with pytest.raises(ContractError, match=what):
        chain_of(parse_urdf(URDF.encode()), base, tip, "robot.urdf")


@pytest.mark.parametrize("kind", ["floating", "planar"])
def test_a_joint_of_many_dimensions_cannot_be_part_of_a_chain(kind: str) -> None:
    text = URDF.replace('type="fixed"', f'type="{kind}"')
    with pytest.raises(ContractError, match="cannot be computed"):
        chain_of(parse_urdf(text.encode()), "", "tool", "")


def test_a_ring_of_links_is_refused() -> None:
    text = URDF.replace('<parent link="base"/>', '<parent link="tool"/>')
    with pytest.raises(ContractError, match="does not hang"):
        chain_of(parse_urdf(text.encode()), "", "tool", "")
