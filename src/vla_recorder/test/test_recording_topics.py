"""Which topics are recorded, and what of the time before an episode."""

from __future__ import annotations

from recording_rig import make_contract, topics

from vla_recorder.recording.pre_roll import Kept, PreRoll
from vla_recorder.recording.topics import Raw, chunk_bytes


def messages(pre_roll: PreRoll, *times: int, size: int = 10) -> None:
    for time in times:
        pre_roll.add(Raw(0, time, bytes(size), 0))


def times(pre_roll: PreRoll, now: int) -> list[int]:
    return [message.received_ns for message in pre_roll.take(now)]


def test_all_of_the_contract_and_what_was_commanded_is_recorded() -> None:
    names = {recorded.topic for _, recorded in topics().values()}
    assert names == {
        *("/joints", "/eye", "/commands", "executor_node/commanded"),
        *("executor_node/status", "policy_node/prompt", "/tf_static"),
    }


def test_a_chunk_is_filled_several_times_a_second_by_small_messages() -> None:
    assert chunk_bytes(make_contract()) == 60 * 100 // 4


def test_pre_roll_reaches_back_as_far_as_it_should_and_is_taken_once() -> None:
    pre_roll = PreRoll(100, 1000)
    messages(pre_roll, 0, 50, 100, 150)
    assert times(pre_roll, 160) == [100, 150]
    assert times(pre_roll, 160) == []


def test_pre_roll_of_nothing_is_nothing() -> None:
    pre_roll = PreRoll(0, 1000)
    messages(pre_roll, 1, 2)
    assert times(pre_roll, 3) == []


def test_pre_roll_keeps_its_size() -> None:
    pre_roll = PreRoll(100, 25)
    messages(pre_roll, 1, 2, 3)
    assert pre_roll.held_bytes == 20
    assert times(pre_roll, 3) == [2, 3]


def test_pre_roll_begins_anew_when_the_clock_jumps_back() -> None:
    pre_roll = PreRoll(100, 1000)
    messages(pre_roll, 500, 510, 20)
    assert times(pre_roll, 30) == [20]


def test_states_from_before_are_kept_and_each_but_once() -> None:
    named = topics()
    kept = Kept([recorded for _, recorded in named.values()])
    transforms, status = named["tf_static"][0], named["executor status"][0]
    for time, (index, data) in enumerate(
        [
            (transforms, b"camera"),
            (transforms, b"gripper"),
            (transforms, b"camera"),
            (status, b"HOLDING"),
            (status, b"RUNNING"),
            (named["arm"][0], b"joints"),
            (status, b"LATCHED"),
        ]
    ):
        kept.add(Raw(index, time, data, 0))
    assert {m.data for m in kept.before(6)} == {b"camera", b"gripper", b"RUNNING"}
    assert {m.data for m in kept.before(7)} == {b"camera", b"gripper", b"LATCHED"}
