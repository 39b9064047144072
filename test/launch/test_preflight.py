"""Preflight finds planted faults, and nothing moves before it has passed."""

from __future__ import annotations

import array
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray
from vla_system_tests.stand_in_robot import StandInRobot
from vla_system_tests.system import EXECUTOR, SMALL_ROBOT, System

from vla_core.contract import Camera, Stream

ARM, GRIPPER = "/joint_states", "/gripper/joint_states"
BASE, WRIST = "/base_camera/image_raw", "/wrist_camera/image_raw"
COMMAND = "/forward_position_controller/commands"


class LifelikeRobot(StandInRobot):
    """With controllers that listen, and cameras that have noise.

    Attributes:
        factor: Of all joints in its messages.
        still: Cameras that repeat one picture.
    """

    def __init__(self, system: System) -> None:
        super().__init__(system)
        self.factor = 1.0
        self.still: set[str] = set()
        self._random = np.random.default_rng(0)
        self._pictures: dict[str, array.array[int]] = {}
        for group in self.contract.action:
            system.node.create_subscription(Float64MultiArray, group.topic, lambda _: None, 1)

    def _joint_state(self, stream: Stream) -> JointState:
        message = super()._joint_state(stream)
        message.position = [self.factor * value for value in message.position]
        return message

    def _image(self, camera: Camera) -> Image:
        message = super()._image(camera)
        if camera.name not in self._pictures or camera.name not in self.still:
            self._pictures[camera.name] = array.array("B", self._random.bytes(len(message.data)))
        message.data = self._pictures[camera.name]
        return message


@pytest.fixture
def robot(system: System) -> LifelikeRobot:
    return LifelikeRobot(system)


def _preflight(
    system: System, *options: str, contract: Path = SMALL_ROBOT, checkpoint: object = "hold:"
) -> tuple[int, list[dict[str, str]]]:
    """Exit code and findings that did not pass."""
    given = ["--contract", str(contract), "--checkpoint", str(checkpoint), "--json"]
    times = ["--seconds", "1", "--wait", "5"]
    process = system.start("ros2", "run", "vla_policy", "preflight", *given, *times, *options)
    code = process.wait(120)
    assert "Traceback" not in process.output, process
    output = process.output
    findings = json.loads(output[output.index("{\n") :])["findings"]
    return code, [finding for finding in findings if finding["level"] != "PASS"]


def test_a_sound_robot_passes(system: System, robot: LifelikeRobot) -> None:
    """As a simulated one, for a busy machine is not what is tested."""
    code, findings = _preflight(system, "--simulated")
    assert code == 0, findings
    assert not [f for f in findings if f["check"] not in ("rate", "receipt", "age", "skew")]


def test_a_simulated_robot_and_a_checkpoint_for_it_pass(
    system: System, checkpoint: Callable[[str], Path]
) -> None:
    system.start_fake_robot()
    code, findings = _preflight(
        system, "--simulated", "--wait", "30", checkpoint=checkpoint("ur5")
    )
    assert code == 0, findings


def _silence(robot: LifelikeRobot) -> None:
    robot.silent.add("wrist_rgb")


def _resize(robot: LifelikeRobot) -> None:
    robot.image_size = (32, 24)


def _swap_colours(robot: LifelikeRobot) -> None:
    robot.encoding = "bgr8"


def _rename(robot: LifelikeRobot) -> None:
    robot.renamed["elbow_joint"] = "elbow"


def _use_degrees(robot: LifelikeRobot) -> None:
    robot.pose.update(dict.fromkeys(robot.contract.streams[0].joints, 0.9))
    robot.factor = 180 / math.pi


def _stamp_late(robot: LifelikeRobot) -> None:
    robot.offsets_s["arm"] = -1.0


def _stamp_ahead(robot: LifelikeRobot) -> None:
    robot.offsets_s["base_rgb"] = 1.0


def _freeze(robot: LifelikeRobot) -> None:
    robot.still.add("wrist_rgb")


FAULTS: list[tuple[Callable[[LifelikeRobot], None], str, str, str]] = [
    (_silence, "topic", WRIST, "has arrived"),
    (_resize, "contents", BASE, "32x24"),
    (_swap_colours, "contents", WRIST, "bgr8"),
    (_rename, "contents", ARM, "elbow_joint"),
    (_use_degrees, "units", ARM, "degrees"),
    (_stamp_late, "age", ARM, "1.0 s"),
    (_stamp_ahead, "age", BASE, "in the future"),
    (_freeze, "picture", WRIST, "frozen"),
]


@pytest.mark.parametrize(("plant", "check", "topic", "words"), FAULTS)
def test_a_planted_fault_fails_with_its_topic_and_advice(
    system: System,
    robot: LifelikeRobot,
    plant: Callable[[LifelikeRobot], None],
    check: str,
    topic: str,
    words: str,
) -> None:
    plant(robot)
    code, findings = _preflight(system)
    assert code == 1
    found = [f for f in findings if (f["level"], f["check"], f["where"]) == ("FAIL", check, topic)]
    assert found, findings
    assert any(words in f["found"] for f in found), found
    assert all(f["advice"] for f in found)


CHANGES = [
    ("width: 64, height: 48, rate_hz: 10", "width: 64, height: 48, rate_hz: 25", "rate", BASE),
    ("/gripper/joint_states", "/hand/joint_states", "topic", "/hand/joint_states"),
    (
        f"base_rgb: {{topic: {BASE}, type: sensor_msgs/msg/Image, encoding: rgb8",
        f"base_rgb: {{topic: {BASE}, type: sensor_msgs/msg/CompressedImage, encoding: jpeg",
        "topic",
        BASE,
    ),
    (COMMAND, "/no_controller/commands", "command", "/no_controller/commands"),
]


@pytest.mark.parametrize(("before", "after", "check", "topic"), CHANGES)
def test_a_contract_of_another_robot_fails(
    system: System,
    robot: LifelikeRobot,
    tmp_path: Path,
    before: str,
    after: str,
    check: str,
    topic: str,
) -> None:
    text = SMALL_ROBOT.read_text()
    assert before in text
    contract = tmp_path / "other.yaml"
    contract.write_text(text.replace(before, after))
    code, findings = _preflight(system, contract=contract)
    assert code == 1
    found = {(f["level"], f["check"], f["where"]) for f in findings}
    assert ("FAIL", check, topic) in found, findings


def test_the_checkpoint_of_another_robot_fails(
    system: System, robot: LifelikeRobot, checkpoint: Callable[[str], Path]
) -> None:
    code, findings = _preflight(system, "--simulated", checkpoint=checkpoint("droid"))
    assert code == 1
    assert [f["check"] for f in findings if f["level"] == "FAIL"] == ["checkpoint"]


def test_another_commander_fails_and_is_named(system: System, robot: LifelikeRobot) -> None:
    system.node.create_publisher(Float64MultiArray, COMMAND, 1)
    code, findings = _preflight(system, "--simulated")
    assert code == 1
    (found,) = (f for f in findings if f["level"] == "FAIL")
    assert (found["check"], found["where"]) == ("command", COMMAND)
    assert "/watcher" in found["found"]


@pytest.mark.parametrize("options", [[], ["--contract", "x"], ["--seconds", "0"]])
def test_wrong_usage_exits_with_2(system: System, options: list[str]) -> None:
    process = system.start("ros2", "run", "vla_policy", "preflight", *options)
    assert process.wait() == 2
    assert "usage: preflight" in process.output


def test_a_launch_with_a_fault_exits_with_1_and_starts_no_executor(
    system: System, robot: LifelikeRobot
) -> None:
    robot.encoding = "bgr8"
    launch = system.launch(
        "ur5.launch.py", checkpoint="hold:", contract=SMALL_ROBOT, prompt="wave"
    )
    assert launch.wait(120) == 1, launch
    assert "preflight: FAIL" in launch.output
    assert "bgr8" in launch.output
    assert f"[{EXECUTOR}-" not in launch.output
    assert not system.commanded.messages
    assert "Traceback" not in launch.output


@pytest.mark.parametrize(
    ("supervision", "said"),
    [
        ("false", "commanded already by /executor_node"),
        ("true", "executor_node is inactive already, by somebody else"),
    ],
)
def test_a_second_launch_fails_and_the_robot_of_the_first_stays_as_it_is(
    system: System, robot: LifelikeRobot, supervision: str, said: str
) -> None:
    """With supervision the manager is faster than preflight."""
    system.start_executor()
    system.wait_state("HOLDING")
    assert system.change_executor("deactivate")
    launch = system.launch(
        "ur5.launch.py", checkpoint="hold:", contract=SMALL_ROBOT, supervision=supervision
    )
    assert launch.wait(120) == 1, launch
    assert said in launch.output
    assert f"[{EXECUTOR}-" not in launch.output
    assert system.state() == "INACTIVE"
    assert not system.commanded.messages


def test_a_launch_starts_the_executor_after_preflight_has_passed(system: System) -> None:
    launch = system.launch("ur5.launch.py", checkpoint="hold:", contract=SMALL_ROBOT, sim="true")
    system.wait_state("RUNNING")  # without a prompt: hold: needs none
    assert _place(launch, "process has finished cleanly") < _place(launch, f"[{EXECUTOR}-")


def test_a_launch_without_preflight_does_not_run_it(system: System) -> None:
    launch = system.launch(
        "ur5.launch.py", checkpoint="hold:", contract=SMALL_ROBOT, preflight="false"
    )
    system.wait_state("HOLDING")
    assert "preflight" not in launch.output


def _place(launch: Any, text: str) -> int:
    assert text in launch.output, launch
    return int(launch.output.index(text))
