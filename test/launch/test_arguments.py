"""What the launch arguments do."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.srv import GetParameters
from rclpy.qos import DurabilityPolicy, QoSProfile
from vla_system_tests.system import EXECUTOR, MANAGER, POLICY, SMALL_ROBOT, System

LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
HOLD = {"checkpoint": "hold:", "contract": SMALL_ROBOT, "sim": "true"}


def _parameter(system: System, node: str, name: str) -> object:
    client = system.node.create_client(GetParameters, f"/{node}/get_parameters")
    system.wait(client.service_is_ready, f"{node} gives its parameters")
    answer = client.call_async(GetParameters.Request(names=[name]))
    system.wait(answer.done, f"{node} has answered")
    return answer.result().values[0]


@pytest.mark.parametrize("file", ["aloha.launch.py", "ur5.launch.py", "franka.launch.py"])
def test_every_argument_is_described(system: System, file: str) -> None:
    shown = system.start("ros2", "launch", "vla_bringup", file, "--show-args")
    assert shown.wait() == 0
    arguments = dict(re.findall(r"^ +'(\w+)':\*?\n +(\S.*)$", shown.output, re.MULTILINE))
    assert len(re.findall(r"^ +'\w+':", shown.output, re.MULTILINE)) == len(arguments)
    assert {"checkpoint", "contract", "policy", "prompt", "device", "sim"} <= set(arguments)
    for name, description in arguments.items():
        assert len(description) > 10, name
        assert "No description given" not in description


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ({"dryrun": "true"}, "did you mean dry_run?"),
        ({"policy": "p"}, "pi05"),
        ({"execute_steps": "5"}, "execute_steps"),  # a parameter, but no launch argument
        ({"cheese": "5"}, "unknown launch argument"),
        ({"strategy": "fast"}, "latency_aligned"),
        ({"rtc": "true"}, "guided"),
        ({"speed_percent": "ten"}, "ten"),
        ({"speed_percent": "110"}, "speed_percent"),
    ],
)
def test_a_wrong_argument_ends_the_launch(
    system: System, argument: dict[str, str], said: str
) -> None:
    launch = system.launch("ur5.launch.py", **HOLD, **argument)
    assert launch.wait() != 0
    assert said in launch.output
    assert not system.commanded.messages


def test_a_missing_checkpoint_argument_is_named(system: System) -> None:
    launch = system.launch("ur5.launch.py", sim="true")
    assert launch.wait() != 0
    assert "checkpoint" in launch.output
    assert "Traceback" not in launch.output


def test_policy_act_selects_the_temporal_ensemble(system: System) -> None:
    system.launch("ur5.launch.py", **HOLD, policy="act", prompt="wave")
    system.wait_state("RUNNING")
    assert _parameter(system, EXECUTOR, "strategy").string_value == "temporal_ensemble"
    assert _parameter(system, POLICY, "inference_rate_hz").double_value == 50.0


def test_strategy_speed_and_rtc_are_handed_to_the_nodes(system: System) -> None:
    given = {"strategy": "rtc", "speed_percent": "10", "rtc": "guided"}
    system.launch("ur5.launch.py", **HOLD, **given, policy="act", prompt="wave")
    system.wait_state("HOLDING")
    assert _parameter(system, EXECUTOR, "strategy").string_value == "rtc"
    assert _parameter(system, EXECUTOR, "speed_percent").double_value == 10.0
    assert _parameter(system, POLICY, "rtc").string_value == "guided"
    assert _parameter(system, POLICY, "inference_rate_hz").double_value == 50.0  # of the file


def test_a_prompt_on_the_topic_changes_the_parameter_and_starts_inference(
    system: System, checkpoint: Callable[[str], Path]
) -> None:
    launch = system.launch("ur5.launch.py", **{**HOLD, "checkpoint": checkpoint("ur5")})
    system.wait_output(launch, "no prompt: set the parameter prompt")
    assert not any(chunk.points for chunk in system.chunks.messages)
    assert len(system.commanded) == 0
    system.prompt("stack the cups")
    system.wait_state("RUNNING")
    assert _parameter(system, POLICY, "prompt").string_value == "stack the cups"


def test_dry_run_commands_nothing(system: System) -> None:
    system.launch("ur5.launch.py", **HOLD, dry_run="true", prompt="wave")
    system.wait_state("DRY_RUN")
    system.wait_ticks(50)
    assert len(system.commanded) == 0


def test_a_namespace_holds_all_nodes(system: System) -> None:
    """The contract's topics are absolute, so that only the nodes' own topics move."""
    system.launch("ur5.launch.py", **HOLD, namespace="left", prompt="wave")
    names = {"fake_robot", EXECUTOR, POLICY, MANAGER}

    def all_there() -> bool:
        found = set(system.node.get_node_names_and_namespaces())
        return {(name, "/left") for name in names} <= found

    system.wait(all_there, "four nodes in /left")
    status = system.watch("/left/executor_node/status", DiagnosticStatus, LATCHED)
    system.wait(lambda: any(s.message == "RUNNING" for s in status.messages), "RUNNING")


def test_without_supervision_the_nodes_start_themselves(system: System) -> None:
    launch = system.launch("ur5.launch.py", **HOLD, prompt="wave", supervision="false")
    system.wait_state("RUNNING")
    assert MANAGER not in launch.output
    os.kill(launch.child(POLICY), signal.SIGKILL)
    system.wait_output(launch, "The policy is gone, after 0 restarts.")


def test_a_number_of_restarts_that_is_none_ends_the_launch(system: System) -> None:
    launch = system.launch("ur5.launch.py", **HOLD, policy_restarts="two")
    assert launch.wait() != 0
    assert "policy_restarts" in launch.output
