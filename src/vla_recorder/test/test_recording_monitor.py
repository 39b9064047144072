"""What of an episode breaks its contract, and what does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from recording_rig import BEGIN_NS, SECOND_NS, Rig

from vla_core.errors import CodecError
from vla_recorder.recording.monitor import faults, figures

LENGTH_S = 4.0


def play(
    rig: Rig,
    *,
    skip: Callable[[str, float], bool] = lambda _name, _at_s: False,
    picture: Callable[[float], bytes] = lambda at_s: b"%f" % at_s,
    stamp: Callable[[str, float], float] = lambda _name, at_s: at_s,
    move: bool = True,
) -> None:
    """An episode at the contract's rates: joints at 50 Hz, a camera at 10 Hz."""
    for tick in range(round(50 * LENGTH_S)):
        at_s = tick / 50
        rig.elbow = at_s / 10 if move else 0.0
        for name in ("arm", "commanded", *(("eye",) if tick % 5 == 0 else ())):
            if not skip(name, at_s):
                body = picture(at_s) if name == "eye" else b"%f" % at_s
                rig.feed(name, at_s, body, stamp_s=stamp(name, at_s), number=tick + 1)


def judge(rig: Rig, *, action_required: bool = True) -> str:
    return faults(
        rig.monitors,
        began_ns=BEGIN_NS,
        ended_ns=BEGIN_NS + round(LENGTH_S * SECOND_NS),
        frozen_ns=SECOND_NS // 2,
        action_required=action_required,
    )


def test_an_episode_as_the_contract_says_is_good() -> None:
    rig = Rig()
    play(rig)
    assert judge(rig) == ""


@pytest.mark.parametrize(
    ("skip", "fault"),
    [
        (lambda name, _: name == "eye", "eye: missing"),
        (lambda name, at_s: name == "arm" and 1 < at_s < 1.5, "arm: a gap of 0.5"),
        (lambda name, at_s: name == "eye" and at_s > 3, "eye: a gap of 1.0"),
        (lambda name, at_s: name == "eye" and at_s < 1.5, "eye: begins 1.5 s late"),
        (lambda name, at_s: name == "arm" and round(at_s * 50) % 2, "arm: 25.0 Hz, the contract"),
        (lambda name, _: name == "commanded", "no action: executor_node/commanded, /commands"),
    ],
    ids=("missing", "gap", "stops early", "begins late", "slow", "no action"),
)
def test_what_is_not_there_makes_an_episode_bad(
    skip: Callable[[str, float], bool], fault: str
) -> None:
    rig = Rig()
    play(rig, skip=skip)
    assert fault in judge(rig)


def test_an_action_may_be_left_out_when_it_is_not_required() -> None:
    rig = Rig()
    play(rig, skip=lambda name, _: name == "commanded")
    assert judge(rig, action_required=False) == ""


def test_a_camera_that_repeats_itself_while_joints_move_is_frozen() -> None:
    rig = Rig()
    play(rig, picture=lambda at_s: b"%f" % (at_s if at_s < 1 or at_s > 2 else 1))
    assert judge(rig) == "eye: the same picture for 1.0 s while joints moved"
    assert rig["eye"].counts.repeated == 10


def test_a_camera_that_was_frozen_before_the_episode_is_frozen() -> None:
    rig = Rig()
    play(rig, picture=lambda _: b"frozen")
    rig["eye"].restart()
    rig["arm"].restart()
    play(rig, picture=lambda _: b"frozen")
    assert "eye: the same picture" in judge(rig)


def test_a_still_scene_is_not_a_frozen_camera() -> None:
    rig = Rig()
    play(rig, picture=lambda _: b"still", move=False)
    assert rig["eye"].counts.repeated == 39
    assert judge(rig) == ""


def test_a_difference_at_the_end_of_a_large_picture_is_seen() -> None:
    rig = Rig()
    play(rig, picture=lambda at_s: bytes(500_000) + b"%f" % at_s)
    assert rig["eye"].counts.repeated == 0


@pytest.mark.parametrize(
    ("stamp", "fault"),
    [
        (lambda name, at_s: 2 - at_s / 10 if name == "arm" else at_s, "stamps run backwards"),
        (lambda name, at_s: -BEGIN_NS / SECOND_NS if name == "eye" else at_s, "without a stamp"),
    ],
    ids=("backwards", "zero"),
)
def test_stamps_that_are_no_times_make_an_episode_bad(
    stamp: Callable[[str, float], float], fault: str
) -> None:
    rig = Rig()
    play(rig, stamp=stamp)
    assert fault in judge(rig)


def test_a_message_that_is_not_the_contracts_makes_an_episode_bad() -> None:
    rig = Rig()
    rig.refusal = CodecError("message lacks joints of the contract", found="wrist")
    play(rig)
    assert judge(rig) == "arm: message lacks joints of the contract: wrist"


def test_an_image_of_another_length_is_looked_at_once() -> None:
    rig = Rig()
    for tick, size in enumerate((9, 9, 9, 5, 5, 9)):
        rig.feed("eye", tick / 10, bytes(size))
    assert rig.checked["eye"] == [9, 5, 9]


def test_messages_that_the_recorder_dropped_make_an_episode_bad() -> None:
    rig = Rig()
    play(rig)
    rig["eye"].counts.dropped = 2
    assert judge(rig) == "eye: 2 dropped, the disk is too slow"


def test_losses_are_counted_by_number_unless_there_are_several_publishers() -> None:
    for several, lost in ((False, 3), (True, 0)):
        rig = Rig()
        rig["arm"].several = several
        for number in (7, 8, 11, 13):
            rig.feed("arm", number / 50, number=number)
        rig.feed("arm", 1.0, number=1)  # a new publisher
        assert rig["arm"].counts.lost == lost


def test_figures_show_rates_ages_and_skew_of_the_last_window() -> None:
    rig = Rig()
    play(rig, stamp=lambda name, at_s: at_s - (0.030 if name == "eye" else 0.010))
    values, wrong = figures(rig.monitors, LENGTH_S)
    assert (values["rate_hz/arm"], values["rate_hz/eye"]) == ("50.0", "10.0")
    assert (values["age_ms/arm"], values["age_ms/eye"]) == ("10.0", "30.0")
    assert values["skew_ms"] == "20.0"
    assert wrong == []
    values, wrong = figures(rig.monitors, 1.0)
    assert wrong == ["arm: 0.0 Hz of 50", "eye: 0.0 Hz of 10"]
