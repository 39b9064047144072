"""P2: the nodes' own clock jumps by an hour: /clock, as a simulation or a corrected clock does."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from diagnostic_msgs.msg import KeyValue
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from vla_system_tests.commands import check_latched_until_resume, check_limits
from vla_system_tests.motion import stamp_s
from vla_system_tests.stand_in_robot import StandInRobot
from vla_system_tests.system import EXECUTOR, SMALL_ROBOT, System

from vla_core.contract import load_contract

CONTRACT = load_contract(SMALL_ROBOT)
HOUR_S = 3600.0


class SimulatedTime:
    """/clock at 200 Hz: the system's time and an offset.

    Attributes:
        is_paused: Whether it stands still, as of a paused simulation.
    """

    def __init__(self, system: System) -> None:
        self.offset_s = 0.0
        self.is_paused = False
        qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._publisher = system.node.create_publisher(Clock, "/clock", qos)
        system.node.create_timer(0.005, self._publish)

    def _publish(self) -> None:
        if self.is_paused:
            return
        message = Clock()
        now_ns = time.time_ns() + round(self.offset_s * 1e9)
        message.clock.sec, message.clock.nanosec = divmod(now_ns, 10**9)
        self._publisher.publish(message)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Executor and policy that live by /clock, for all tests of this file."""
    with System(tmp_path_factory.mktemp("log")) as running:
        given = {"contract": SMALL_ROBOT, "autostart": True, "use_sim_time": True}
        running.start_node("vla_policy", EXECUTOR, **given)
        policy = {"checkpoint": "faulty", "inference_rate_hz": 5.0, "prompt": "sway"}
        running.start_node("vla_system_tests", "faulty_policy_node", **given, **policy)
        yield running


@pytest.fixture(scope="module")
def robot(system: System) -> StandInRobot:
    return StandInRobot(system)


@pytest.fixture(scope="module")
def clock(system: System) -> SimulatedTime:
    return SimulatedTime(system)


@pytest.fixture
def swaying(system: System, robot: StandInRobot, clock: SimulatedTime) -> SimulatedTime:
    """All of one time again, and the robot in motion."""
    clock.offset_s = robot.clock_offset_s = 0.0
    clock.is_paused = False
    system.wait_ticks(10)
    system.resume()
    system.wait(lambda: system.state() == "RUNNING", "RUNNING")
    system.wait_commands(20)
    return clock


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S])
def test_P2_nodes_whose_clock_jumps_away_from_the_robots_latch_until_resume(
    system: System, swaying: SimulatedTime, jump_s: float
) -> None:
    since = len(system.status)
    swaying.offset_s = jump_s
    ramping = system.wait_state("RAMPING", since=since, cause="measured joints")
    system.wait_state("LATCHED", since=ramping)
    swaying.offset_s = 0.0
    check_latched_until_resume(system, CONTRACT)


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S])
def test_P2_a_jump_of_all_clocks_brakes_and_only_what_is_observed_after_it_moves(
    system: System, swaying: SimulatedTime, robot: StandInRobot, jump_s: float
) -> None:
    since, chunks = len(system.status), len(system.chunks)
    jumped_s = time.time() + jump_s
    swaying.offset_s = robot.clock_offset_s = jump_s
    system.wait_state("RAMPING", since=since)
    system.wait(lambda: system.chunks.messages[chunks:] and _is_of(system, jumped_s), "new time")
    if system.state() == "LATCHED":  # where the policy took longer than latch_after_s
        check_latched_until_resume(system, CONTRACT)
    system.wait(lambda: system.state() == "RUNNING", "RUNNING")
    system.wait_commands(20)
    assert check_limits(CONTRACT, system) > 0


def _is_of(system: System, time_s: float) -> bool:
    chunk = system.chunks.messages[-1]
    return bool(chunk.points) and abs(stamp_s(chunk) - time_s) < HOUR_S / 2


def test_P2_a_clock_that_stands_still_latches_and_heartbeats_go_on(
    system: System, swaying: SimulatedTime
) -> None:
    since = len(system.status)
    swaying.is_paused = True
    ramping = system.wait_state("RAMPING", since=since)
    system.wait_state("LATCHED", since=ramping)
    beats = system.watch(f"/{EXECUTOR}/heartbeat", KeyValue)
    system.wait(lambda: len(beats) > 5, "heartbeats of the executor", timeout_s=20)
    swaying.is_paused = False
    check_latched_until_resume(system, CONTRACT)
