"""Sources of chunks: whoever is lost is silent, so that the executor holds."""

import os
import pty
import sys
import termios
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import sim_contract
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import JointState, Joy
from std_srvs.srv import Trigger

from vla_bringup.teleop.errors import TeleopError
from vla_bringup.teleop.joystick import Joystick
from vla_bringup.teleop.leader import Leader, LeaderTopic
from vla_bringup.teleop.sources import JoystickSource, KeyboardSource, LeaderSource
from vla_bringup.teleop.terminal import Terminal
from vla_core.contract import parse_contract

CONTRACT = parse_contract(sim_contract.SMALL)
MEASURED = np.array([0.0, -1.5, 0.5])
LOST_NS = 251_000_000


class Graph:
    """Stands in for a node: keeps the subscriptions, and counts the calls of services."""

    def __init__(self) -> None:
        self.hear: dict[str, Callable[[Any], None]] = {}
        self.called: list[str] = []

    def create_subscription(self, _kind: Any, topic: str, heard: Any, _qos: Any) -> None:
        self.hear[topic] = heard

    def create_client(self, _kind: Any, name: str) -> Any:
        graph = self

        class Client:
            def call_async(self, _request: Trigger.Request) -> None:
                graph.called.append(name)

        return Client()

    def get_logger(self) -> Any:
        class Logger:
            def warning(self, text: str, **_: object) -> None:
                pass

        return Logger()


class FakeClock:
    def __init__(self) -> None:
        self.now_ns = 10**9

    def monotonic_ns(self) -> int:
        return self.now_ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    fake = FakeClock()
    monkeypatch.setattr(time, "monotonic_ns", fake.monotonic_ns)
    return fake


@pytest.fixture
def typist(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The person's end of a terminal whose other end is the standard input."""
    master, slave = pty.openpty()
    with os.fdopen(slave, "r") as end:
        monkeypatch.setattr(sys, "stdin", end)
        yield master


# --- joystick ---


def joystick_source(graph: Graph) -> JoystickSource:
    stick = Joystick(CONTRACT, "shoulder=axes[0]", deadman=0, next_page=1)
    return JoystickSource(graph, CONTRACT, stick, speed=0.5)


def test_a_joystick_never_heard_is_silent(clock: FakeClock) -> None:
    assert joystick_source(Graph()).chunk(5, MEASURED) is None


def test_a_joystick_moves_until_its_deadman_is_released_and_then_holds(clock: FakeClock) -> None:
    graph = Graph()
    source = joystick_source(graph)
    graph.hear["joy"](Joy(axes=[1.0], buttons=[1]))
    chunk = source.chunk(5, MEASURED)
    assert chunk is not None
    assert chunk.stamp_ns == 5
    assert chunk.step_ns == 100_000_000
    assert chunk.actions[1, 0] == pytest.approx(0.1)
    graph.hear["joy"](Joy(axes=[1.0], buttons=[0]))
    held = source.chunk(6, MEASURED)
    assert held is not None
    assert (held.actions == held.actions[0]).all()


def test_a_lost_joystick_is_silent(clock: FakeClock) -> None:
    graph = Graph()
    source = joystick_source(graph)
    graph.hear["joy"](Joy(axes=[1.0], buttons=[1]))
    assert source.chunk(5, MEASURED) is not None
    clock.now_ns += LOST_NS
    assert source.chunk(6, MEASURED) is None


def test_without_measured_joints_nobody_drives(clock: FakeClock) -> None:
    graph = Graph()
    source = joystick_source(graph)
    graph.hear["joy"](Joy(axes=[1.0], buttons=[1]))
    assert source.chunk(5, None) is None


# --- leader arms ---


def test_leader_arms_are_mirrored_until_one_is_lost(clock: FakeClock) -> None:
    graph = Graph()
    arms = Leader(CONTRACT, scales={}, speed=1.0, soft_start_s=0.0)
    topics = [LeaderTopic(topic="/a", prefix=""), LeaderTopic(topic="/b", prefix="el")]
    source = LeaderSource(graph, CONTRACT, arms, topics)
    assert source.chunk(5, MEASURED) is None
    graph.hear["/a"](JointState(name=["shoulder"], position=[0.0]))
    graph.hear["/b"](JointState(name=["bow"], position=[-1.5]))
    chunk = source.chunk(5, MEASURED)
    assert chunk is not None
    np.testing.assert_allclose(chunk.actions[-1], MEASURED)
    clock.now_ns += LOST_NS
    graph.hear["/a"](JointState(name=["shoulder"], position=[0.0]))
    graph.hear["/b"](JointState(name=["bow"], position=[float("nan")]))
    assert source.chunk(6, MEASURED) is None


# --- keyboard ---


def test_keys_of_a_terminal_move_joints_stop_and_resume(
    clock: FakeClock, typist: int, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = Graph()
    source = KeyboardSource(graph, CONTRACT, speed=0.5)
    os.write(typist, b"q")
    chunk = source.chunk(5, MEASURED)
    assert chunk is not None
    assert chunk.actions[1, 0] == pytest.approx(0.1)
    graph.hear["executor_node/status"](DiagnosticStatus(message="RUNNING"))
    source.chunk(5, MEASURED)
    assert "executor RUNNING | speed 50% | q/a shoulder" in capsys.readouterr().out
    os.write(typist, b" ")
    stopped = source.chunk(6, MEASURED)
    assert stopped is not None
    np.testing.assert_array_equal(stopped.actions[-1], MEASURED)
    assert graph.called == ["executor_node/estop"]
    os.write(typist, b"\n")
    source.chunk(7, MEASURED)
    assert graph.called[1:] == ["executor_node/resume"]
    source.close()


def test_a_terminal_that_is_gone_ends_the_driving(clock: FakeClock, typist: int) -> None:
    source = KeyboardSource(Graph(), CONTRACT, speed=0.5)
    assert source.chunk(5, MEASURED) is not None
    os.close(typist)
    assert source.chunk(6, MEASURED) is None
    assert source.is_over
    source.close()


def test_the_terminal_is_given_back_as_it_was(typist: int) -> None:
    before = termios.tcgetattr(sys.stdin)
    terminal = Terminal()
    assert termios.tcgetattr(sys.stdin) != before
    terminal.close()
    assert termios.tcgetattr(sys.stdin) == before


def test_without_a_terminal_there_is_no_keyboard(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with pytest.raises(TeleopError, match=r"needs a terminal.*ros2 run"):
            Terminal()
