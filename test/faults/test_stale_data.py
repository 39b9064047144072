"""P2: joint states and images that stop, or whose stamps are wrong, hold the robot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from vla_system_tests.commands import check_latched_until_resume, check_limits
from vla_system_tests.figures import Record
from vla_system_tests.motion import stamp_s
from vla_system_tests.stand_in_robot import StandInRobot
from vla_system_tests.system import POLICY, SMALL_ROBOT, System

from vla_core.contract import load_contract

CONTRACT = load_contract(SMALL_ROBOT)
HOUR_S = 3600.0


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Executor and policy, for all tests of this file."""
    with System(tmp_path_factory.mktemp("log")) as running:
        running.start_executor()
        running.start_faulty_policy("sway")
        yield running


@pytest.fixture(scope="module")
def robot(system: System) -> StandInRobot:
    return StandInRobot(system)


@pytest.fixture
def swaying(system: System, robot: StandInRobot) -> StandInRobot:
    """The stand-in robot without a fault, moved by executor and policy."""
    for faulty in (robot.silent, robot.frozen, robot.offsets_s, robot.every):
        faulty.clear()
    system.wait_ticks(1)
    system.resume()
    system.wait(lambda: system.state() == "RUNNING", "RUNNING")
    system.wait_commands(20)
    return robot


@pytest.mark.parametrize("fault", ["silent", "frozen"])
def test_P2_a_camera_that_stops_or_repeats_its_last_image_makes_the_policy_withdraw(
    system: System, swaying: StandInRobot, fault: str, record_testsuite_property: Record
) -> None:
    since, chunks = len(system.status), len(system.chunks)
    went_stale = system.wait_counter(POLICY, "went_stale", 0)
    images = system.watch("/wrist_camera/image_raw", Image, qos_profile_sensor_data)
    system.wait(lambda: len(images), "an image")
    getattr(swaying, fault).add("wrist_rgb")
    system.wait_state("HOLDING", since=since, cause="waiting for an action chunk")
    system.wait_state("LATCHED", since=since)
    withdrawn = next(chunk for chunk in system.chunks.messages[chunks:] if not chunk.points)
    [camera] = [c for c in CONTRACT.cameras if c.name == "wrist_rgb"]
    late_s = stamp_s(withdrawn) - max(map(stamp_s, images.messages)) - camera.max_age_s
    record_testsuite_property(
        f"P2 {fault} camera: chunks withdrawn after its age limit", f"{late_s * 1e3:.0f} ms"
    )
    assert system.wait_counter(POLICY, "went_stale", went_stale + 1)
    getattr(swaying, fault).clear()
    check_latched_until_resume(system, CONTRACT)


def test_P2_dropped_images_within_the_age_limit_do_not_stop_the_robot(
    system: System, swaying: StandInRobot
) -> None:
    swaying.every["wrist_rgb"] = 4  # 2.5 of 10 Hz; an image may be 1 s old
    since, chunks = len(system.status), len(system.chunks)
    system.wait(lambda: len(system.chunks) > chunks + 12, "chunks")
    assert all(status.message == "RUNNING" for status in system.status.messages[since:])
    assert check_limits(CONTRACT, system) > 0


@pytest.mark.parametrize("offset_s", [HOUR_S, -HOUR_S])
@pytest.mark.parametrize("source", ["arm", "base_rgb"])
def test_P2_stamps_an_hour_off_hold_then_latch_until_resume(
    system: System, swaying: StandInRobot, source: str, offset_s: float
) -> None:
    since = len(system.status)
    swaying.offsets_s[source] = offset_s
    system.wait_state("HOLDING", since=since)
    system.wait_state("LATCHED", since=since)
    swaying.offsets_s.clear()
    check_latched_until_resume(system, CONTRACT)
