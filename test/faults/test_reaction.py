"""P3: from fault to safe command, in motion. Figures go into the report; the order is asserted."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sensor_msgs.msg import JointState, Joy
from std_srvs.srv import Trigger
from vla_system_tests.commands import check_limits
from vla_system_tests.figures import LONG, Record, record_times
from vla_system_tests.motion import stamp_s, start_steady_motion, wait_braking
from vla_system_tests.stand_in_robot import StandInRobot
from vla_system_tests.system import EXECUTOR, SMALL_ROBOT, System

REPEATS = 150 if LONG else 8
HOUR_S = 3600.0
DEADMAN = (
    '\n  deadman: {topic: /joy, type: sensor_msgs/msg/Joy, field: "buttons[0]", max_age_s: 2}\n'
)


class Rig:
    """A robot in motion under a deadman, and what can go wrong with it."""

    def __init__(self, system: System, folder: Path) -> None:
        self.system, self.robot = system, StandInRobot(system)
        self.measured = system.watch("/joint_states", JointState)
        self.joystick = system.node.create_publisher(Joy, "/joy", 1)
        self.pressed = [1]
        system.node.create_timer(0.05, self.hold)
        contract = folder / "deadman.yaml"
        contract.write_text(SMALL_ROBOT.read_text().rstrip() + DEADMAN)
        system.start_node("vla_policy", EXECUTOR, contract=contract, autostart=True)
        system.wait_state("HOLDING", cause="waiting for an action chunk")

    def hold(self) -> None:
        self.joystick.publish(Joy(buttons=self.pressed))

    def first_faulty_s(self, since: int, is_faulty: Callable[[JointState], bool]) -> float:
        """Header stamp of the first faulty joint state."""

        def first_s() -> float | None:
            faulty = filter(is_faulty, self.measured.messages[since:])
            return next(map(stamp_s, faulty), None)

        return float(self.system.wait(first_s, "a faulty joint state"))

    def recover(self) -> None:
        self.robot.silent.clear()
        self.robot.offsets_s.clear()
        self.robot.said.clear()
        self.pressed = [1]
        self.system.rest()


def withdrawn_chunk(rig: Rig) -> float:
    began_s = time.time()
    rig.robot.send(rig.robot.chunk(points=0))
    return began_s


def estop(rig: Rig) -> float:
    began_s = time.time()
    rig.system.call(f"/{EXECUTOR}/estop", Trigger)
    return began_s


def released_deadman(rig: Rig) -> float:
    began_s = time.time()
    rig.pressed = [0]
    rig.hold()
    return began_s


def stale_joints(rig: Rig) -> float:
    """From the moment when the last joint state has become too old."""
    rig.robot.silent.add("arm")
    allowed_s = {stream.name: stream.max_age_s for stream in rig.robot.contract.streams}["arm"]
    seen = -1
    while seen != len(rig.measured):  # one may still be on its way
        seen = len(rig.measured)
        time.sleep(0.05)
    return stamp_s(rig.measured.messages[-1]) + allowed_s


def joints_of_the_future(rig: Rig) -> float:
    since, half_s = len(rig.measured), time.time() + HOUR_S / 2
    rig.robot.offsets_s["arm"] = HOUR_S
    return rig.first_faulty_s(since, lambda m: stamp_s(m) > half_s) - HOUR_S


def jumping_encoder(rig: Rig) -> float:
    """A joint that is said to be far from its command."""
    since, joint = len(rig.measured), "elbow_joint"
    rig.robot.said[joint] = 2.0
    return rig.first_faulty_s(since, lambda m: m.position[m.name.index(joint)] == 2.0)


FAULTS: list[Callable[[Rig], float]] = [
    withdrawn_chunk,
    stale_joints,
    joints_of_the_future,
    jumping_encoder,
    estop,
    released_deadman,
]


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("reaction")
    with System(folder) as system:
        yield Rig(system, folder)


@pytest.mark.timeout(60 + 5 * REPEATS)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_P3_a_fault_in_motion_is_answered_by_braking(
    rig: Rig, fault: Callable[[Rig], float], record_testsuite_property: Record
) -> None:
    system, seconds = rig.system, []
    period_s = 1 / rig.robot.contract.control_rate_hz
    for _ in range(REPEATS):
        rig.recover()
        since = len(system.commanded) + 2
        start_steady_motion(system, rig.robot)
        time.sleep(random.random() * period_s)  # else it would follow a command each time
        fault_s = fault(rig)
        seconds.append(wait_braking(system, rig.robot, since, fault_s) - fault_s)
    rig.recover()
    name = f"P3 {fault.__name__.replace('_', ' ')}, to the first command that brakes"
    allowed_s = {99: period_s + 0.02, 100: 0.1}
    record_times(record_testsuite_property, name, seconds, allowed_s)
    assert check_limits(rig.robot.contract, system) > 0
