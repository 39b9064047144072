"""Requests in the wrong state, and parameters in motion: one documented answer each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger
from vla_system_tests.commands import check_limits, is_silent
from vla_system_tests.motion import start_steady_motion
from vla_system_tests.stand_in_robot import StandInRobot
from vla_system_tests.system import EXECUTOR, SMALL_ROBOT, System

from vla_core.contract import load_contract

CONTRACT = load_contract(SMALL_ROBOT)
REFUSED = {
    "contract": "/tmp/other.yaml",
    "strategy": "temporal_ensemble",
    "blend_s": 0.5,
    "execute_steps": 3,
    "dry_run": True,
    "autostart": False,
    "no_such_parameter": 1,
    "speed_percent": 101.0,
}
SPEEDS = (-1.0, float("nan"), float("inf"), "fast", 50)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One executor for all tests of this file."""
    with System(tmp_path_factory.mktemp("log")) as running:
        running.start_executor()
        yield running


@pytest.fixture(scope="module")
def robot(system: System) -> StandInRobot:
    return StandInRobot(system)


@pytest.fixture
def moving(system: System, robot: StandInRobot) -> Iterator[StandInRobot]:
    """A robot in steady motion."""
    with system.executor_restarted():
        robot.pose = dict.fromkeys(robot.pose, 0.0)
    system.wait_state("HOLDING", cause="waiting for an action chunk")
    start_steady_motion(system, robot)
    yield robot
    check_limits(CONTRACT, system)


def set_parameter(system: System, name: str, value: object) -> bool:
    request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
    answer = system.call(f"/{EXECUTOR}/set_parameters", SetParameters, request)
    return bool(answer.results[0].successful)


def estop(system: System) -> str:
    answer = system.call(f"/{EXECUTOR}/estop", Trigger)
    assert answer.success
    return str(answer.message)


def set_dry_run(system: System, value: bool) -> None:
    request = SetBool.Request(data=value)
    assert system.call(f"/{EXECUTOR}/dry_run", SetBool, request).success


def test_parameters_that_must_not_change_in_motion_are_refused_and_motion_goes_on(
    system: System, moving: StandInRobot
) -> None:
    wrong = [*REFUSED.items(), *(("speed_percent", speed) for speed in SPEEDS)]
    assert [item for item in wrong if set_parameter(system, *item)] == []
    system.wait_commands(10)
    assert system.state() == "RUNNING"


def test_P2_a_clock_that_is_changed_by_parameter_in_motion_latches(
    system: System, moving: StandInRobot
) -> None:
    """Without /clock this time stands at zero."""
    assert set_parameter(system, "use_sim_time", True)
    ramping = system.wait_state("RAMPING")
    system.wait_state("LATCHED", since=ramping)
    assert set_parameter(system, "use_sim_time", False)
    moving.send(moving.chunk())
    assert is_silent(system)


def test_P1_a_speed_that_changes_in_motion_keeps_the_limits(
    system: System, moving: StandInRobot
) -> None:
    for percent in (1.0, 100.0, 0.0, 100.0, 30.0):
        assert set_parameter(system, "speed_percent", percent)
        moving.send(moving.chunk())
        system.wait_commands(5)
    assert set_parameter(system, "speed_percent", 100.0)
    assert check_limits(CONTRACT, system) > 0


@pytest.mark.parametrize("label", ["configure", "activate", "cleanup", "no_such_transition"])
def test_a_transition_of_another_state_is_refused_and_motion_goes_on(
    system: System, moving: StandInRobot, label: str
) -> None:
    assert not system.change_executor(label)
    system.wait_commands(10)
    assert system.state() == "RUNNING"


def test_P1_deactivated_in_motion_the_executor_brakes_first(
    system: System, moving: StandInRobot
) -> None:
    assert system.change_executor("deactivate")
    system.wait_state("INACTIVE", cause="deactivated")
    last, before = (message.position for message in system.commanded.messages[:-3:-1])
    assert last == before, "at rest"
    assert check_limits(CONTRACT, system) > 0
    assert system.change_executor("activate")


def test_resume_in_motion_comes_to_rest_and_starts_anew(
    system: System, moving: StandInRobot
) -> None:
    system.rest()
    assert check_limits(CONTRACT, system) > 0
    moving.send(moving.chunk())
    system.wait_commands(10)


def test_a_second_stop_names_the_first_and_dry_run_releases_neither(
    system: System, moving: StandInRobot
) -> None:
    first = estop(system)
    system.wait_state("LATCHED", cause="~/estop")
    assert estop(system) == first
    for value in (True, False):
        set_dry_run(system, value)
        moving.send(moving.chunk())
        assert is_silent(system)
        assert system.state() == "LATCHED"


@pytest.mark.parametrize("through", [("deactivate",), ("deactivate", "cleanup", "configure")])
def test_a_stop_holds_over_a_restart_of_the_node_until_resume(
    system: System, moving: StandInRobot, through: tuple[str, ...]
) -> None:
    estop(system)
    latched = system.wait_state("LATCHED", cause="~/estop")
    assert all(system.change_executor(label) for label in (*through, "activate"))
    system.wait_state("LATCHED", since=latched + 1, cause="~/estop")
    moving.send(moving.chunk())
    assert is_silent(system)
    assert system.counter(EXECUTOR, "estop/RUNNING") == 1
    system.rest()
    moving.send(moving.chunk())
    system.wait_commands(10)


def test_what_is_asked_of_an_inactive_executor_is_kept_and_counted(
    system: System, moving: StandInRobot
) -> None:
    assert system.change_executor("deactivate")
    assert estop(system) == "stopped by ~/estop; ~/resume releases it"
    set_dry_run(system, True)
    since = len(system.status)
    assert all(system.change_executor(label) for label in ("cleanup", "configure", "activate"))
    latched = system.wait_state("LATCHED", since=since, cause="~/estop")
    assert {item.key: item.value for item in system.status.messages[latched].values}[
        "dry_run"
    ] == "True"
    for request in ("estop/INACTIVE", "dry_run/INACTIVE"):
        assert system.wait_counter(EXECUTOR, request) == 1
    set_dry_run(system, False)


def test_resume_while_braking_first_comes_to_rest(system: System, moving: StandInRobot) -> None:
    estop(system)
    system.rest()
    assert check_limits(CONTRACT, system) > 0


def test_dry_run_in_motion_comes_to_rest_and_then_publishes_nothing(
    system: System, moving: StandInRobot
) -> None:
    since = len(system.status)
    set_dry_run(system, True)
    system.wait_state("HOLDING", since=since)
    moving.send(moving.chunk())
    system.wait_state("DRY_RUN", since=since)
    assert is_silent(system)
    set_dry_run(system, False)
