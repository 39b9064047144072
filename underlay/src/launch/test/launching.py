"""Starts the launcher in a process of its own and reads what it prints."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

RUN = """
import sys, launch
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import AnyLaunchDescriptionSource
service = launch.LaunchService(argv=sys.argv[2:], noninteractive=True)
include = IncludeLaunchDescription(
    AnyLaunchDescriptionSource(sys.argv[1]),
    launch_arguments=[word.split(":=") for word in sys.argv[2:]],
)
service.include_launch_description(launch.LaunchDescription([include]))
sys.exit(service.run())
"""
HEADER = """
import sys
from launch import *
from launch.actions import *
from launch.conditions import *
from launch.event_handlers import *
from launch.events import matches_action
from launch.substitutions import *
def python(code, **options):
    options = {"output": "screen", "name": "child"} | options
    return ExecuteProcess(cmd=[sys.executable, "-uc", code], **options)
def generate_launch_description():
    return LaunchDescription([*entities()])
def entities():
"""


class Launch:
    """A launcher that runs a launch file."""

    def __init__(self, folder: Path, body: str, *arguments: str) -> None:
        path = folder / "test.launch.py"
        path.write_text(HEADER + "".join(f"    {line}\n" for line in body.splitlines()))
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(path), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "ROS_LOG_DIR": str(folder / "log")},
        )

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return "\n".join(self.lines)

    def wait_for(self, text: str, count: int = 1) -> None:
        """Read until a text has been printed so many times."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))
            if sum(text in line for line in self.lines) == count:
                return
        raise AssertionError(f"'{text}' did not come {count} times in:\n{self.output}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the launcher."""
        self._process.send_signal(number)

    def finish(self) -> int:
        """Read to the end and return the exit code."""
        assert self._process.stdout is not None
        self.lines += [line.rstrip("\n") for line in self._process.stdout]
        return self._process.wait()

    def running(self) -> list[int]:
        """Return the pids of those of its children that still run."""
        pids = [int(pid) for pid in re.findall(r"started with pid \[(\d+)\]", self.output)]
        return [pid for pid in pids if _runs(pid)]

    def end(self) -> None:
        """End whatever is left."""
        self._process.kill()
        self._process.communicate()
        for pid in self.running():
            os.kill(pid, signal.SIGKILL)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
