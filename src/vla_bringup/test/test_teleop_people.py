"""People who drive: keys, joystick and leader arms become targets that do not run away."""

import numpy as np
import pytest
import sim_contract
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vla_bringup.teleop.jogging import Jog
from vla_bringup.teleop.joystick import Joystick
from vla_bringup.teleop.keyboard import PRESS_NS, Keyboard, Request
from vla_bringup.teleop.leader import MAX_AGE_NS, Leader, LeaderTopic, parse_scales, parse_topics
from vla_core.contract import load_contract, parse_contract
from vla_core.errors import ParameterError
from vla_core.safety import Limits

SMALL = parse_contract(sim_contract.SMALL)  # shoulder, elbow, gripper at 10 Hz
LIMITS = Limits.of(SMALL)
ALOHA = load_contract(next(path for path in sim_contract.FILES if path.stem == "aloha"))
BASE = parse_contract(
    sim_contract.SMALL.replace(
        'unit: "1", range: [0, 1], velocity: 4,', "unit: m/s, range: [-1, 2],"
    ).replace("kind: gripper", "kind: velocity")
)
MEASURED = np.array([0.0, -1.5, 0.5])
NS = 1_000_000_000


# --- jogging ---


def test_a_full_wish_is_the_set_part_of_the_largest_rate() -> None:
    actions = Jog(SMALL, 0.5).actions(MEASURED, np.array([1.0, 0.0, -1.0]))
    np.testing.assert_allclose(np.diff(actions, axis=0)[0], [0.5 * 2 * 0.1, 0, -0.5 * 4 * 0.1])
    np.testing.assert_array_equal(actions[0], MEASURED)


def test_each_call_goes_on_where_the_last_one_would_have_come() -> None:
    jog, wish = Jog(SMALL, 0.1), np.array([1.0, -1.0, 1.0])
    first = jog.actions(MEASURED, wish)
    np.testing.assert_allclose(jog.actions(MEASURED, wish)[0], first[1])
    stopped = jog.actions(MEASURED, np.zeros(3))
    np.testing.assert_allclose(stopped[0], MEASURED + 2 * (first[1] - MEASURED))
    np.testing.assert_array_equal(stopped, np.tile(stopped[0], (len(stopped), 1)))


@given(st.lists(arrays(float, 3, elements=st.floats(-1, 1)), min_size=1, max_size=40))
def test_the_target_stays_within_limits_and_near_the_robot(wishes: list[np.ndarray]) -> None:
    jog = Jog(SMALL, 1.0)
    for wish in wishes:
        actions = jog.actions(MEASURED, wish)
        assert (actions >= LIMITS.lower).all()
        assert (actions <= LIMITS.upper).all()
        assert (abs(actions[0] - MEASURED) <= 0.5 * LIMITS.start_offset).all()


def test_forgotten_means_from_the_measured_pose() -> None:
    jog = Jog(SMALL, 1.0)
    jog.actions(MEASURED, np.ones(3))
    jog.forget()
    np.testing.assert_array_equal(jog.actions(MEASURED + 0.1, np.zeros(3))[0], MEASURED + 0.1)


def test_a_joint_that_is_a_velocity_is_driven_and_stops() -> None:
    jog = Jog(BASE, 0.5)
    assert (jog.actions(np.array([0, -1.5, 0.0]), np.array([0, 0, 1.0]))[:, 2] == 1.0).all()
    assert (jog.actions(np.array([0, -1.5, 0.0]), np.array([0, 0, -1.0]))[:, 2] == -0.5).all()
    assert (jog.actions(np.array([0, -1.5, 0.0]), np.zeros(3))[:, 2] == 0.0).all()


# --- keyboard ---


def test_a_key_moves_its_joint_for_a_moment_and_longer_while_it_repeats() -> None:
    keyboard = Keyboard(SMALL, 0.2)
    assert keyboard.press("w", 0) is None
    np.testing.assert_array_equal(keyboard.wish(PRESS_NS - 1), [0, 1, 0])
    keyboard.press("w", PRESS_NS - 1)
    np.testing.assert_array_equal(keyboard.wish(2 * PRESS_NS - 2), [0, 1, 0])
    np.testing.assert_array_equal(keyboard.wish(2 * PRESS_NS), [0, 0, 0])


def test_the_other_row_moves_back_and_two_joints_move_together() -> None:
    keyboard = Keyboard(SMALL, 0.2)
    for key in "ae":
        keyboard.press(key, 0)
    np.testing.assert_array_equal(keyboard.wish(1), [-1, 0, 1])


def test_space_stops_and_enter_resumes() -> None:
    keyboard = Keyboard(SMALL, 0.2)
    keyboard.press("q", 0)
    assert keyboard.press(" ", 1) is Request.STOP
    assert not keyboard.wish(2).any()
    assert keyboard.press("\n", 3) is Request.RESUME


def test_aloha_has_a_page_for_each_arm() -> None:
    keyboard = Keyboard(ALOHA, 0.2)
    assert [len(page) for page in keyboard.pages] == [7, 7]
    assert "u/j left_gripper" in keyboard.help()
    keyboard.press("\t", 0)
    keyboard.press("q", 0)
    assert keyboard.wish(1)[list(ALOHA.action_names).index("right_waist")] == 1
    assert "right_waist" in keyboard.help()


def test_digits_set_the_speed_and_other_keys_do_nothing() -> None:
    keyboard = Keyboard(SMALL, 0.2)
    assert all(keyboard.press(key, 0) is None for key in "7zpöA[\x1b")
    assert keyboard.speed == 0.7
    assert not keyboard.wish(1).any()


# --- joystick ---

CONTROLS = "shoulder=axes[0] elbow=-axes[1] gripper=buttons[0] gripper=-buttons[1] | elbow=axes[0]"


def joystick() -> Joystick:
    return Joystick(SMALL, CONTROLS, deadman=4, next_page=5)


def test_axes_and_buttons_move_joints_while_the_deadman_is_pressed() -> None:
    wish = joystick().wish([0.5, 0.25], [0, 1, 0, 0, 1, 0])
    np.testing.assert_allclose(wish, [0.5, -0.25, -1])


def test_without_the_deadman_nothing_moves() -> None:
    assert not joystick().wish([1.0, 1.0], [1, 0, 0, 0, 0, 0]).any()
    assert not joystick().wish([1.0, 1.0], []).any()


def test_what_a_joystick_lacks_or_garbles_is_at_rest() -> None:
    np.testing.assert_allclose(joystick().wish([float("nan")], [0, 0, 0, 0, 1]), [0, 0, 0])
    np.testing.assert_allclose(joystick().wish([0.05], [0, 0, 0, 0, 1]), [0, 0, 0])


def test_a_button_goes_to_the_next_page_once_while_it_is_down() -> None:
    stick = joystick()
    for _ in range(3):
        np.testing.assert_allclose(stick.wish([0.5], [0, 0, 0, 0, 1, 1]), [0, 0.5, 0])
    stick.wish([0.0], [0, 0, 0, 0, 1, 0])
    np.testing.assert_allclose(stick.wish([0.5], [0, 0, 0, 0, 1, 1]), [0.5, 0, 0])


@pytest.mark.parametrize("text", ["", "shoulder=axes[0] |", "tail=axes[0]", "shoulder=axes[-1]"])
def test_controls_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ParameterError, match=r"joystick_controls.*axes\["):
        Joystick(SMALL, text, deadman=4, next_page=5)


# --- leader arms ---


def leader(**changed: object) -> Leader:
    return Leader(SMALL, **{"scales": {}, "speed": 0.5, "soft_start_s": 1.0, **changed})


def test_the_robot_goes_over_softly_and_then_mirrors() -> None:
    arms = leader()
    assert arms.hear(["elbow", "shoulder"], [-1.2, 0.3], "", 0)
    positions = [arms.actions(MEASURED, t * NS // 10)[-1, 0] for t in range(11)]
    assert positions[0] == 0.0
    assert max(np.diff(positions)) < 0.3 * 0.15 * 1.01
    assert positions[-1] == pytest.approx(0.3)
    arms.hear(["shoulder"], [0.5], "", NS)
    np.testing.assert_allclose(arms.actions(MEASURED, NS + NS // 10)[-1], [0.5, -1.2, 0.5])


def test_a_far_leader_takes_as_long_as_the_speed_wants() -> None:
    arms = leader(speed=0.1, soft_start_s=0.0)
    arms.hear(["shoulder"], [0.8], "", 0)
    arms.actions(MEASURED, 0)
    assert arms.actions(MEASURED, 2 * NS)[-1, 0] == pytest.approx(0.4)  # of 0.8 rad at 0.2 rad/s
    assert arms.actions(MEASURED, 4 * NS)[-1, 0] == pytest.approx(0.8)


def test_actions_begin_where_the_last_ones_led_to() -> None:
    arms = leader(soft_start_s=0.0)
    arms.hear(["shoulder"], [0.0], "", 0)
    last = arms.actions(MEASURED, 0)[-1]
    arms.hear(["shoulder"], [0.1], "", 1)
    actions = arms.actions(MEASURED, NS // 10)
    np.testing.assert_array_equal(actions[0], last)
    assert actions[1, 0] == 0.1


def test_scales_prefixes_and_limits() -> None:
    arms = leader(soft_start_s=0.0, scales={"shoulder": (-2.0, 0.1)})
    arms.hear(["lder", "bow"], [0.2, 0.0], "shou", 0)
    arms.hear(["bow"], [0.0], "el", 0)
    np.testing.assert_allclose(arms.actions(MEASURED, 9 * NS)[-1], [0.0, -1.5, 0.5])
    np.testing.assert_allclose(arms.actions(MEASURED, 99 * NS)[-1], [-0.3, -1.0, 0.5])


def test_a_leader_that_falls_silent_is_lost_and_met_softly_again() -> None:
    arms = leader()
    assert not arms.is_alive(0)
    arms.hear(["shoulder"], [0.3], "", 0)
    arms.hear(["elbow"], [-1.2], "", MAX_AGE_NS)
    assert arms.is_alive(MAX_AGE_NS)
    assert not arms.is_alive(MAX_AGE_NS + 1)
    arms.actions(MEASURED, 0)
    arms.forget()
    np.testing.assert_array_equal(arms.actions(MEASURED + 0.2, 5 * NS)[-1], MEASURED + 0.2)


@pytest.mark.parametrize(
    ("names", "positions"),
    [(["shoulder"], [float("nan")]), (["shoulder", "elbow"], [0.0]), (["tail"], [0.0]), ([], [])],
)
def test_a_joint_state_that_cannot_be_followed_is_left(
    names: list[str], positions: list[float]
) -> None:
    arms = leader()
    assert not arms.hear(names, positions, "", 0)
    assert not arms.is_alive(0)


def test_topics_and_scales_are_read() -> None:
    assert parse_topics("/leader left_=/l/joint_states") == [
        LeaderTopic(topic="/leader", prefix=""),
        LeaderTopic(topic="/l/joint_states", prefix="left_"),
    ]
    found = parse_scales("elbow=-1 gripper=2.5,-0.1", SMALL.action_names)
    assert found == {"elbow": (-1.0, 0.0), "gripper": (2.5, -0.1)}


@pytest.mark.parametrize("text", ["", "left_="])
def test_no_topic_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="leader_topics"):
        parse_topics(text)


@pytest.mark.parametrize("text", ["tail=1", "elbow=x", "elbow"])
def test_a_scale_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="leader_scales"):
        parse_scales(text, SMALL.action_names)
