"""P6: the manager sees within 1 s that a node died or hangs, and nothing moves again by itself."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.qos import DurabilityPolicy, QoSProfile
from vla_system_tests.processes import Process, wait_until_dead
from vla_system_tests.system import EXECUTOR, MANAGER, POLICY, SMALL_ROBOT, Recording, System

STOP, KILL = signal.SIGSTOP, signal.SIGKILL
ALLOWED_S = 1.0
Record = Callable[[str, object], None]


class Supervised:
    """Robot, executor, a policy that moves it, and the manager, each started by itself."""

    def __init__(self, system: System, *, restarts: int = 2, checkpoint: str = "faulty") -> None:
        self.system = system
        self.seen = _manager_status(system)
        self.checkpoint = checkpoint
        self.robot = system.start_fake_robot()
        self.manager = system.start_node("vla_policy", MANAGER, policy_restarts=restarts)
        self.executor = system.start_node("vla_policy", EXECUTOR, contract=SMALL_ROBOT)
        self.policy = self.start_policy()

    def start_policy(self) -> Process:
        """What a launch does when it starts a process again."""
        self.policy = self.system.start_node(
            "vla_system_tests",
            "faulty_policy_node",
            contract=SMALL_ROBOT,
            checkpoint=self.checkpoint,
            inference_rate_hz=5.0,
            prompt="sway",
        )
        return self.policy

    def wait_seen(self, node: str, state: str, since: int = 0) -> int:
        """Index of the manager's first status, from ``since`` on, with this state of a node."""
        return _wait_seen(self.system, self.seen, node, state, since)


@pytest.fixture
def swaying(system: System) -> Supervised:
    nodes = Supervised(system)
    nodes.wait_seen(POLICY, "active")
    system.wait_commands(20)
    return nodes


def _manager_status(system: System) -> Recording:
    latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    return system.watch(f"/{MANAGER}/status", DiagnosticStatus, latched)


def _states(status: DiagnosticStatus) -> dict[str, str]:
    return {item.key: item.value for item in status.values}


def _wait_seen(system: System, seen: Recording, node: str, state: str, since: int) -> int:
    def index() -> int | None:
        for at, status in enumerate(seen.messages[since:], since):
            if _states(status)[node] == state:
                return at + 1
        return None

    shown = [_states(status) for status in seen.messages]
    return int(system.wait(index, f"the manager sees {node} {state}, not {shown}")) - 1


def _is_silent(system: System) -> bool:
    since = len(system.commanded)
    system.wait_ticks(50)
    return len(system.commanded) == since


def _check(record: Record, what: str, seconds: float) -> None:
    print(f"{what}: seen after {seconds:.2f} s")
    record(f"P6 {what}", f"{seconds:.2f} s")
    assert seconds < ALLOWED_S


@pytest.mark.parametrize("number", [KILL, STOP], ids=lambda number: number.name)
def test_P6_a_dead_or_stopped_policy_is_seen(
    swaying: Supervised, number: signal.Signals, record_testsuite_property: Record
) -> None:
    system, since = swaying.system, len(swaying.seen)
    began_s = time.monotonic()
    swaying.policy.signal(number)
    lost = swaying.wait_seen(POLICY, "lost", since)
    _check(
        record_testsuite_property,
        f"{number.name} of the policy",
        swaying.seen.times_s[lost] - began_s,
    )
    assert swaying.seen.messages[lost].level == DiagnosticStatus.ERROR
    system.wait_state("LATCHED")
    if number is STOP:
        swaying.policy.signal(signal.SIGCONT)
        swaying.wait_seen(POLICY, "active", lost)
        assert _states(swaying.seen.messages[-1])["restarts"] == "0"
        assert _is_silent(system)


@pytest.mark.parametrize("number", [KILL, STOP], ids=lambda number: number.name)
def test_P6_the_loss_of_the_executor_is_seen_and_ends_the_manager_with_1(
    swaying: Supervised, number: signal.Signals, record_testsuite_property: Record
) -> None:
    since = len(swaying.seen)
    began_s = time.monotonic()
    swaying.executor.signal(number)
    lost = swaying.wait_seen(EXECUTOR, "lost", since)
    _check(
        record_testsuite_property,
        f"{number.name} of the executor",
        swaying.seen.times_s[lost] - began_s,
    )
    assert swaying.manager.wait() == 1
    assert swaying.policy.is_running()
    assert _states(swaying.seen.messages[-1])[POLICY] == "unconfigured"
    swaying.executor.signal(KILL)


@pytest.mark.parametrize("number", [KILL, STOP], ids=lambda number: number.name)
def test_P6_the_loss_of_the_robot_is_seen_by_the_executor_and_motion_needs_resume(
    swaying: Supervised, number: signal.Signals, record_testsuite_property: Record
) -> None:
    system, since = swaying.system, len(swaying.system.status)
    began_s = time.monotonic()
    swaying.robot.signal(number)
    holding = system.wait_state("HOLDING", since=since, cause="measured joints")
    _check(
        record_testsuite_property,
        f"{number.name} of the robot",
        system.status.times_s[holding] - began_s,
    )
    system.wait_state("LATCHED", since=holding)
    chunks = len(system.chunks)
    if number is STOP:
        swaying.robot.signal(signal.SIGCONT)
    else:
        system.start_fake_robot()
    system.wait(
        lambda: sum(len(c.points) > 0 for c in system.chunks.messages[chunks:]) > 3, "new chunks"
    )
    assert _is_silent(system)
    system.resume()
    system.wait_commands(20)


def test_P6_a_restarted_policy_moves_nothing_without_resume(swaying: Supervised) -> None:
    system = swaying.system
    swaying.policy.signal(KILL)
    lost = swaying.wait_seen(POLICY, "lost")
    system.wait_state("LATCHED")
    system.resume()  # a person who comes too early: the executor would go on by itself
    system.wait(lambda: system.state() == "HOLDING", "HOLDING")
    chunks, states = len(system.chunks), len(system.status)
    swaying.start_policy()
    swaying.wait_seen(POLICY, "active", lost)
    system.wait(
        lambda: sum(len(c.points) > 0 for c in system.chunks.messages[chunks:]) > 3, "new chunks"
    )
    assert system.state() == "LATCHED"
    assert all(status.message != "RUNNING" for status in system.status.messages[states:])
    assert _is_silent(system)
    assert _states(swaying.seen.messages[-1])["restarts"] == "1"
    system.resume()
    system.wait_commands(20)


def test_a_policy_is_given_up_after_its_restarts(system: System) -> None:
    nodes = Supervised(system, restarts=1)
    at = nodes.wait_seen(POLICY, "active")
    for shown in ("active", "given up after 1 restarts"):
        nodes.policy.signal(KILL)
        at = nodes.wait_seen(POLICY, "lost", at)
        nodes.start_policy()
        at = nodes.wait_seen(POLICY, shown, at)
    assert nodes.executor.is_running()
    assert nodes.manager.is_running()


def test_P6_a_policy_that_holds_python_still_is_seen_and_ended(swaying: Supervised) -> None:
    """As native code may that never gives back Python's lock; the process cannot even be asked."""
    since = len(swaying.seen)
    swaying.system.prompt("freeze")
    swaying.wait_seen(POLICY, "not responding", since)
    swaying.system.wait_state("LATCHED")
    assert swaying.policy.wait() == -signal.SIGALRM


def test_P6_a_policy_that_dies_while_it_loads_is_seen(system: System) -> None:
    nodes = Supervised(system, checkpoint="slow")
    at = nodes.wait_seen(POLICY, "configuring")
    system.wait_state("HOLDING")
    system.wait_ticks(150)  # no false alarm meanwhile
    assert _states(nodes.seen.messages[-1])[POLICY] == "configuring"
    nodes.policy.signal(KILL)
    at = nodes.wait_seen(POLICY, "lost", at)
    nodes.start_policy()
    nodes.wait_seen(POLICY, "configuring", at)
    nodes.policy.signal(signal.SIGINT)
    assert nodes.policy.wait(5) == 128 + signal.SIGINT


def test_the_manager_brings_down_in_reverse_order(swaying: Supervised) -> None:
    system = swaying.system
    swaying.manager.signal(signal.SIGINT)
    assert swaying.manager.wait() == 0
    states = [_states(status) for status in swaying.seen.messages]
    assert any(s[POLICY] == "unconfigured" and s[EXECUTOR] == "active" for s in states), states
    assert (states[-1][POLICY], states[-1][EXECUTOR]) == ("unconfigured", "unconfigured")
    commands = len(system.commanded)
    assert system.state() != "RUNNING"
    for node in (swaying.policy, swaying.executor):
        node.signal(signal.SIGINT)
        assert node.wait() == 0
    assert len(system.commanded) == commands


def test_P6_a_launch_starts_a_dead_policy_again_and_then_gives_up(system: System) -> None:
    seen = _manager_status(system)
    launch = system.launch(
        "ur5.launch.py",
        checkpoint="hold:",
        contract=SMALL_ROBOT,
        prompt="wave",
        sim="true",
        policy_restarts=1,
    )
    system.wait_state("RUNNING")
    at = _wait_seen(system, seen, POLICY, "active", 0)
    os.kill(launch.child(POLICY), KILL)
    system.wait_output(launch, "Restart 1 of 1")
    system.wait_state("LATCHED")
    at = _wait_seen(system, seen, POLICY, "lost", at)
    at = _wait_seen(system, seen, POLICY, "active", at)
    assert _is_silent(system)
    since = len(system.status)
    system.resume()
    system.wait_state("RUNNING", since=since)
    os.kill(launch.child(POLICY), KILL)
    system.wait_output(launch, "The policy is gone, after 1 restarts.")
    _wait_seen(system, seen, POLICY, "lost", at)
    system.wait_state("LATCHED", since=since)
    assert launch.is_running()
    family = launch.session()
    launch.signal(signal.SIGINT)
    assert launch.wait() == 0
    assert not wait_until_dead(family)


def test_P6_a_policy_that_was_replaced_while_the_manager_was_stopped_is_brought_up(
    swaying: Supervised,
) -> None:
    system = swaying.system
    beats = system.watch(f"/{POLICY}/heartbeat", KeyValue)
    swaying.manager.signal(STOP)
    swaying.policy.signal(KILL)
    swaying.policy.wait()
    system.wait_state("LATCHED")
    since = len(system.chunks)
    swaying.start_policy()
    system.wait(lambda: any(b.value == "unconfigured" for b in beats.messages), "a new policy")
    swaying.manager.signal(signal.SIGCONT)
    system.wait(
        lambda: any(c.points for c in system.chunks.messages[since:]), "chunks of the new policy"
    )
    system.wait(lambda: _states(swaying.seen.messages[-1])[POLICY] == "active", "active")
    assert _states(swaying.seen.messages[-1])["restarts"] == "1"
    assert system.state() == "LATCHED"
    assert _is_silent(system)


def test_P6_a_second_manager_leaves_at_once_and_asks_the_nodes_for_nothing(
    swaying: Supervised,
) -> None:
    system = swaying.system
    assert system.change_executor("deactivate")
    since, commands = len(swaying.seen), len(system.commanded)
    second = system.start_node("vla_policy", MANAGER)
    assert second.wait() == 1
    assert "refused to start: " in second.output
    assert swaying.manager.is_running()
    assert len(system.commanded) == commands
    own = [_states(s) for s in swaying.seen.messages[since:]]
    assert all(s[POLICY] in ("active", "not seen") for s in own), own


def test_P6_a_manager_leaves_nodes_alone_that_somebody_else_has_configured(
    system: System,
) -> None:
    system.start_fake_robot()
    system.start_executor()
    system.wait_state("HOLDING")
    assert system.change_executor("deactivate")
    manager = system.start_node("vla_policy", MANAGER)
    assert manager.wait() == 1
    assert "executor_node is inactive already, by somebody else" in manager.output
    assert system.state() == "INACTIVE"


def test_P6_two_processes_of_one_name_are_told_once_and_not_asked_for_anything(
    swaying: Supervised,
) -> None:
    system, at, first = swaying.system, len(swaying.seen), swaying.policy
    second = swaying.start_policy()
    at = swaying.wait_seen(POLICY, "runs twice", at)
    assert swaying.seen.messages[at].level == DiagnosticStatus.ERROR
    system.wait_ticks(150)
    second.signal(KILL)
    after = swaying.wait_seen(POLICY, "active", at)
    assert after == at + 1
    assert _states(swaying.seen.messages[after])["restarts"] == "0"
    assert "configure: done" not in second.output
    assert first.is_running()
    assert system.state() == "RUNNING"
