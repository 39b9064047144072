"""Fixtures of the tests of the whole suite."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from vla_system_tests.stand_in_robot import StandInRobot
from vla_system_tests.system import System


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """An empty ROS domain with a watcher; all processes started in it are ended."""
    with System(tmp_path / "log") as running:
        yield running


@pytest.fixture
def robot(system: System) -> StandInRobot:
    """The small robot, published by the test itself."""
    return StandInRobot(system)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Random checkpoints by robot adapter, made once by the command that users are told of."""
    made: dict[str, Path] = {}

    def make(adapter: str) -> Path:
        if adapter not in made:
            made[adapter] = tmp_path_factory.mktemp("checkpoints") / adapter
            command = ["ros2", "run", "vla_policy", "make_random_checkpoint", "--seed", "0"]
            given = ["--robot", adapter, "--output", str(made[adapter])]
            subprocess.run([*command, *given], check=True, timeout=120)
        return made[adapter]

    return make
