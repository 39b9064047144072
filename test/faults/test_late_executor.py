"""P5: a late tick is skipped, never caught up in a burst."""

from __future__ import annotations

import signal
import time

import numpy as np
from vla_system_tests.commands import check_limits
from vla_system_tests.system import EXECUTOR, SMALL_ROBOT, System

from vla_core.contract import load_contract

CONTRACT = load_contract(SMALL_ROBOT)


def test_P5_an_executor_that_was_stopped_for_a_second_sends_no_burst(system: System) -> None:
    _, executor, _ = system.start_swaying_robot()
    system.wait_counter(EXECUTOR, "ticks")
    missed = system.counter(EXECUTOR, "ticks_missed")
    executor.signal(signal.SIGSTOP)
    time.sleep(1.0)  # the fault itself
    executor.signal(signal.SIGCONT)
    continued_s = time.time()
    system.wait_commands(150)
    rate_hz = CONTRACT.control_rate_hz
    assert system.wait_counter(EXECUTOR, "ticks_missed", missed + int(0.9 * rate_hz))
    stamps_s = np.array(
        [m.header.stamp.sec + m.header.stamp.nanosec * 1e-9 for m in system.commanded.messages]
    )
    for window_s in (0.1, 1.0):
        sent = int(((stamps_s >= continued_s) & (stamps_s < continued_s + window_s)).sum())
        assert sent <= rate_hz * window_s * 1.5 + 2, f"{sent} commands in {window_s} s"
    assert np.diff(stamps_s).min() > 0.25 / rate_hz
    assert check_limits(CONTRACT, system) > 50
