"""A simulated robot on real topics: what its contract promises is what others see."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
import sim_contract
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from trajectory_msgs.msg import JointTrajectoryPoint

from vla_core.codecs import JOINT_TRAJECTORY, decode_vector, encode_vector
from vla_core.contract import Contract, load_contract
from vla_core.image_codecs import decode_image
from vla_core.stamps import stamp_ns
from vla_policy.nodes.messages import message_class

DOMAIN_ID = 20 + 2 * (os.getpid() % 40)  # and the next: one for each robot
PATIENCE_S = 30.0  # how long a test waits for what must come; a fault, not a slow machine, ends it


def command_line(node: str, *parameters: str) -> list[str]:
    given = [word for parameter in parameters for word in ("-p", parameter)]
    return [sys.executable, "-m", f"vla_bringup.sim.{node}_node", "--ros-args", *given]


def environment(domain_id: int) -> dict[str, str]:
    return {
        **os.environ,
        "ROS_DOMAIN_ID": str(domain_id),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }


class Watcher:
    """Another node of the graph: sees what the robot publishes, and commands it."""

    def __init__(
        self, contract: Contract, process: subprocess.Popen[bytes], domain_id: int
    ) -> None:
        self.contract, self.process = contract, process
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain_id)
        self.node = Node("watcher", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.seen: dict[str, list[Any]] = {}
        self.commands = {}
        for stream in contract.streams:
            self._watch(stream.topic, message_class(stream.type), 10)
        for camera in contract.cameras:
            self._watch(camera.topic, message_class(camera.type), qos_profile_sensor_data)
        self._watch("/diagnostics", DiagnosticArray, 10)
        for group in contract.action:
            kind = message_class(group.type)
            self.commands[group.name] = self.node.create_publisher(kind, group.topic, 1)

    def _watch(self, topic: str, kind: Any, qos: Any) -> None:
        self.seen[topic] = []
        self.node.create_subscription(kind, topic, self.seen[topic].append, qos)

    def until(self, condition: Callable[[], object]) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert self.process.poll() is None, "the robot's process ended"
            assert time.monotonic() < end_s, "it never came"
            self.executor.spin_once(timeout_sec=0.05)

    def send(self, group_name: str, values: list[float]) -> None:
        group = next(group for group in self.contract.action if group.name == group_name)
        is_trajectory = group.type == JOINT_TRAJECTORY
        message = encode_vector(
            message_class(group.type),
            type_name=group.type,
            field=group.field,
            message_names=list(group.joints.values()),
            values=values,
            stamp_ns=time.time_ns(),
            point_class=JointTrajectoryPoint if is_trajectory else None,
        )
        self.until(lambda: self.commands[group_name].get_subscription_count())
        self.commands[group_name].publish(message)

    def measured(self, stream_name: str) -> list[float]:
        stream = next(item for item in self.contract.streams if item.name == stream_name)
        if not self.seen[stream.topic]:
            return [float("nan")] * len(stream.joints)
        vector = decode_vector(
            self.seen[stream.topic][-1],
            type_name=stream.type,
            field=stream.field,
            message_names=list(stream.joints.values()),
            where=stream.topic,
        )
        return list(vector)

    def diagnostics(self) -> dict[str, float]:
        if not self.seen["/diagnostics"]:
            return {}
        return {i.key: float(i.value) for i in self.seen["/diagnostics"][-1].status[0].values}


def watched(domain_id: int, node: str, path: Path, *parameters: str) -> Iterator[Watcher]:
    line = command_line(node, f"contract:={path}", *parameters)
    process = subprocess.Popen(line, env=environment(domain_id))
    watcher = Watcher(load_contract(path), process, domain_id)
    try:
        yield watcher
        process.terminate()
        assert process.wait(PATIENCE_S) == 0, "SIGTERM must end the robot cleanly"
    finally:
        process.kill()
        process.wait()
        watcher.executor.shutdown()
        watcher.node.destroy_node()
        rclpy.shutdown(context=watcher.context)


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watcher]:
    path = tmp_path_factory.mktemp("contract") / "small.yaml"
    path.write_text(sim_contract.SMALL)
    yield from watched(DOMAIN_ID, "fake_robot", path)


@pytest.fixture(scope="module")
def aloha() -> Iterator[Watcher]:
    path = next(path for path in sim_contract.FILES if path.stem == "aloha")
    yield from watched(DOMAIN_ID + 1, "aloha_sim", path, "camera_rate_hz:=5.0", "seed:=3")


def test_every_stream_and_camera_of_the_contract_is_published(fake: Watcher) -> None:
    topics = [item.topic for item in (*fake.contract.streams, *fake.contract.cameras)]
    fake.until(lambda: all(len(fake.seen[topic]) > 2 for topic in topics))
    for camera in fake.contract.cameras:
        message = fake.seen[camera.topic][-1]
        picture = decode_image(
            message, type_name=camera.type, where=camera.topic, encoding=camera.encoding
        )
        assert picture.shape == (camera.height, camera.width, 3)
        assert message.header.frame_id == f"{camera.name}_optical_frame"


def test_stamps_advance_and_are_not_in_the_future(fake: Watcher) -> None:
    topic = "/arm/state"
    fake.until(lambda: len(fake.seen[topic]) > 10)
    stamps_ns = [stamp_ns(message) for message in fake.seen[topic]]
    assert all(later > earlier for earlier, later in pairwise(stamps_ns))
    assert stamps_ns[-1] <= time.time_ns()


def test_joints_follow_commands_of_every_type(fake: Watcher) -> None:
    def near(stream: str, target: list[float]) -> Callable[[], bool]:
        return lambda: np.allclose(fake.measured(stream), target, atol=0.01)

    fake.send("shoulder", [0.6])
    fake.send("elbow", [-1.2])
    fake.send("gripper", [0.7])
    fake.until(near("arm", [0.6, -1.2]))
    fake.until(near("gripper", [0.7]))
    fake.send("shoulder", [50.0])
    fake.until(near("arm", [1.0, -1.2]))


def test_damaged_command_is_counted_and_moves_nothing(fake: Watcher) -> None:
    fake.until(lambda: "commands_refused" in fake.diagnostics())
    refused = fake.diagnostics()["commands_refused"]
    before = fake.measured("gripper")
    message = message_class("std_msgs/msg/Float64MultiArray")(data=[float("nan")])
    fake.until(lambda: fake.commands["gripper"].get_subscription_count())
    fake.commands["gripper"].publish(message)
    fake.until(lambda: fake.diagnostics()["commands_refused"] == refused + 1)
    assert fake.measured("gripper") == pytest.approx(before, abs=1e-3)


def test_diagnostics_report_rates_and_losses(fake: Watcher) -> None:
    fake.until(fake.diagnostics)
    assert {
        *("real_time_factor", "physics_rate_hz", "lost_time_s", "commands", "commands_refused"),
        *("front_rate_hz", "wrist_rate_hz", "front_skipped", "wrist_skipped"),
        *("arm_skipped", "gripper_skipped"),
    } == set(fake.diagnostics())


def test_aloha_moves_and_its_pictures_show_it(aloha: Watcher) -> None:
    camera = next(item for item in aloha.contract.cameras if item.name == "cam_high")

    def picture() -> Any:
        message = aloha.seen[camera.topic][-1]
        return decode_image(message, type_name=camera.type, where=camera.topic).astype(int)

    aloha.until(lambda: aloha.seen[camera.topic])
    before = picture()
    aloha.send("left_arm", [0.5, -0.8, 1.0, 0.0, 0.3, 0.0])
    aloha.send("left_gripper", [1.2])
    target = [0.5, -0.8, 1.0, 0.0, 0.3, 0.0, 1.2]
    aloha.until(lambda: np.allclose(aloha.measured("left_arm")[:7], target, atol=0.03))
    reached_ns = stamp_ns(aloha.seen["/follower_left/joint_states"][-1])
    aloha.until(lambda: stamp_ns(aloha.seen[camera.topic][-1]) >= reached_ns)
    changed = (abs(picture() - before) > 30).any(axis=2)
    assert changed[:, :320].mean() > 0.02, "the left arm is in the left half"
    assert changed[:, 480:].mean() < 0.005, "the right arm stays"
    assert aloha.measured("right_arm")[1] == pytest.approx(-0.96, abs=0.02)


@pytest.mark.parametrize(
    ("node", "parameters", "status", "message"),
    [
        ("aloha_sim", [], 2, "contract"),
        ("aloha_sim", ["contract:=/nowhere.yaml"], 1, "cannot be read.*/nowhere.yaml"),
        ("aloha_sim", ["contract:=UR5E"], 1, "does not have.*shoulder_pan_joint"),
        ("aloha_sim", ["contract:=ALOHA", "physics_rate_hz:=10.0"], 2, "250 to 5000"),
        ("aloha_sim", ["contract:=ALOHA", "colour:=red"], 2, "unknown parameter.*colour"),
        ("fake_robot", ["contract:=ALOHA", "render:=3"], 2, "render"),
        ("aloha_sim", ["contract:=SKY"], 1, "no such camera.*cam_sky"),
        ("fake_robot", ["contract:=YUV"], 1, "encoding.*yuv422"),
    ],
)
def test_bad_input_is_one_clear_message(
    node: str, parameters: list[str], status: int, message: str, tmp_path: Path
) -> None:
    aloha = next(path for path in sim_contract.FILES if path.stem == "aloha")
    files = {"ALOHA": aloha, "UR5E": aloha.with_name("ur5e.yaml")}
    for name, old, new in (("SKY", "cam_high:", "cam_sky:"), ("YUV", "rgb8", "yuv422")):
        files[name] = tmp_path / f"{name}.yaml"
        files[name].write_text(aloha.read_text().replace(old, new))
    for name, path in files.items():
        parameters = [text.replace(f":={name}", f":={path}") for text in parameters]
    done = subprocess.run(
        command_line(node, *parameters),
        env=environment(DOMAIN_ID),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert re.search(message, line), line
