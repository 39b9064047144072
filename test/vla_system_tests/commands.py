"""Judges commands by the contract's limits.

Shape letters: N commands, A action dimension.
"""

from __future__ import annotations

import numpy as np

from vla_core.contract import Contract, Kind
from vla_core.types import FloatArray
from vla_system_tests.system import Recording, System

SLACK = 1e-6  # of a limit: a message carries 64-bit floats, positions are differences of sums


def positions(recording: Recording, since: int = 0) -> FloatArray:
    """Values of all commands, (N, A)."""
    return np.array([list(message.position) for message in recording.messages[since:]])


def check_limits(contract: Contract, system: System, since: int = 0) -> int:
    """Commands lie within position limits; those without a gap between them within the others.

    Rates and accelerations are differences over the control period, from messages whose numbers
    follow each other. After ~/resume motion starts anew from the measured pose.

    Returns:
        How many accelerations were checked.
    """
    recording = system.commanded
    numbers = recording.numbers[since:]  # more may come meanwhile
    values = positions(recording, since)[: len(numbers)]
    names = tuple(recording.messages[since].name)
    assert names == contract.action_names
    assert np.isfinite(values).all()
    joints = contract.action_joints()
    lower, upper = (np.array([getattr(j, k) for j in joints]) for k in ("lower", "upper"))
    assert (values >= lower - SLACK).all()
    assert (values <= upper + SLACK).all()
    rate_limit = np.array([joint.max_rate for joint in joints])
    acceleration_limit = np.array([joint.max_acceleration or np.inf for joint in joints])
    dt_s = 1.0 / contract.control_rate_hz
    rates = np.diff(values, axis=0) / dt_s
    adjacent = np.diff(numbers) == 1
    adjacent[[at - since - 1 for at in system.restarts if 0 < at - since < len(numbers)]] = False
    assert (np.abs(rates[adjacent]) <= rate_limit * (1 + SLACK) + SLACK / dt_s).all()
    accelerations = np.abs(np.diff(rates, axis=0)) / dt_s
    three = adjacent[1:] & adjacent[:-1]
    allowed = acceleration_limit * (1 + SLACK) + SLACK / dt_s**2
    assert (accelerations[three] <= allowed).all(), np.argwhere(accelerations > allowed)[:5]
    assert not any(joint.kind is Kind.VELOCITY for joint in joints), "judge these by other rules"
    return int(three.sum())


def is_silent(system: System) -> bool:
    """Whether no command comes for fifty ticks."""
    commands = len(system.commanded)
    system.wait_ticks(50)
    return len(system.commanded) == commands


def check_latched_until_resume(system: System, contract: Contract) -> None:
    """With sound chunks again nothing moves before ~/resume; all commands keep the limits."""
    chunks = len(system.chunks)
    system.wait(lambda: any(c.points for c in system.chunks.messages[chunks:]), "chunks again")
    assert is_silent(system)
    assert system.state() == "LATCHED"
    since = len(system.status)
    system.resume()
    system.wait_state("RUNNING", since=since)
    assert check_limits(contract, system) > 0
