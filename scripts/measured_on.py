"""What every benchmark report says of its origin: machine, versions, commit, and load."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("ros-rclpy", "ros-rmw-fastrtps-cpp", "ros-fastrtps", "torch", "numpy", "mujoco")


def measured_on() -> dict[str, object]:
    """Machine, versions and commit, for JSON. A commit with ``-dirty`` is not what was built."""
    return {
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)),
            "load_1_min": os.getloadavg()[0],
        },
        "versions": {
            "python": platform.python_version(),
            "ros_distro": os.environ.get("ROS_DISTRO", "jazzy from PyPI"),
            **{name: found for name in PACKAGES if (found := _version(name))},
        },
        "commit": _git("describe", "--always", "--dirty", "--abbrev=12"),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or None
