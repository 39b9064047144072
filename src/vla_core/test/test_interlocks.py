"""People: nothing moves without the deadman, and whoever takes over is alone."""

from __future__ import annotations

import numpy as np
import pytest
from executor_rig import MS, Rig, states
from robot_contract import PEOPLE, TEXT

from vla_core.contract import parse_contract
from vla_core.errors import ChunkError, ContractError
from vla_core.execution import State

DEADMAN, TAKEOVER = (line + "\n" for line in PEOPLE.splitlines())


def pressed() -> Rig:
    """In the middle of a long chunk, the deadman pressed."""
    rig = Rig(TEXT + DEADMAN)
    rig.press(True)
    return rig.running()


def driven(rig: Rig, ticks: int) -> list[State]:
    """A person drives the robot for so many ticks."""
    found = []
    for _ in range(ticks):
        rig.execution.interlocks.drive(rig.mono_ns)
        found.append(rig.tick())
    return states(found)


# --- deadman ---


@pytest.mark.parametrize("is_pressed", [None, False])
def test_nothing_moves_before_the_deadman_is_pressed(is_pressed: bool | None) -> None:
    rig = Rig(TEXT + DEADMAN)
    rig.press(is_pressed)
    rig.tick()
    rig.accept(steps=40)
    ticks = rig.ticks(100)
    assert states(ticks) == [State.HOLDING]
    assert all(tick.command is None for tick in ticks)


def test_a_released_deadman_brakes_within_one_tick_and_holds_without_a_latch() -> None:
    rig = pressed()
    rig.press(False)
    tick = rig.tick()
    assert (tick.state, tick.cause) == (State.RAMPING, "the deadman is not pressed")
    ticks = rig.ticks(200)
    assert states(ticks)[-1] is State.HOLDING
    rig.assert_ramped_to_rest()
    assert all(tick.command is None for tick in ticks[51:])  # silent after 0.5 s


def test_a_deadman_pressed_again_needs_an_observation_from_afterwards() -> None:
    rig = pressed()
    before_ns = rig.now_ns
    rig.press(False)
    rig.ticks(30)
    rig.accept(steps=40)  # not wanted now
    assert rig.execution.counts["chunks_not_wanted"] == 1
    rig.press(True)
    assert rig.tick().cause == "waiting for an action chunk"
    with pytest.raises(ChunkError, match="before motion was allowed"):
        rig.accept(steps=40, stamp_ns=before_ns + 100 * MS)
    rig.accept(steps=40)
    assert rig.tick().state is State.RUNNING


def test_a_silent_deadman_brakes_after_its_age_and_then_latches() -> None:
    rig = pressed()
    rig.is_pressed = None
    ticks = rig.ticks(20)
    assert states(ticks) == [State.RUNNING]  # 0.2 s
    tick = rig.tick()
    assert (tick.state, tick.cause) == (State.RAMPING, "the deadman is silent")
    assert states(rig.ticks(60))[-1] is State.LATCHED
    rig.press(True)
    assert states(rig.ticks(20)) == [State.LATCHED]  # no motion by itself


# --- takeover ---


def test_p12_a_takeover_brakes_then_leaves_the_robot_alone() -> None:
    rig = Rig(TEXT + TAKEOVER).running()
    assert driven(rig, 60) == [State.RAMPING, State.HOLDING]
    rig.assert_ramped_to_rest()
    assert rig.execution.is_taken_over
    count = len(rig.published)
    assert driven(rig, 100) == [State.HOLDING]  # and never latches
    assert len(rig.published) == count


def test_p12_after_a_takeover_motion_starts_from_where_the_person_left_the_robot() -> None:
    rig = Rig(TEXT + TAKEOVER).running()
    driven(rig, 60)
    during_ns = rig.now_ns
    rig.pose = np.array([-1.0, 0.5, 0.0])
    ticks = rig.ticks(100)  # 0.3 s of it still counts as driven
    assert ticks[0].cause == "a person has taken over"
    assert ticks[-1].cause == "waiting for an action chunk"
    assert not rig.execution.is_taken_over
    assert all(tick.command is None for tick in ticks)
    with pytest.raises(ChunkError, match="before motion was allowed"):
        rig.accept(to=rig.pose, steps=40, stamp_ns=during_ns)
    rig.accept(to=rig.pose)
    np.testing.assert_allclose(rig.tick().command, rig.pose, atol=1e-12)


def test_a_takeover_does_not_release_a_latch() -> None:
    rig = Rig(TEXT + TAKEOVER).running()
    rig.execution.latch("stopped by ~/estop")
    assert driven(rig, 60) == [State.RAMPING, State.LATCHED]
    assert states(rig.ticks(60)) == [State.LATCHED]


def test_without_these_keys_nobody_is_asked() -> None:
    rig = Rig().running()
    rig.execution.interlocks.press(False, rig.mono_ns)
    rig.execution.interlocks.drive(rig.mono_ns)
    assert rig.tick().state is State.RUNNING


# --- the contract ---


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("/joy", "/arm", "stands twice in topics"),  # a command topic
        ("sensor_msgs/msg/Joy", "sensor_msgs/msg/JointState", "which one field"),
        ("buttons[4]", "buttons[-1]", "field path is not valid"),
        ("buttons[4]", "__class__", "field path is not valid"),
        ("max_age_s: 0.2", "max_age_s: 3", "out of range"),
        ("topic: /teleop, ", "", "missing key"),
        ("topic: /teleop", "topic: /teleop, field: data", "unknown key"),
        ("/teleop", "/grip", "stands twice in topics"),
    ],
)
def test_a_topic_that_cannot_serve_is_refused(old: str, new: str, what: str) -> None:
    assert old in PEOPLE
    with pytest.raises(ContractError, match=what):
        parse_contract(TEXT + PEOPLE.replace(old, new), "robot.yaml")
