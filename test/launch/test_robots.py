"""The launch file of each robot with its simulation: what its topics carry, seen from outside."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rclpy.qos import qos_profile_sensor_data
from vla_system_tests.commands import check_limits, positions
from vla_system_tests.processes import Process, wait_until_dead
from vla_system_tests.system import EXECUTOR, POLICY, Recording, System

from vla_core.contract import Contract, load_contract
from vla_policy.nodes.messages import message_class

LAUNCH_FILES = {"aloha": "aloha.launch.py", "ur5": "ur5.launch.py", "droid": "franka.launch.py"}
COMMANDS = 200


@dataclass(frozen=True, kw_only=True)
class Robot:
    """A robot that has run for a while. ``topics``: what was received, by contract topic."""

    system: System
    launch: Process
    contract: Contract
    horizon: int
    topics: dict[str, Recording]


@pytest.fixture(scope="module", params=list(LAUNCH_FILES))
def robot(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    checkpoint: Callable[[str], Path],
) -> Iterator[Robot]:
    made = checkpoint(request.param)
    with System(tmp_path_factory.mktemp("log")) as system:
        launch = system.launch(
            LAUNCH_FILES[request.param], checkpoint=made, prompt="Transfer cube", sim="true"
        )
        system.wait_output(launch, "ready robot=")
        line = next(line for line in launch.output.splitlines() if "ready robot=" in line)
        contract = load_contract(line.partition("contract=")[2])
        topics = {
            source.topic: system.watch(
                source.topic, message_class(source.type), qos_profile_sensor_data
            )
            for source in (*contract.streams, *contract.cameras)
        }
        topics |= {
            group.topic: system.watch(group.topic, message_class(group.type))
            for group in contract.action
        }
        system.wait_state("RUNNING")
        _run_for(system, COMMANDS)
        system.wait(lambda: system.facts(POLICY) and system.facts(EXECUTOR), "diagnostics")
        horizon = json.loads((made / "config.json").read_text())["action_horizon"]
        yield Robot(
            system=system, launch=launch, contract=contract, horizon=horizon, topics=topics
        )


def _run_for(system: System, commands: int) -> None:
    """Resumes like an operator: a busy machine renders images too late for the contract."""

    def is_done() -> bool:
        return len(system.commanded) > commands

    while not is_done():
        system.wait(lambda: is_done() or system.state() == "LATCHED", f"{commands} commands")
        if system.state() == "LATCHED":
            system.wait_ticks(100)
            system.resume()
            system.wait(lambda: system.state() != "LATCHED", "resumed")


def test_chunks_carry_the_contracts_joints_on_the_policys_time_grid(robot: Robot) -> None:
    chunks = [chunk for chunk in robot.system.chunks.messages if chunk.points]
    assert chunks
    for chunk in chunks:
        assert tuple(chunk.joint_names) == robot.contract.action_names
        assert len(chunk.points) == robot.horizon
        due_s = [p.time_from_start.sec + p.time_from_start.nanosec * 1e-9 for p in chunk.points]
        step_s = 1 / robot.contract.policy_rate_hz
        np.testing.assert_allclose(due_s, step_s * np.arange(robot.horizon), atol=1e-6)
        actions = np.array([list(point.positions) for point in chunk.points])
        assert actions.shape == (robot.horizon, len(robot.contract.action_names))
        assert np.isfinite(actions).all()


def test_P1_commands_keep_the_contracts_limits(robot: Robot) -> None:
    assert check_limits(robot.contract, robot.system) > COMMANDS / 2


def test_commands_move_the_robot(robot: Robot) -> None:
    assert np.ptp(positions(robot.system.commanded), axis=0).max() > 1e-4


def test_every_command_topic_carries_its_joints(robot: Robot) -> None:
    sent = {tuple(np.round(row, 9)) for row in positions(robot.system.commanded)}
    names = robot.contract.action_names
    for group in robot.contract.action:
        messages = robot.topics[group.topic].messages
        assert messages
        columns = [names.index(name) for name in group.joints]
        known = {tuple(row[column] for column in columns) for row in sent}
        for message in messages[: COMMANDS // 2]:
            if group.type.endswith("JointTrajectory"):
                assert list(message.joint_names) == list(group.joints.values())
                values = message.points[0].positions
            else:
                values = message.data
            assert tuple(np.round(list(values), 9)) in known


def test_joint_states_and_images_are_what_the_contract_says(robot: Robot) -> None:
    for stream in robot.contract.streams:
        message = robot.topics[stream.topic].messages[0]
        assert set(stream.joints.values()) <= set(message.name)
    for camera in robot.contract.cameras:
        message = robot.topics[camera.topic].messages[0]
        found = (message.encoding, message.width, message.height)
        assert found == (camera.encoding, camera.width, camera.height)
        assert len(message.data) == message.step * message.height
        assert np.ptp(np.frombuffer(message.data, np.uint8)) > 0


def test_diagnostics_of_both_nodes_tell_of_work_done(robot: Robot) -> None:
    assert robot.system.counter(POLICY, "inferences") > 0
    assert robot.system.counter(EXECUTOR, "commands") > 0
    assert robot.system.counter(EXECUTOR, "chunks_received") > 0


def test_the_executor_loads_no_torch(robot: Robot) -> None:
    maps = {node: _maps(robot.launch.child(node)) for node in (EXECUTOR, POLICY)}
    assert "libtorch" not in maps[EXECUTOR]
    assert "libtorch" in maps[POLICY], "else this test cannot fail"


def test_Z_ctrl_c_ends_every_process_and_rests_the_robot(robot: Robot) -> None:
    """Last in this file: it ends the launch."""
    family = robot.launch.session()
    assert len(family) >= 4
    since = len(robot.system.status)
    robot.launch.signal(2)
    assert robot.launch.wait() == 0, robot.launch
    assert not wait_until_dead(family)
    robot.system.wait_state("INACTIVE", since=since, cause="deactivated")
    assert "Traceback" not in robot.launch.output


def _maps(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()
