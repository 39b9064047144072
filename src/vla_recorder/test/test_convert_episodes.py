"""Marks to episodes."""

from __future__ import annotations

from vla_recorder.convert.episodes import episodes
from vla_recorder.marks import Mark


def mark(event: str, episode: str, at: int, **values: str) -> Mark:
    return Mark(event=event, episode=episode, time_ns=at, number=at, received_ns=at, values=values)


def test_a_bag_without_marks_is_one_episode_with_the_bags_label() -> None:
    (only,) = episodes([], {"task": "fold", "success": "true", "bad": ""})
    assert (only.episode, only.start, only.stop, only.cut) == ("", None, None, "")
    assert (only.label.task, only.label.success) == ("fold", True)


def test_starts_and_stops_cut_a_long_recording() -> None:
    marks = [mark("start", "a", 1, task="x"), mark("stop", "a", 5)]
    marks += [mark("start", "b", 7, task="y"), mark("stop", "b", 9, success="false")]
    one, two = episodes(marks, {"operator": "ann"})
    assert (one.start, one.stop) == (marks[0], marks[1])
    assert (one.label.task, two.label.task, two.label.operator) == ("x", "y", "ann")
    assert one.label.success is None
    assert two.label.success is False


def test_a_label_after_the_stop_counts_and_a_discard_too() -> None:
    marks = [mark("start", "a", 1), mark("stop", "a", 5), mark("label", "a", 6, success="true")]
    marks += [mark("start", "b", 7), mark("discard", "b", 8), mark("start", "c", 9)]
    one, two, three = episodes(marks, {})
    assert one.label.success is True
    assert two.discarded
    assert two.cut == ""
    assert three.cut == "no stop mark"


def test_an_episode_that_another_one_interrupts_is_cut_there() -> None:
    marks = [mark("start", "a", 1), mark("start", "b", 4), mark("stop", "b", 6)]
    one, two = episodes(marks, {})
    assert one.stop == marks[1]
    assert one.cut == "another one began"
    assert two.cut == ""


def test_marks_that_come_twice_count_once() -> None:
    marks = [mark("start", "a", 1), mark("start", "a", 2), mark("stop", "a", 5)]
    marks += [mark("stop", "a", 8)]
    (one,) = episodes(marks, {})
    assert (one.start, one.stop) == (marks[0], marks[2])


def test_a_stop_without_a_start_is_an_episode_from_the_begin_of_the_bag() -> None:
    (one,) = episodes([mark("stop", "a", 5, bad="too slow")], {})
    assert one.start is None
    assert one.label.bad == "too slow"


def test_a_label_of_an_unknown_episode_makes_none() -> None:
    (one,) = episodes([mark("label", "z", 5, task="other")], {"task": "mine"})
    assert (one.episode, one.label.task) == ("", "mine")


def test_a_label_that_was_corrected_in_the_metadata_after_the_stop_counts() -> None:
    marks = [mark("start", "a", 1), mark("label", "a", 4, success="true"), mark("stop", "a", 5)]
    (one,) = episodes(marks, {"episode": "a", "success": "false"})
    assert one.label.success is False
    (other,) = episodes(marks, {"episode": "b", "success": "false"})
    assert other.label.success is True


def test_metadata_of_the_start_take_nothing_from_what_marks_say() -> None:
    marks = [mark("start", "a", 1), mark("label", "a", 4, success="true")]
    marks += [mark("stop", "a", 5, bad="shaky")]
    (one,) = episodes(marks, {"episode": "a", "success": "", "bad": ""})
    assert (one.label.success, one.label.bad) == (True, "shaky")


def test_pairs_of_one_id_are_told_apart_by_their_order() -> None:
    for name in ("", "a"):
        first = [mark("start", name, 1, task="one"), mark("stop", name, 5)]
        second = [mark("start", name, 7, task="two"), mark("stop", name, 9, bad="shaky")]
        again = [*first, *second, *first, *second]
        one, two = episodes(again, {})
        assert (one.start, one.stop, one.label.task, one.label.bad) == (*first, "one", "")
        assert (two.start, two.stop, two.label.task, two.label.bad) == (*second, "two", "shaky")


def test_a_pair_without_an_id_and_without_a_stop_is_cut_by_the_next() -> None:
    marks = [mark("start", "", 1), mark("start", "", 4), mark("stop", "", 6)]
    one, two = episodes(marks, {})
    assert (one.cut, two.cut, two.stop) == ("another one began", "", marks[2])


def test_metadata_that_name_no_episode_label_none() -> None:
    (one,) = episodes([mark("start", "", 1, task="mine"), mark("stop", "", 2)], {"task": "other"})
    assert one.label.task == "mine"
