"""What a conversion says: of options that mean nothing, and of all that it leaves out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from convert_bags import (
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
    stamp_of,
)
from rosbags.rosbag2 import StoragePlugin

from vla_core.dataset.read import open_dataset
from vla_recorder.cli.recover import main as recover

ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--crop", "nope=10x10+0+0"), "a crop of no camera; found: nope; allowed: top"),
        (("--crf", "52"), "--crf of h264"),
        (("--crf", "-1"), "--crf of h264"),
        (("--crf", "64", "--codec", "av1"), "0 to 63"),
        (("--gop", "0"), "--gop"),
        (("--gop", "100000"), "--gop"),
    ],
)
def test_options_of_what_is_not_there_are_refused(
    lab: Lab, options: tuple[str, ...], told: str, capsys: Any
) -> None:
    assert lab.convert(lab.bag(recording(0.2)), *options) == 1
    assert told in capsys.readouterr().err
    assert not lab.output.exists()


def test_what_was_lost_before_a_bag_was_recovered_is_told(lab: Lab, capsys: Any) -> None:
    bag = lab.bag(recording(30))
    file = next(bag.glob("*.mcap"))
    data = file.read_bytes()
    file.write_bytes(data[: len(data) * 3 // 5])
    assert recover([str(bag)]) == 3
    assert lab.convert(lab.folder / "bag_recovered") == 3
    assert "messages that metadata.yaml counts" in capsys.readouterr().err
    assert lab.run()["bags"][0]["losses"]


def marked(begin_ns: int = T0) -> list[Sent]:
    marks = [mark("start", ID, begin_ns), mark("stop", ID, begin_ns + SECOND)]
    return sorted(recording(1.2, begin_ns) + marks, key=lambda one: one.received_ns)


@pytest.mark.parametrize("by_marks", [True, False])
def test_a_recording_that_came_twice_is_taken_once_and_told(
    lab: Lab, by_marks: bool, capsys: Any
) -> None:
    custom = {"task": "x"} | ({} if by_marks else {"episode": ID})
    sent = marked() if by_marks else recording(1)
    one = lab.bag(sent, "one", custom=custom)
    two = lab.bag(sent, "two", custom=custom, storage=StoragePlugin.SQLITE3)
    told = f"two, episode {ID}: left out, the same recording as in one"
    assert lab.convert(one, two) == 3
    assert told in capsys.readouterr().err
    assert len(open_dataset(lab.output).episodes) == 1
    assert lab.convert(one, "--overwrite") == 0
    assert lab.convert(two, "--append") == 3
    assert told in capsys.readouterr().err
    third = lab.bag(recording(1, T0 + 99 * SECOND), "three")
    assert lab.convert(two, third, "--append") == 3
    assert len(open_dataset(lab.output).episodes) == 2
    assert [entry["bag"] for entry in lab.run()["left_out"]] == ["two"]


def test_an_episode_that_goes_on_in_a_second_bag_is_no_twin(lab: Lab) -> None:
    custom = {"task": "x", "episode": ID}
    one = lab.bag(recording(1), "one", custom=custom)
    two = lab.bag(recording(1, T0 + 2 * SECOND), "two", custom=custom)
    assert lab.convert(one, two) == 0
    assert len(open_dataset(lab.output).episodes) == 2


def test_what_is_left_out_on_purpose_is_told_in_one_line(lab: Lab, caplog: Any) -> None:
    marks = [mark("start", "a", T0), mark("stop", "a", T0 + SECOND)]
    for n, end in enumerate(("discard", "discard", "stop"), start=1):
        begin_ns, bad = T0 + 2 * n * SECOND, {"bad": "shaky"} if end == "stop" else {}
        marks += [mark("start", f"{n}", begin_ns), mark(end, f"{n}", begin_ns + SECOND, **bad)]
    sent = sorted(recording(8) + marks, key=lambda one: one.received_ns)
    caplog.set_level("INFO")
    assert lab.convert(lab.bag(sent)) == 0
    assert "left out 3 episodes: 2 discarded, 1 bad: shaky" in caplog.messages


def test_why_messages_are_damaged_is_told(lab: Lab, capsys: Any) -> None:
    def swapped(index: int, one: Sent) -> Sent:
        return image(TOP, stamp_of(one), picture(index), "bgr8")

    assert lab.convert(lab.bag(changed(recording(1), TOP, swapped))) == 1
    error = capsys.readouterr().err
    assert "20 messages of top damaged; first message" in error
    assert "bgr8" in error
    assert "rgb8" in error


def test_an_episode_that_is_trimmed_away_or_lies_between_equal_marks_is_told(
    lab: Lab, capsys: Any
) -> None:
    assert lab.convert(lab.bag(recording(1)), "--trim-start", "100") == 1
    assert "100 s are trimmed" in capsys.readouterr().err
    marks = [mark("start", "a", T0 + SECOND // 2), mark("stop", "a", T0 + SECOND // 2)]
    sent = sorted(recording(1) + marks, key=lambda one: one.received_ns)
    assert lab.convert(lab.bag(sent, "marked")) == 1
    assert "0.000 s lie between its marks" in capsys.readouterr().err


def test_a_first_picture_after_the_start_mark_is_no_loss(lab: Lab) -> None:
    sent = changed(recording(3), TOP, lambda n, one: one if n > 10 else None)
    marks = [mark("start", "a", T0), mark("stop", "a", T0 + 2 * SECOND)]
    assert lab.convert(lab.bag([marks[0], *sent, marks[1]])) == 0


def test_a_hub_that_cannot_be_reached_is_told_in_one_line(
    lab: Lab, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import HfApi

    def here(*_: Any, **__: Any) -> HfApi:
        return HfApi(endpoint="http://127.0.0.1:9", token="none")

    monkeypatch.setattr("huggingface_hub.HfApi", here)
    assert lab.convert(lab.bag(recording(0.5)), "--push-to-hub", "me/mine") == 1
    error = capsys.readouterr().err
    assert "could not be published" in error
    assert "Traceback" not in error
    assert len(open_dataset(lab.output).episodes) == 1
