"""The pure core imports neither ROS nor torch."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import vla_core

MODULES = [module.name for module in pkgutil.walk_packages(vla_core.__path__, "vla_core.")]
FORBIDDEN = ("rclpy", "torch", "rosidl_runtime_py", "sensor_msgs", "trajectory_msgs", "vla_policy")


def imported_by(modules: list[str]) -> set[str]:
    """Top-level packages that a fresh interpreter holds after importing the modules."""
    program = f"import sys, {', '.join(modules)}; print(*{{m.split('.')[0] for m in sys.modules}})"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def test_the_core_imports_neither_ros_nor_torch() -> None:
    assert "vla_core.execution" in MODULES
    assert imported_by(MODULES).isdisjoint(FORBIDDEN)


def test_this_check_would_see_such_an_import() -> None:
    assert "rclpy" in imported_by(["rclpy"])
