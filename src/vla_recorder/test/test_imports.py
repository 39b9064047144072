"""Of the recorder only the nodes, and what compares with the running policy, need ROS."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import vla_recorder

WITH_ROS = ("vla_recorder.nodes", "vla_recorder.parity", "vla_recorder.cli")
MODULES = [
    module.name
    for module in pkgutil.walk_packages(vla_recorder.__path__, "vla_recorder.")
    if not module.name.startswith(WITH_ROS)
]
FORBIDDEN = {"rclpy", "rosbag2_py", "torch", "sensor_msgs", "vla_policy"}


def test_recording_and_conversion_need_no_ros() -> None:
    assert "vla_recorder.recording.monitor" in MODULES
    program = f"import sys, {', '.join(MODULES)}; print(*{{m.split('.')[0] for m in sys.modules}})"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert FORBIDDEN.isdisjoint(result.stdout.split())
