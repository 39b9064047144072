"""ros2 launch, run and pkg as a user calls them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

LAUNCH = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, GroupAction, LogInfo
from launch.conditions import IfCondition
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
def generate_launch_description():
    return LaunchDescription([
        DeclareLaunchArgument("robot", description="Which robot", choices=["ur5", "ur3"]),
        DeclareLaunchArgument("home", default_value=[EnvironmentVariable("HOME"), "/x"]),
        GroupAction([DeclareLaunchArgument("maybe", default_value="1", description="Perhaps.")],
            condition=IfCondition("true")),
        LogInfo(msg=["robot is ", LaunchConfiguration("robot")]),
        ExecuteProcess(cmd=["echo", "quiet"], name="quiet"),
    ])
"""
WAIT = """#!{python}
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *a: (print("told"), sys.exit(5)))
print("ready", signal.getsignal(signal.SIGPIPE) is signal.SIG_DFL, flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package `sample` with a launch file and executables for this test."""
    index = tmp_path / "share/ament_index/resource_index/packages"
    index.mkdir(parents=True)
    (index / "sample").touch()
    (tmp_path / "share/sample/launch").mkdir(parents=True)
    (tmp_path / "share/sample/launch/sample.launch.py").write_text(LAUNCH)
    libexec = tmp_path / "lib/sample"
    libexec.mkdir(parents=True)
    (libexec / "fail").write_text('#!/bin/sh\necho "$PREFIXED" "$@"\nexit 7\n')
    (libexec / "wait").write_text(WAIT.format(python=sys.executable))
    (libexec / "data.txt").touch()
    for name in ("fail", "wait"):
        (libexec / name).chmod(0o755)
    known = os.environ.get("AMENT_PREFIX_PATH", "")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path}:{known}")
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))
    return tmp_path


def command(*words: str) -> list[str]:
    return [sys.executable, "-c", "import sys, ros2cli.cli as c; sys.exit(c.main())", *words]


def ros2(*words: str) -> tuple[int, str]:
    done = subprocess.run(
        command(*words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("words", [("-s", "sample", "sample.launch.py"), ("PATH", "--show-args")])
def test_show_args_lists_each_argument(words: tuple[str, ...], prefix: Path) -> None:
    path = str(prefix / "share/sample/launch/sample.launch.py")
    assert ros2("launch", *(path if word == "PATH" else word for word in words)) == (
        0,
        "Arguments (pass arguments as '<name>:=<value>'):\n"
        "\n    'robot':\n        Which robot. Valid choices are: ['ur5', 'ur3']\n"
        "\n    'home':\n        no description given\n"
        "        (default: EnvVar('HOME') + '/x')\n"
        "\n    'maybe':*\n        Perhaps.\n        (default: '1')\n"
        "\n* argument(s) which are only used if specific conditions occur\n",
    )


def test_launch_runs_a_file_of_a_package_with_arguments() -> None:
    code, output = ros2("launch", "sample", "sample.launch.py", "robot:=ur5", "robot:=ur3", "-a")
    assert code == 0
    assert "robot is ur3" in output
    assert "[quiet-1] quiet" in output


def test_launch_prefix_goes_before_matching_executables() -> None:
    words = ("launch", "sample", "sample.launch.py", "robot:=ur5", "-a")
    assert "[quiet-1] echo quiet" in ros2(*words, "--launch-prefix", "echo")[1]
    filtered = ros2(*words, "--launch-prefix", "echo", "--launch-prefix-filter", "cat")[1]
    assert "[quiet-1] quiet" in filtered


def test_print_shows_the_description_without_launching() -> None:
    code, output = ros2("launch", "-p", "sample", "sample.launch.py")
    assert code == 0
    assert "DeclareLaunchArgument('robot')" in output
    assert "LogInfo('robot is ' + LaunchConfig('robot'))" in output
    assert "process started" not in output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("launch", "none", "x.launch.py"), "Package 'none' not found"),
        (("launch", "sample", "x.launch.py"), "file 'x.launch.py' was not found in the share"),
        (("launch", "sample", "sample.launch.py", "robot"), "malformed launch argument 'robot'"),
        (("launch", "sample", "sample.launch.py"), "missing required argument 'robot'"),
        (("run", "none", "x"), "Package 'none' not found"),
        (("run", "sample", "data.txt"), "No executable found"),
        (("pkg", "prefix", "none"), "Package not found"),
        (("pkg", "executables", "none"), "Package 'none' not found"),
    ],
)
def test_what_is_not_there_fails_with_one_message(words: tuple[str, ...], message: str) -> None:
    code, output = ros2(*words)
    assert code == 1
    assert message in output
    assert "Traceback" not in output


def test_launch_refuses_xml_by_name(prefix: Path) -> None:
    (prefix / "x.launch.xml").write_text("<launch/>")
    code, output = ros2("launch", str(prefix / "x.launch.xml"), "--show-args")
    assert code == 1
    assert "is not a Python launch file" in output


def test_run_passes_arguments_prefix_and_exit_code() -> None:
    words = ("run", "--prefix", "env PREFIXED=yes", "sample", "fail", "-h", "--ros-args", "a b")
    assert ros2(*words) == (7, "yes -h --ros-args a b\n")


def test_run_forwards_signals_and_the_exit_code_that_follows() -> None:
    process = subprocess.Popen(command("run", "sample", "wait"), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready True\n" or process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.communicate()[0] == "told\n"
    assert process.returncode == 5


def test_pkg_lists_packages_prefixes_and_executables(prefix: Path) -> None:
    assert "sample" in ros2("pkg", "list")[1].splitlines()
    assert ros2("pkg", "prefix", "sample") == (0, f"{prefix}\n")
    assert ros2("pkg", "prefix", "--share", "sample") == (0, f"{prefix}/share/sample\n")
    assert ros2("pkg", "executables", "sample") == (0, "sample fail\nsample wait\n")
    assert ros2("pkg", "executables", "sample", "--full-path")[1].splitlines()[0] == (
        f"{prefix}/lib/sample/fail"
    )
