"""Bags, contracts and places that must be refused, or whose losses must be told."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from convert_bags import (
    ARM,
    COMMANDED,
    CONTRACT,
    MARKS,
    SECOND,
    T0,
    TOP,
    Lab,
    Sent,
    changed,
    image,
    mark,
    picture,
    recording,
    restamped,
    stamp_of,
)

from vla_core.dataset.read import open_dataset

HOUR = 3600 * SECOND
LIMIT = 10_000  # bytes of a file: above those of a short episode, below those of a long one


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def lengths(lab: Lab) -> list[int]:
    return [episode.length for episode in open_dataset(lab.output).episodes]


@pytest.fixture
def refused(lab: Lab, capsys: Any) -> Callable[..., str]:
    def convert(*arguments: str | Path) -> str:
        assert lab.convert(*arguments) == 1
        assert not lab.output.exists()
        assert not lab.output.with_name("out.work").exists()
        return str(capsys.readouterr().err)

    return convert


def test_an_empty_bag_is_refused(lab: Lab, refused: Callable[..., str]) -> None:
    assert "lacks topics" in refused(lab.bag([]))


def test_a_bag_without_a_stream_is_refused_with_what_it_has(
    lab: Lab, refused: Callable[..., str]
) -> None:
    text = refused(lab.bag([one for one in recording(0.5) if one.topic != TOP]))
    assert f"no {TOP}" in text
    assert ARM in text


def test_a_topic_of_another_type_is_refused(lab: Lab, refused: Callable[..., str]) -> None:
    wrong = [replace(one, topic=ARM) for one in recording(0.5) if one.topic == TOP]
    text = refused(lab.bag([*wrong, *(o for o in recording(0.5) if o.topic != ARM)]))
    assert "another type" in text


def test_stamps_of_zero_are_refused_or_counted(
    lab: Lab, refused: Callable[..., str], capsys: Any
) -> None:
    sent = recording(1)
    assert "stamp of zero" in refused(
        lab.bag(changed(sent, TOP, lambda _, one: restamped(one, 0)), "all")
    )
    some = changed(sent, TOP, lambda n, one: restamped(one, 0) if n == 7 else one)
    assert lab.convert(lab.bag(some, "some")) == 3
    assert "1 messages with stamp of zero" in capsys.readouterr().err
    assert lab.run()["bags"][0]["dropped_messages"] == {"top": {"stamp of zero": 1}}
    assert lengths(lab) == [20]  # the picture before it is fresh enough


def test_stamps_that_go_backwards_a_little_are_put_in_order(lab: Lab) -> None:
    def swap(index: int, one: Sent) -> Sent:
        return restamped(one, stamp_of(one) + (60 if index % 2 else -60) * 10**6)

    assert lab.convert(lab.bag(changed(recording(2), ARM, swap))) == 0
    assert lab.run()["bags"][0]["streams"]["arm"]["out_of_order"] > 0


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
def test_a_clock_that_jumps_leaves_the_longer_piece_and_the_rest_is_counted(
    lab: Lab, jump: int, capsys: Any
) -> None:
    def move(_: int, one: Sent) -> Sent:
        later = one.received_ns > T0 + 3 * SECOND
        return restamped(one, stamp_of(one) + jump) if later else one

    sent = recording(4)
    for topic in (ARM, TOP, COMMANDED):
        sent = changed(sent, topic, move)
    assert lab.convert(lab.bag(sent)) == 3
    assert "ticks" in capsys.readouterr().err
    (length,) = lengths(lab)
    assert 59 <= length <= 61
    assert set(lab.run()["bags"][0]["clock_jumps"].values()) == {
        *("arm", "top", "action/commanded")
    }
    assert 18 <= lab.run()["episodes"][0]["lost_ticks"] <= 21


@pytest.mark.parametrize("topics", [(ARM, TOP, COMMANDED), (TOP,)])
def test_a_small_step_back_of_a_clock_cuts_and_shuffles_nothing(
    lab: Lab, topics: tuple[str, ...]
) -> None:
    def move(_: int, one: Sent) -> Sent:
        later = one.received_ns > T0 + 3 * SECOND
        return restamped(one, stamp_of(one) - 3 * SECOND // 10) if later else one

    sent = recording(4)
    for topic in topics:
        sent = changed(sent, topic, move)
    assert lab.convert(lab.bag(sent)) == 3
    assert set(lab.run()["bags"][0]["clock_jumps"].values()) == set(topics_named(topics))
    assert 59 <= lengths(lab)[0] <= 61


def topics_named(topics: tuple[str, ...]) -> list[str]:
    return [{ARM: "arm", TOP: "top", COMMANDED: "action/commanded"}[topic] for topic in topics]


@pytest.mark.parametrize("topics", [(ARM, TOP, COMMANDED), (TOP,)])
def test_stamps_that_go_backwards_are_refused(
    lab: Lab, refused: Callable[..., str], topics: tuple[str, ...]
) -> None:
    sent = recording(1)
    for topic in topics:
        sent = changed(sent, topic, lambda _, one: restamped(one, 2 * T0 - stamp_of(one)))
    assert "go backwards" in refused(lab.bag(sent))


def test_one_stray_stamp_costs_one_message(lab: Lab) -> None:
    stray = changed(
        recording(1), ARM, lambda n, one: restamped(one, stamp_of(one) + HOUR) if n == 9 else one
    )
    assert lab.convert(lab.bag(stray)) == 3
    assert lab.run()["bags"][0]["dropped_messages"] == {"arm": {"stray stamp": 1}}
    assert lengths(lab) == [20]


def test_a_type_without_a_definition_is_refused_by_name(tmp_path: Path, capsys: Any) -> None:
    lab = Lab(tmp_path, CONTRACT.replace("sensor_msgs/msg/JointState", "lab_msgs/msg/Arm", 1))
    sent = [replace(o, type="lab_msgs/msg/Arm") if o.topic == ARM else o for o in recording(0.5)]
    for one, other in zip(sent, recording(0.5), strict=True):
        if one.type != other.type:
            object.__setattr__(one, "data", serialized(other))
    assert lab.convert(lab.bag(sent, definitions={ARM: ""})) == 1
    error = capsys.readouterr().err
    assert "no definition" in error
    assert "lab_msgs/msg/Arm" in error


def serialized(one: Sent) -> bytes:
    from convert_bags import TYPES

    return bytes(TYPES.serialize_cdr(one.message, one.type))


def test_another_contract_is_refused_with_what_differs(
    lab: Lab, refused: Callable[..., str]
) -> None:
    other = CONTRACT.replace("rate_hz: 50", "rate_hz: 60")
    custom = {"task": "x", "contract": other, "contract_sha256": "0" * 64}
    bag = lab.bag(recording(0.5), custom=custom)
    text = refused(bag)
    assert "--allow-contract" in text
    assert "\n-  arm: {topic: /joint_states" in text
    assert "\n+  arm: {topic: /joint_states" in text
    assert lab.convert(bag, "--allow-contract") == 0


def test_two_bags_of_different_contracts_are_refused(
    lab: Lab, refused: Callable[..., str]
) -> None:
    same = {"task": "x", "contract_sha256": lab.contract.sha256}
    one = lab.bag(recording(0.5), "one", custom=same)
    marks = [mark("start", "a", T0, contract_sha256="1" * 64)]
    two = lab.bag([*marks, *recording(0.5, T0 + 9 * SECOND)], "two")
    assert "two" in refused(one, two)


def test_the_same_bag_twice_is_refused(lab: Lab, refused: Callable[..., str]) -> None:
    bag = lab.bag(recording(0.5))
    assert "given twice" in refused(bag, bag)


def test_a_rate_beside_the_contracts_is_refused_unless_allowed(
    lab: Lab, refused: Callable[..., str]
) -> None:
    half = changed(recording(2), TOP, lambda n, one: one if n % 2 else None)
    text = refused(lab.bag(half))
    assert "top: 10.0 Hz" in text
    assert "not 20 Hz" in text
    assert lab.convert(lab.folder / "bag", "--allow-rate") == 0
    many = changed(recording(4), ARM, lambda n, one: one if n % 4 else None)
    lab.output.rename(lab.folder / "kept")
    assert "missing" in refused(lab.bag(many, "many"))


def test_a_bag_without_a_task_is_refused(lab: Lab, refused: Callable[..., str]) -> None:
    bag = lab.bag(recording(0.5), custom={})
    assert "--task" in refused(bag)
    assert lab.convert(bag, "--task", "x") == 0


def test_pictures_of_another_size_midway_are_lost_and_told(lab: Lab, capsys: Any) -> None:
    def grow(index: int, one: Sent) -> Sent:
        return image(TOP, stamp_of(one), picture(index, 64, 48)) if index >= 25 else one

    assert lab.convert(lab.bag(changed(recording(2), TOP, grow))) == 3
    episode = lab.run()["episodes"][0]
    assert episode["damaged"] == {"top": 15}
    assert "64x48" in episode["damaged_first"]["top"]
    assert lengths(lab) == [30]  # the last good picture stays fresh for 0.25 s
    assert episode["lost_ticks"] == 10
    assert "15 messages of top damaged" in capsys.readouterr().err


def test_a_damaged_message_is_as_one_that_was_never_recorded(lab: Lab) -> None:
    def break_one(index: int, one: Sent) -> Sent:
        return replace(one, data=serialized(one)[:60]) if index == 9 else one

    assert lab.convert(lab.bag(changed(recording(1), TOP, break_one))) == 3
    assert lab.run()["episodes"][0]["damaged"] == {"top": 1}
    assert lengths(lab) == [20]
    assert lab.run()["episodes"][0]["cameras"]["top"]["duplicates"] == 0


def test_a_hurt_bag_is_read_as_far_as_it_goes(lab: Lab, capsys: Any) -> None:
    bag = lab.bag(recording(30))  # several chunks
    file = next(bag.glob("*.mcap"))
    data = file.read_bytes()
    file.write_bytes(data[: len(data) * 3 // 5])
    assert lab.convert(bag) == 3
    assert 100 < lengths(lab)[0] < 500
    assert lab.run()["bags"][0]["losses"]
    assert "lost: " in capsys.readouterr().err


def test_a_gap_in_a_stream_is_counted_and_closed_only_when_allowed(lab: Lab) -> None:
    def gap(index: int, one: Sent) -> Sent | None:
        return None if 10 <= index < 20 else one

    bag = lab.bag(changed(recording(3), TOP, gap))
    assert lab.convert(bag) == 3
    assert lengths(lab) == [40]
    episode = lab.run()["episodes"][0]
    assert (episode["lost_ticks"], episode["lost_by_stream"]) == (20, {"top": 5})
    assert lab.convert(bag, "--allow-gaps", "--overwrite") == 3
    assert lengths(lab) == [55]
    assert lab.convert(bag, "--tolerance", "top=1", "--overwrite") == 0
    assert lengths(lab) == [60]


@pytest.mark.parametrize("name", ["state", "actions", "timestamp"])
def test_a_camera_that_would_take_a_name_of_openpi_is_refused(
    tmp_path: Path, name: str, capsys: Any
) -> None:
    lab = Lab(tmp_path, CONTRACT.replace("  top: {", f"  {name}: {{"))
    bag = lab.bag(recording(0.5))
    assert lab.convert(bag, "--keys", "openpi") == 1
    assert "cannot be renamed" in capsys.readouterr().err
    assert lab.convert(bag) == 0


def test_a_mark_that_cannot_be_decoded_is_counted_and_costs_no_more(lab: Lab, capsys: Any) -> None:
    first, second = mark("start", "a", T0), mark("stop", "a", T0 + SECOND // 2)
    broken = replace(mark("label", "a", T0 + SECOND // 4), data=serialized(first)[:40])
    sent = sorted([first, broken, second, *recording(1)], key=lambda one: one.received_ns)
    assert lab.convert(lab.bag(sent)) == 3
    assert "1 messages with cannot be decoded" in capsys.readouterr().err
    assert lab.run()["bags"][0]["dropped_messages"] == {MARKS: {"cannot be decoded": 1}}
    assert lab.run()["episodes"][0]["episode"] == "a"


def test_marks_of_a_type_with_other_fields_are_counted(lab: Lab) -> None:
    first = mark("start", "a", T0)
    odd = replace(first, data=b"\0\1\0\0\7\0\0\0")
    sent = [odd, *recording(0.5)]
    assert lab.convert(lab.bag(sent, definitions={MARKS: "int32 name"})) == 3
    assert lab.run()["bags"][0]["dropped_messages"] == {MARKS: {"cannot be decoded": 1}}


def test_an_episode_without_a_message_of_a_stream_is_told_as_lost(lab: Lab) -> None:
    before = [one for one in recording(0.5, T0 - HOUR) if one.topic == TOP]
    marks = [mark("stop", "a", T0 - HOUR + SECOND // 2), mark("start", "b", T0)]
    after = changed(recording(1), ARM, lambda n, one: one if n > 4 else None)
    assert lab.convert(lab.bag([*before, *marks, *after])) == 3
    assert [(e["episode"], e["rows"]) for e in lab.run()["episodes"]] == [("a", 0), ("b", 18)]


def test_nothing_to_append_to_is_an_error(lab: Lab, refused: Callable[..., str]) -> None:
    assert "nothing to append to" in refused(lab.bag(recording(0.5)), "--append")


def test_a_place_that_cannot_be_written_is_an_error(lab: Lab, capsys: Any) -> None:
    from vla_recorder.cli.convert import main

    bag = lab.bag(recording(0.5))
    where = ["--output", "/proc/self/nowhere/out", "--contract", str(lab.file)]
    assert main([str(bag), *where]) == 1
    assert "/proc/self/nowhere" in capsys.readouterr().err


def command(lab: Lab, bags: list[Path], *more: str) -> list[str]:
    arguments = [*map(str, bags), "--contract", str(lab.file), "--output", str(lab.output), *more]
    return [sys.executable, "-m", "vla_recorder.cli.convert", *arguments]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_full_disk_publishes_nothing_and_the_rest_is_resumed(lab: Lab, workers: str) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))

    bags = [lab.bag(recording(0.5, T0), "short"), lab.bag(recording(60, T0 + HOUR), "long")]
    line = command(lab, bags, "--workers", workers)
    full = subprocess.run(line, preexec_fn=limit, capture_output=True, text=True)
    assert full.returncode == 1, full.stderr
    assert "look for space" in full.stderr
    assert "Traceback" not in full.stderr
    assert not lab.output.exists()
    again = subprocess.run([*line, "--resume"], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert lengths(lab) == [10, 1200]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interruption_leaves_no_dataset_and_no_process(lab: Lab, workers: str) -> None:
    bags = [lab.bag(recording(0.5, T0), "short"), lab.bag(recording(60, T0 + HOUR), "long")]
    line = command(lab, bags, "--workers", workers)
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, start_new_session=True)
    staged = lab.output.with_name("out.work") / "episodes"
    while not any(f.suffix == "" for f in staged.glob("*")) or not any(staged.glob("*.partial")):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    assert process.stderr is not None
    error = process.stderr.read()
    # within an exec(), as dataclasses use it, Python ends by the signal: a shell says 130 too
    assert process.wait() in (130, -signal.SIGINT), error
    assert "--resume" in error
    assert "Traceback" not in error
    assert not lab.output.exists()
    assert subprocess.run([*line, "--resume"], capture_output=True).returncode == 0
    assert lengths(lab) == [10, 1200]


def test_two_conversions_never_make_one_dataset(lab: Lab, capsys: Any) -> None:
    bag = lab.bag(recording(60))
    with subprocess.Popen(command(lab, [bag])) as process:
        while not lab.output.with_name("out.work").exists():
            assert process.poll() is None
            time.sleep(0.01)
        assert lab.convert(bag, "--resume") == 1
        assert "another conversion" in capsys.readouterr().err
    assert lengths(lab) == [1200]
