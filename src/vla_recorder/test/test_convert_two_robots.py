"""A bag of two robots: one dataset is of one of them, whole, or it is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from convert_bags import (
    ARM,
    COMMANDED,
    MARKS,
    SECOND,
    T0,
    TOP,
    TYPES,
    Lab,
    Sent,
    changed,
    image,
    joints,
    mark,
    picture,
    recording,
    stamp_of,
)

from vla_core.dataset.read import open_dataset


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def under(namespace: str, sent: list[Sent], *topics: str) -> list[Sent]:
    """Those topics, or all, in a namespace."""
    return [
        replace(one, topic=namespace + one.topic) if not topics or one.topic in topics else one
        for one in sent
    ]


def in_order(*parts: list[Sent]) -> list[Sent]:
    return sorted((one for part in parts for one in part), key=lambda one: one.received_ns)


def of_robot(name: str, one: Sent) -> Sent:
    status = TYPES.types[one.type]
    values = one.message.values
    return replace(one, message=status(0, one.message.name, one.message.message, name, values))


@pytest.mark.parametrize("left", ["/left", ""])
def test_an_arm_of_one_robot_and_a_camera_of_another_are_refused(
    lab: Lab, left: str, capsys: Any
) -> None:
    sent = under("/right", under(left, recording(0.5), ARM, COMMANDED), TOP)
    assert lab.convert(lab.bag(sent)) == 1
    error = capsys.readouterr().err
    assert "not in one namespace" in error
    assert f"{ARM} in {left or '/'}" in error
    assert f"{TOP} in /right" in error


def test_two_whole_robots_are_refused_by_name(lab: Lab, capsys: Any) -> None:
    sent = in_order(under("/left", recording(0.5)), under("/right", recording(0.5)))
    assert lab.convert(lab.bag(sent)) == 1
    assert "/left, /right" in capsys.readouterr().err


def test_the_robot_that_is_whole_is_taken_and_nothing_of_the_other(lab: Lab) -> None:
    def other(index: int, one: Sent) -> Sent:
        return joints(one.topic, stamp_of(one), {"lift": -99.0, "turn": -99.0})

    right = [one for one in changed(recording(1), COMMANDED, other) if one.topic != TOP]
    marks = [mark("start", "b", T0 + SECOND // 2, task="no"), mark("stop", "b", T0 + 6 * 10**8)]
    sent = in_order(under("/left", recording(1)), under("/right", [*right, *marks]))
    assert lab.convert(lab.bag(sent)) == 0
    assert {stream["topic"] for stream in lab.run()["bags"][0]["streams"].values()} == {
        *(f"/left{ARM}", f"/left{TOP}")
    }
    (episode,) = open_dataset(lab.output).episodes
    assert (episode.length, episode.tasks) == (20, ("lift the cube",))
    assert min(row[0] for row in episode.read()["action"].to_pylist()) >= 0
    assert lab.run()["bags"][0]["marks_of_other_robots"] == {f"/right{MARKS}": 2}


def test_what_was_commanded_to_another_robot_is_no_action(lab: Lab) -> None:
    right = [one for one in recording(0.5) if one.topic != TOP]
    left = [one for one in recording(0.5) if one.topic != COMMANDED]
    assert lab.convert(lab.bag(in_order(left, under("/right", right)))) == 1


def test_marks_of_a_robot_of_another_name_are_not_used(lab: Lab, capsys: Any) -> None:
    mine = [mark("start", "a", T0), mark("stop", "a", T0 + SECOND)]
    theirs = [mark("start", "b", T0 + SECOND // 2, task="no"), mark("stop", "b", T0 + 6 * 10**8)]
    sent = in_order(recording(1.5), mine, [of_robot("other", one) for one in theirs])
    assert lab.convert(lab.bag(sent)) == 0
    assert [(e["episode"], e["cut"]) for e in lab.run()["episodes"]] == [("a", "")]


def test_a_second_camera_of_the_same_name_elsewhere_does_no_harm(lab: Lab) -> None:
    spare = [image(TOP, T0 + n * SECOND // 20, picture(99)) for n in range(10)]
    assert lab.convert(lab.bag(in_order(recording(0.5), under("/spare", spare)))) == 0
    assert lab.run()["bags"][0]["streams"]["top"]["topic"] == TOP
