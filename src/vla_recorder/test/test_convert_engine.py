"""Work in processes: results in order, errors as they were raised, no worker left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vla_recorder.convert.engine import Local, Processes
from vla_recorder.convert.errors import ConvertError

Progress = Callable[[int], None]


def double(task: int, progress: Progress) -> int:
    progress(task)
    return 2 * task


def fail(task: int, _progress: Progress) -> int:
    if task == 3:
        raise ConvertError("no", where="here", found=task, allowed="else", fix="ask")
    if task == 4:
        raise OSError(28, "No space left on device", "/disk")
    if task == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def test_processes_and_this_one_give_the_same_in_the_order_of_the_tasks() -> None:
    told: list[int] = []
    tasks = [5, 1, 4, 2, 3]
    assert Processes(workers=2).run(double, tasks, told.append) == [10, 2, 8, 4, 6]
    assert sorted(told) == [1, 2, 3, 4, 5]
    assert Local().run(double, tasks, told.append) == [10, 2, 8, 4, 6]
    assert Processes(workers=2).run(double, [], told.append) == []


def test_an_error_arrives_as_it_was_raised() -> None:
    engine = Processes(workers=2)
    with pytest.raises(
        ConvertError, match=r"^\[CONVERT\] no; where: here; found: 3; allowed: else"
    ):
        engine.run(fail, [1, 3], lambda _: None)
    with pytest.raises(OSError, match="No space left on device: '/disk'"):
        engine.run(fail, [4], lambda _: None)


def test_a_worker_that_is_killed_is_an_error_and_no_wait_for_ever() -> None:
    with pytest.raises(ConvertError, match="a worker has died; found: exit code -9"):
        Processes(workers=2).run(fail, [1, 5, 2], lambda _: None)


@pytest.mark.parametrize("size", [1, 1 << 22])  # sent at once; while the worker should read
def test_a_worker_that_is_killed_before_it_has_read_its_task_is_the_same_error(size: int) -> None:
    with pytest.raises(ConvertError, match="a worker has died; found: exit code -9"):
        Processes(workers=1).run(measure, [Deadly(bytes(size))], lambda _: None)


class Deadly:
    """Bytes that, when they are about to be sent, stop the worker, which soon is killed."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __reduce__(self) -> tuple[type[bytes], tuple[bytes]]:
        (worker,) = multiprocessing.active_children()
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGSTOP)
        threading.Timer(0.2, worker.kill).start()
        return bytes, (self.data,)


def measure(task: Deadly, _progress: Progress) -> int:
    return len(task.data)


ENDLESS = """
import os, sys, time
from pathlib import Path
from vla_recorder.convert.engine import Processes

def work(task, progress):
    Path(task).write_text(str(os.getpid()))
    time.sleep(600)

if __name__ == "__main__":
    Processes(workers=2).run(work, sys.argv[1:], len)
"""


def test_workers_end_with_the_process_that_asked_even_if_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "endless.py"
    script.write_text(ENDLESS)
    files = [tmp_path / "one", tmp_path / "two"]
    process = subprocess.Popen([sys.executable, str(script), *map(str, files)])
    while not all(file.exists() and file.read_text() for file in files):
        assert process.poll() is None
        time.sleep(0.01)
    workers = [int(file.read_text()) for file in files]
    process.kill()
    process.wait()
    deadline_s = time.monotonic() + 30
    while any(alive(pid) for pid in workers):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
