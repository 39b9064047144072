import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

RUN = """
import sys, launch
from launch.actions import IncludeLaunchDescription
service = launch.LaunchService(noninteractive=True)
include = IncludeLaunchDescription(sys.argv[1])
service.include_launch_description(launch.LaunchDescription([include]))
sys.exit(service.run())
"""
HEADER = """
from launch import *
from launch.actions import *
from launch.event_handlers import *
from launch.events import matches_action
from launch.substitutions import *
from launch_ros.actions import *
from launch_ros.event_handlers import *
from launch_ros.events.lifecycle import *
from launch_ros.parameter_descriptions import *
from lifecycle_msgs.msg import Transition
def generate_launch_description():
    return LaunchDescription([*entities()])
def entities():
"""
# A node that prints its name, its parameters and a remapped topic, and ends.
SHOW = """
import json, rclpy
rclpy.init()
node = rclpy.create_node("default", automatically_declare_parameters_from_overrides=True)
values = {name: p.value for name, p in node.get_parameters_by_prefix("").items()}
hidden = ("use_sim_time", "start_type_description_service")
values = {k: list(v) if hasattr(v, "tolist") else v for k, v in values.items() if k not in hidden}
print(json.dumps([node.get_fully_qualified_name(), node.resolve_topic_name("in"), values]))
"""
# A lifecycle node; it refuses to configure when told so.
LIFE = """
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
class Life(LifecycleNode):
    def on_configure(self, state):
        refused = self.get_parameter("refuse").value
        return TransitionCallbackReturn.FAILURE if refused else TransitionCallbackReturn.SUCCESS
rclpy.init()
node = Life("life")
node.declare_parameter("refuse", False)
try:
    rclpy.spin(node)
except (KeyboardInterrupt, ExternalShutdownException):
    pass
"""


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package `sample` with the executables `show` and `life` for this test."""
    index = tmp_path / "share/ament_index/resource_index/packages"
    index.mkdir(parents=True)
    (index / "sample").touch()
    (tmp_path / "share/sample").mkdir()
    libexec = tmp_path / "lib/sample"
    libexec.mkdir(parents=True)
    for name, code in (("show", SHOW), ("life", LIFE)):
        (libexec / name).write_text(f"#!{sys.executable}\n{code}")
        (libexec / name).chmod(0o755)
    known = os.environ.get("AMENT_PREFIX_PATH", "")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path}:{known}")
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))
    return tmp_path


@pytest.fixture
def run(prefix: Path) -> Iterator[Callable[[str], tuple[int, str]]]:
    """Run launch files, given as the body of a generator of entities; return code and output."""
    started: list[subprocess.Popen[str]] = []

    def start(body: str) -> tuple[int, str]:
        path = prefix / "test.launch.py"
        path.write_text(HEADER + textwrap.indent(body, "    "))
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONFAULTHANDLER": "1"},
        )
        started.append(process)
        try:
            output, _ = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # it prints where its threads are
            raise AssertionError(f"the launch hangs:\n{process.communicate()[0]}") from None
        return process.returncode, output

    yield start
    for process in started:
        process.kill()
        process.wait()
