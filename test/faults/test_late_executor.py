"""P5: a late tick is skipped, never caught up in a burst, and each one is accounted for."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest
from vla_system_tests.commands import check_limits
from vla_system_tests.figures import Record, record_times
from vla_system_tests.motion import stamp_s
from vla_system_tests.processes import Process
from vla_system_tests.system import EXECUTOR, SMALL_ROBOT, System

from vla_core.contract import load_contract

CONTRACT = load_contract(SMALL_ROBOT)
RATE_HZ = CONTRACT.control_rate_hz
STARVED_S = 4.0
BURNERS = 4 * len(os.sched_getaffinity(0))


def _stand_still(executor: Process) -> None:
    """For a second, as a machine that swaps."""
    executor.signal(signal.SIGSTOP)
    time.sleep(1.0)
    executor.signal(signal.SIGCONT)


def _stutter(executor: Process) -> None:
    """Run for a small part of the time only, as beside processes of higher priority."""
    end_s = time.monotonic() + STARVED_S
    while time.monotonic() < end_s:
        executor.signal(signal.SIGSTOP)
        time.sleep(random.uniform(0.01, 0.09))
        executor.signal(signal.SIGCONT)
        time.sleep(random.uniform(0.005, 0.03))


def _share_the_processor(_executor: Process) -> None:
    """With processes that compute without end, four for each core."""
    command = [sys.executable, "-S", "-c", "while True: pass"]
    burners = [subprocess.Popen(command) for _ in range(BURNERS)]
    time.sleep(STARVED_S)
    for burner in burners:
        burner.kill()
        burner.wait()


@pytest.mark.parametrize("starve", [_stand_still, _stutter, _share_the_processor])
def test_P5_a_starved_executor_skips_ticks_and_sends_no_burst(
    system: System, starve: Callable[[Process], None], record_testsuite_property: Record
) -> None:
    _, executor, _ = system.start_swaying_robot()
    system.wait_counter(EXECUTOR, "ticks_done")
    since, missed = len(system.commanded) - 1, system.counter(EXECUTOR, "ticks_missed")
    starve(executor)
    until = len(system.commanded)
    system.wait_commands(150)
    stamps_s = np.array([stamp_s(message) for message in system.commanded.messages[since:]])
    gaps_s = np.diff(stamps_s)
    assert gaps_s.min() > 0.25 / RATE_HZ
    for window_s in (0.1, 1.0):  # the most that follow any one of them
        ends = np.searchsorted(stamps_s, stamps_s + window_s)
        sent = int((ends - np.arange(len(ends))).max())
        assert sent <= RATE_HZ * window_s * 4 / 3 + 2, f"{sent} commands in {window_s} s"
    lost = int((stamps_s[until - since] - stamps_s[0]) * RATE_HZ) - (until - since)
    assert system.wait_counter(EXECUTOR, "ticks_missed", missed + int(0.9 * lost))
    name = f"P5 {starve.__name__.strip('_').replace('_', ' ')}, from command to command"
    record_times(record_testsuite_property, name, gaps_s.tolist(), {})
    assert check_limits(CONTRACT, system) > 50
