"""The demo's command line, and the process that it starts."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vla_bringup.demo import launched
from vla_bringup.demo.launched import Launched
from vla_bringup.demo.main import main
from vla_bringup.demo.recorder import DemoError

STUBBORN = """
import signal, subprocess, sys, time
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
time.sleep(600)
"""
BURNER = """
import time
while time.process_time() < 0.2:
    pass
print("done", flush=True)
time.sleep(600)
"""
POLITE = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # it waits for the signal: no race
os.write(1, b"ready\\n")
signal.sigwait({signal.SIGINT})
os.write(1, b"bye\\n")
"""


def python(program: str, tmp_path: Path) -> Launched:
    return Launched([sys.executable, "-c", program], tmp_path / "launch.log")


def wait_for_line(log: Path) -> str:
    deadline = time.monotonic() + 30
    while not (text := log.read_text()).endswith("\n") and time.monotonic() < deadline:
        time.sleep(0.01)
    return text


def is_gone(pid: int) -> bool:
    """Whether a process ends soon."""
    stat, deadline = Path(f"/proc/{pid}/stat"), time.monotonic() + 30
    with contextlib.suppress(OSError):
        while stat.read_text().rpartition(")")[2].split()[0] != "Z":
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
    return True


@pytest.mark.parametrize(
    "arguments",
    [["--seconds", "0"], ["--seconds", "nan"], ["--seconds", "long"], ["--fast"], ["extra"]],
)
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: demo" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_one_line_and_exit_1(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["--out", str(tmp_path / "file" / "out")]) == 1
    error = capsys.readouterr().err
    assert "Not a directory" in error
    assert "Traceback" not in error


def test_a_launch_that_ends_by_itself_is_told_with_its_last_lines(tmp_path: Path) -> None:
    with python("print('no such checkpoint'); raise SystemExit(3)", tmp_path) as process:
        wait_for_line(process.log)
        assert is_gone(process.pid)
        with pytest.raises(DemoError, match=r"no such checkpoint[\s\S]*exit code 3"):
            process.check()


def test_a_launch_is_asked_to_end_as_by_ctrl_c(tmp_path: Path) -> None:
    with python(POLITE, tmp_path) as process:
        assert wait_for_line(process.log) == "ready\n"
        process.check()
    assert process.log.read_text() == "ready\nbye\n"


def test_nothing_outlives_the_demo_even_if_it_ignores_signals_and_the_demo_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launched, "PATIENCE_S", {signal.SIGINT: 0.1, signal.SIGTERM: 0.1})
    children = []
    with contextlib.suppress(RuntimeError), python(STUBBORN, tmp_path) as process:
        children += [process.pid, int(wait_for_line(process.log).split()[1])]
        raise RuntimeError("a fault of the demo")
    assert all(is_gone(pid) for pid in children)
    assert len(children) == 2


def test_a_demo_that_is_killed_takes_its_children_along(tmp_path: Path) -> None:
    log = tmp_path / "launch.log"
    parent = (
        "import sys, time\nfrom pathlib import Path\n"
        "from vla_bringup.demo.launched import Launched\n"
        f"with Launched([sys.executable, '-c', {POLITE!r}], Path({str(log)!r})) as process:\n"
        "    print(process.pid, flush=True)\n    time.sleep(600)"
    )
    demo = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    child = int(demo.stdout.readline())
    wait_for_line(log)
    demo.kill()
    demo.wait()
    assert is_gone(child)
    assert log.read_text() == "ready\nbye\n"


def test_cpu_time_is_read_for_each_program_of_the_group(tmp_path: Path) -> None:
    (tmp_path / "burner.py").write_text(BURNER)
    with Launched([sys.executable, str(tmp_path / "burner.py")], tmp_path / "log") as process:
        wait_for_line(process.log)
        used = process.cpu_s()
        assert list(used) == ["burner.py"]
        assert used["burner.py"] >= 0.15
