"""A contract or a parameter with a fault: refused by both nodes before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from vla_system_tests.messages import check_one_clear_message
from vla_system_tests.processes import Process
from vla_system_tests.system import EXECUTOR, POLICY, SMALL_ROBOT, System

# Name: (text, what stands there instead, words of the message); vla_core tests all faults
PLANTED = {
    "unknown key": ("schema: 1", "schema: 1\nshape: 1", "shape"),
    "missing key": ("control_rate_hz: 50\n", "", "control_rate_hz"),
    "duplicate key": ("robot: small", "robot: small\nrobot: large", "robot"),
    "not finite": ("gross_offset: {rad: 1.2", "gross_offset: {rad: .inf", "inf"),
    "wrong unit": ("elbow_joint: {unit: rad", "elbow_joint: {unit: deg", "deg"),
    "alias": ("state: [", "state: &a [", "anchors"),
    "unknown message type": ("type: std_msgs/msg/Float64MultiArray", "type: std_msgs/Float", ""),
}


def _start(system: System, node: str, **parameters: object) -> Process:
    checkpoint = {"checkpoint": "hold:"} if node == POLICY else {}
    return system.start_node("vla_policy", node, autostart=True, **checkpoint, **parameters)


@pytest.mark.parametrize("node", [EXECUTOR, POLICY])
@pytest.mark.parametrize("name", PLANTED)
def test_a_faulty_contract_is_one_clear_message_and_exit_1(
    system: System, tmp_path: Path, node: str, name: str
) -> None:
    sound, planted, words = PLANTED[name]
    text = SMALL_ROBOT.read_text()
    assert sound in text
    contract = tmp_path / "robot.yaml"
    contract.write_text(text.replace(sound, planted))
    process = _start(system, node, contract=contract)
    assert process.wait() == 1, process
    assert "Traceback" not in process.output
    lines = [line for line in process.output.splitlines() if "[CONTRACT]" in line]
    assert len(lines) == 1, process
    assert str(contract) in lines[0]
    assert words in lines[0]


def test_a_message_type_that_is_not_installed_is_named(system: System, tmp_path: Path) -> None:
    text = SMALL_ROBOT.read_text()
    contract = tmp_path / "robot.yaml"
    contract.write_text(
        text.replace("type: sensor_msgs/msg/JointState", "type: my_driver/msg/Joints", 1)
    )
    process = _start(system, POLICY, contract=contract)
    assert process.wait() == 1, process
    assert "my_driver" in process.output
    assert "Traceback" not in process.output


@pytest.mark.parametrize("node", [EXECUTOR, POLICY])
def test_a_missing_contract_file_is_named(system: System, tmp_path: Path, node: str) -> None:
    process = _start(system, node, contract=tmp_path / "nothing.yaml")
    assert process.wait() == 1, process
    assert str(tmp_path / "nothing.yaml") in process.output
    assert "Traceback" not in process.output


@pytest.mark.parametrize(
    ("node", "parameters", "code", "words"),
    [
        (EXECUTOR, {"contract": ""}, 1, "contract"),
        (EXECUTOR, {"contarct": "x"}, 2, "contarct"),
        (EXECUTOR, {"contract": SMALL_ROBOT, "strategy": "fastest"}, 1, "receding_horizon"),
        (POLICY, {"contract": SMALL_ROBOT, "num_steps": 0}, 2, "from 1 to 100"),
        (POLICY, {"contract": SMALL_ROBOT, "inference_rate_hz": "fast"}, 2, "float"),
    ],
)
def test_a_bad_parameter_is_one_clear_message_and_ends_the_node(
    system: System, node: str, parameters: dict[str, object], code: int, words: str
) -> None:
    process = _start(system, node, **parameters)
    assert process.wait() == code, process
    check_one_clear_message(process.output, "PARAMETER", words)
