"""The command: whole bags to datasets, by every option that changes what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from convert_bags import (
    ARM,
    COMMAND,
    COMMANDED,
    CONTRACT,
    JOINT_STATE,
    SECOND,
    T0,
    TOP,
    TYPES,
    Lab,
    Sent,
    changed,
    compressed,
    floats,
    header,
    image,
    joints,
    mark,
    picture,
    position,
    recording,
    restamped,
    stamp_of,
)
from rosbags.rosbag2 import StoragePlugin

from vla_core.dataset.episode import Episode
from vla_core.dataset.read import Dataset, open_dataset
from vla_core.dataset.video import decode
from vla_core.observation import build_observation

STATE, ACTION, PICTURES = "observation.state", "action", "observation.images.top"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def column(episode: Episode, name: str) -> np.ndarray:
    return np.array(episode.read()[name].to_pylist())


def levels(episode: Episode, key: str = PICTURES) -> np.ndarray:
    """The grey of every frame."""
    return np.array([frame.mean() for frame in decode(episode.clips[key])])


def read(lab: Lab) -> Dataset:
    return open_dataset(lab.output)


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_a_bag_becomes_rows_on_the_grid_of_what_was_known_at_each_tick(
    lab: Lab, version: str
) -> None:
    assert lab.convert(lab.bag(recording()), "--format", version) == 0
    found = read(lab)
    assert (found.info.version, found.info.fps, found.info.robot_type) == (version, 20, "toy")
    assert found.info.extra["vla_contract_sha256"] == lab.contract.sha256
    assert (lab.output / "meta/contract.yaml").read_text() == CONTRACT
    (episode,) = found.episodes
    assert (episode.length, episode.tasks) == (40, ("lift the cube",))
    begin_ms = 1  # when the first picture was taken
    known_ms = (begin_ms + np.arange(40) * 50) // 20 * 20
    state = np.stack([known_ms / 1000, -known_ms / 1000], axis=1)
    assert column(episode, STATE) == pytest.approx(state.astype(np.float32))
    commanded_ms = (begin_ms + np.arange(40) * 50) // 10 * 10
    assert column(episode, ACTION)[:, 0] == pytest.approx(commanded_ms / 100)
    assert (column(episode, ACTION)[:, 1] == 7).all()
    assert levels(episode) == pytest.approx(np.arange(40) + 20, abs=3)
    assert found.info.features[STATE].names == ("turn", "lift")
    assert found.info.features[ACTION].names == ("lift", "turn")


def test_rows_are_what_the_policy_node_would_lay_out(lab: Lab) -> None:
    sent = recording()
    lab.convert(lab.bag(sent))
    (episode,) = read(lab).episodes
    t_ns = T0 + 10**6 + 17 * SECOND // 20
    newest = {
        name: max(
            (one for one in sent if one.topic == topic and stamp_of(one) <= t_ns), key=stamp_of
        )
        for name, topic in (("arm", ARM), ("top", TOP))
    }
    seen = build_observation(
        lab.contract,
        {name: one.message for name, one in newest.items()},
        stamp_ns=t_ns,
        prompt="",
    )
    assert (column(episode, STATE)[17] == seen.state.astype(np.float32)).all()
    assert levels(episode)[17] == pytest.approx(seen.images["top"].mean(), abs=3)


@pytest.mark.parametrize(
    ("storage", "compress"),
    [(StoragePlugin.SQLITE3, False), (StoragePlugin.SQLITE3, True), (StoragePlugin.MCAP, True)],
)
def test_storage_and_compression_of_the_bag_do_not_matter(
    lab: Lab, storage: StoragePlugin, compress: bool
) -> None:
    assert lab.convert(lab.bag(recording(0.5), storage=storage, compress=compress)) == 0
    assert read(lab).episodes[0].length == 10


def test_marks_cut_a_recording_and_labels_decide(lab: Lab) -> None:
    marks = [mark("start", "a", T0 + SECOND // 2, task="one"), mark("stop", "a", T0 + SECOND)]
    marks += [mark("start", "b", T0 + 2 * SECOND), mark("discard", "b", T0 + 3 * SECOND)]
    marks += [mark("start", "c", T0 + 3 * SECOND, task="two"), mark("stop", "c", T0 + 4 * SECOND)]
    marks += [mark("label", "c", T0 + 4 * SECOND, success="true", operator="ann")]
    marks += [mark("start", "d", T0 + 4 * SECOND), mark("stop", "d", T0 + 5 * SECOND, bad="shaky")]
    sent = sorted(recording(6) + marks, key=lambda one: one.received_ns)
    bag = lab.bag(sent)
    assert lab.convert(bag) == 0
    one, two = read(lab).episodes
    assert (one.tasks, two.tasks) == (("one",), ("two",))
    assert (one.length, two.length) == (11, 21)
    assert column(one, STATE)[0, 0] == pytest.approx(0.5)
    episodes = lab.run()["episodes"]
    assert [e["success"] for e in episodes] == [None, True]
    assert episodes[1]["operator"] == "ann"
    assert [entry["why"] for entry in lab.run()["left_out"]] == ["discarded", "bad: shaky"]
    assert lab.convert(bag, "--include-bad", "--overwrite") == 0
    assert len(read(lab).episodes) == 3


def test_two_episodes_without_ids_keep_their_own_tasks(lab: Lab) -> None:
    marks = [mark("start", "", T0, task="x"), mark("stop", "", T0 + SECOND)]
    marks += [mark("start", "", T0 + 2 * SECOND, task="x"), mark("stop", "", T0 + 3 * SECOND)]
    marks += [mark("start", "", T0 + 4 * SECOND, task="y"), mark("stop", "", T0 + 5 * SECOND)]
    sent = sorted(recording(6) + marks, key=lambda one: one.received_ns)
    assert lab.convert(lab.bag(sent)) == 0
    found = read(lab).episodes
    assert [(e.length, e.tasks) for e in found] == [(20, ("x",)), (21, ("x",)), (21, ("y",))]


def test_an_episode_without_a_stop_is_kept_and_told(lab: Lab, capsys: Any) -> None:
    sent = [mark("start", "a", T0), *recording(1)]
    assert lab.convert(lab.bag(sent)) == 3
    assert "no stop mark" in capsys.readouterr().err


def test_marks_of_before_the_bag_are_left_out(lab: Lab) -> None:
    old = [mark("start", "z", T0 - 9 * SECOND), mark("stop", "z", T0 - 5 * SECOND)]
    new = [mark("start", "a", T0), mark("stop", "a", T0 + SECOND // 2)]
    assert lab.convert(lab.bag([*old, *new, *recording(1)])) == 0
    assert [e["episode"] for e in lab.run()["episodes"]] == ["a"]


def test_command_topics_are_the_action_where_nothing_tells_what_was_commanded(lab: Lab) -> None:
    sent = [one for one in recording() if one.topic != COMMANDED]
    sent += [floats(COMMAND, T0 + n * SECOND // 50, (n, -n)) for n in range(100)]
    assert lab.convert(lab.bag(sorted(sent, key=lambda one: one.received_ns))) == 0
    assert lab.run()["action"] == "topics"
    found = column(read(lab).episodes[0], ACTION)
    assert found[:4].tolist() == [[0, 0], [2, -2], [5, -5], [7, -7]]


def test_the_next_state_is_the_action_only_when_asked_for(lab: Lab, capsys: Any) -> None:
    bag = lab.bag([one for one in recording() if one.topic != COMMANDED])
    assert lab.convert(bag) == 1
    assert "--action state" in capsys.readouterr().err
    assert lab.convert(bag, "--action", "state") == 0
    (episode,) = read(lab).episodes
    assert episode.length == 39
    state, action = column(episode, STATE), column(episode, ACTION)
    assert (action[:-1] == state[1:, ::-1]).all()


def test_sizes_fps_keys_and_trims(lab: Lab) -> None:
    bag = lab.bag(recording())
    arguments = ("--fps", "10", "--crop", "16x16+8+4", "--resize", "64x64", "--keys", "openpi")
    assert lab.convert(bag, *arguments, "--trim-start", "0.5", "--trim-end", "0.4") == 0
    found = read(lab)
    assert set(found.info.features) >= {"state", "actions", "top"}
    assert found.info.features["top"].shape == (64, 64, 3)
    (episode,) = found.episodes
    assert column(episode, "state")[0, 0] == pytest.approx(0.5)
    assert episode.length == 11


def test_rests_are_left_out_when_asked_for(lab: Lab) -> None:
    def rest(_: int, one: Sent) -> Sent:
        t = min(stamp_of(one), T0 + SECOND)
        values = position(t) if one.topic == ARM else {"lift": (t - T0) / 1e8, "turn": 7.0}
        return joints(one.topic, stamp_of(one), values)

    bag = lab.bag(changed(changed(recording(4), ARM, rest), COMMANDED, rest))
    assert lab.convert(bag, "--drop-idle") == 0
    assert read(lab).episodes[0].length == 41
    assert lab.run()["episodes"][0]["left_out_idle"] == 39


def test_receive_time_places_messages_whose_stamps_are_useless(lab: Lab, capsys: Any) -> None:
    bag = lab.bag(changed(recording(), TOP, lambda _, one: restamped(one, 0)))
    assert lab.convert(bag) == 1
    assert "stamp of zero" in capsys.readouterr().err
    assert lab.convert(bag, "--receive-time") == 0
    assert read(lab).episodes[0].length == 40


def test_a_topic_in_a_namespace_is_found_if_it_is_the_only_one(lab: Lab) -> None:
    renamed = [Sent(**{**vars(one), "topic": f"/left{one.topic}"}) for one in recording(0.5)]
    assert lab.convert(lab.bag(renamed)) == 0
    doubled = sorted(renamed + [
        Sent(**{**vars(one), "topic": f"/right{one.topic}"}) for one in recording(0.5)
    ], key=lambda one: one.received_ns)  # fmt: skip
    assert lab.convert(lab.bag(doubled, "two"), "--overwrite") == 1


def depth_lab(folder: Path, encoding: str, kind: str = "Image") -> Lab:
    line = (
        f"  deep: {{topic: /deep, type: sensor_msgs/msg/{kind}, encoding: {encoding},"
        " width: 32, height: 24, rate_hz: 20}\naction:"
    )
    return Lab(folder, CONTRACT.replace("action:", line, 1))


def with_depth(make: Any) -> list[Sent]:
    times = range(T0 + 10**6, T0 + SECOND // 2, SECOND // 20)
    deep = [make(t, index) for index, t in enumerate(times)]
    return sorted(recording(0.5) + deep, key=lambda one: one.received_ns)


def depth_mm(index: int) -> np.ndarray:
    return (np.arange(24 * 32).reshape(24, 32) * 11 + index).astype(np.uint16)


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1", "png"])
def test_depth_is_kept_without_loss_in_millimetres(tmp_path: Path, encoding: str) -> None:
    def make(t: int, index: int) -> Sent:
        mm = depth_mm(index)
        if encoding == "png":
            data = cv2.imencode(".png", mm)[1].tobytes()
            return compressed("/deep", t, data, "16UC1; png compressed")
        pixels = mm if encoding == "16UC1" else (mm / 1000).astype(np.float32)
        return image("/deep", t, pixels, encoding)

    lab = depth_lab(tmp_path, encoding, "CompressedImage" if encoding == "png" else "Image")
    assert lab.convert(lab.bag(with_depth(make))) == 0
    found = read(lab)
    feature = found.info.features["observation.depth.deep"]
    assert (feature.dtype, feature.shape) == ("image", (24, 32, 1))
    rows = found.episodes[0].read()["observation.depth.deep"].to_pylist()
    for index, row in enumerate(rows):
        stored = cv2.imdecode(np.frombuffer(row["bytes"], np.uint8), cv2.IMREAD_UNCHANGED)
        assert stored.dtype == np.uint16
        assert (stored == depth_mm(index)).all()


def test_a_mobile_base_and_jpeg_and_a_slow_camera(tmp_path: Path) -> None:
    text = (
        CONTRACT.replace(
            "streams:",
            "  forward: {kind: velocity, unit: m/s, range: [-1, 1], acceleration: 2}\nstreams:\n"
            "  odometry: {topic: /odom, type: nav_msgs/msg/Odometry, field: twist.twist.linear,"
            " joints: {forward: x}, rate_hz: 50}",
            1,
        )
        .replace("encoding: rgb8", "encoding: jpeg")
        .replace("msg/Image", "msg/CompressedImage")
    )
    text = text.replace("[turn, lift]", "[turn, lift, forward]").replace(
        "safety:",
        "  base: {topic: /base, type: sensor_msgs/msg/JointState, field: velocity,"
        " joints: {forward: wheel}}\nsafety:",
    )
    lab = Lab(tmp_path, text.replace("rate_hz: 20}", "rate_hz: 10}"))
    types, none = TYPES.types, np.zeros(36)
    vector, zero = types["geometry_msgs/msg/Vector3"], types["geometry_msgs/msg/Point"](0, 0, 0)
    pose = types["geometry_msgs/msg/Pose"](zero, types["geometry_msgs/msg/Quaternion"](0, 0, 0, 1))
    sent = []
    for n in range(50):
        t = T0 + n * SECOND // 50
        twist = types["geometry_msgs/msg/Twist"](vector(n / 100, 0, 0), vector(0, 0, 0))
        odometry = types["nav_msgs/msg/Odometry"](
            header(t), "base",
            types["geometry_msgs/msg/PoseWithCovariance"](pose, none),
            types["geometry_msgs/msg/TwistWithCovariance"](twist, none),
        )  # fmt: skip
        sent += [
            Sent(topic="/odom", type="nav_msgs/msg/Odometry", received_ns=t, message=odometry)
        ]
        sent += [joints(ARM, t, position(t)), floats(COMMAND, t, (n, -n))]
        empty = np.zeros(0)
        wheel = types[JOINT_STATE](header(t), ["wheel"], empty, np.array([n / 50]), empty)
        sent += [Sent(topic="/base", type=JOINT_STATE, received_ns=t, message=wheel)]
        if n % 5 == 0:
            data = cv2.imencode(".jpg", picture(n))[1].tobytes()
            sent += [compressed(TOP, t, data, "rgb8; jpeg compressed bgr8")]
    assert lab.convert(lab.bag(sent)) == 0
    (episode,) = read(lab).episodes
    ticks = np.arange(20)
    newest = (ticks * 50) // 20
    assert column(episode, STATE)[:, 2] == pytest.approx(newest / 100)
    assert column(episode, ACTION)[:, 2] == pytest.approx(newest / 50)
    assert levels(episode) == pytest.approx(newest // 5 * 5 + 20, abs=3)


def test_a_frozen_camera_is_told(lab: Lab) -> None:
    def freeze(index: int, one: Sent) -> Sent:
        return image(TOP, stamp_of(one), picture(10 if 10 <= index < 30 else index))

    assert lab.convert(lab.bag(changed(recording(), TOP, freeze))) == 0
    assert lab.run()["episodes"][0]["cameras"]["top"] == {"duplicates": 19, "frozen_s": 0.95}


def test_appending_adds_what_is_new_and_takes_nothing_twice(lab: Lab) -> None:
    first, second = lab.bag(recording(0.5), "one"), lab.bag(recording(1, T0 + 99 * SECOND), "two")
    assert lab.convert(first) == 0
    assert lab.convert(second, "--append") == 0
    assert [e.length for e in read(lab).episodes] == [10, 20]
    before = (lab.output / "meta/conversion.json").read_bytes()
    assert lab.convert(first, second, "--append") == 0
    assert (lab.output / "meta/conversion.json").read_bytes() == before
    third = lab.bag(recording(0.5, T0 + 200 * SECOND), "three")
    assert lab.convert(third, "--append", "--fps", "10") == 1
    assert len(read(lab).episodes) == 2


def test_the_contract_of_the_bag_serves_where_none_is_given(lab: Lab) -> None:
    from vla_recorder.cli.convert import main

    custom = {"task": "x", "contract": CONTRACT, "contract_sha256": lab.contract.sha256}
    bag = lab.bag(recording(0.5), custom=custom)
    assert main([str(bag), "--output", str(lab.output), "--workers", "1"]) == 0
    plain = lab.bag(recording(0.5), "plain")
    assert main([str(plain), "--output", str(lab.folder / "other")]) == 1


def test_two_bags_of_one_name_are_two_bags(lab: Lab) -> None:
    for day, seconds in (("day1", 0.5), ("day2", 1)):
        (lab.folder / day).mkdir()
        lab.bag(recording(seconds), f"{day}/bag")
    one, two = lab.folder / "day1/bag", lab.folder / "day2/bag"
    assert lab.convert(one, two) == 0
    both = [e.length for e in read(lab).episodes]
    assert lab.convert(one, "--overwrite") == 0
    assert lab.convert(two, "--append") == 0
    assert [e.length for e in read(lab).episodes] == both == [10, 20]


def test_a_bag_that_was_renamed_is_the_same_bag(lab: Lab) -> None:
    bag = lab.bag(recording(0.5), "one")
    assert lab.convert(bag) == 0
    assert lab.convert(bag.rename(lab.folder / "two"), "--append") == 0
    assert len(read(lab).episodes) == 1


def test_a_finished_dataset_of_another_format_is_not_taken_for_the_one_asked_for(
    lab: Lab, capsys: Any
) -> None:
    bag = lab.bag(recording(0.5))
    assert lab.convert(bag) == 0
    for option in ("--resume", "--append"):
        assert lab.convert(bag, option, "--format", "v3.0") == 1
        assert "another format; where" in capsys.readouterr().err
    assert lab.convert(bag, "--overwrite", "--resume", "--format", "v3.0") == 0
    assert read(lab).info.version == "v3.0"
    assert lab.convert(bag, "--append") == 0


def test_replacing_can_be_resumed_whatever_is_replaced(lab: Lab) -> None:
    first, second = lab.bag(recording(0.5), "one"), lab.bag(recording(1, T0 + 99 * SECOND), "two")
    assert lab.convert(second) == 0
    again = ("--overwrite", "--resume")
    assert lab.convert(first, second, *again) == 0
    assert lab.convert(second, *again) == 0  # which is there, beside another
    assert [e.length for e in read(lab).episodes] == [20]
    made = lab.output.stat().st_ino
    assert lab.convert(second, *again) == 0
    assert lab.output.stat().st_ino == made  # what is whole is not made again


def test_depth_keeps_its_name_under_those_of_openpi(tmp_path: Path) -> None:
    lab = depth_lab(tmp_path, "16UC1")
    bag = lab.bag(with_depth(lambda t, index: image("/deep", t, depth_mm(index), "16UC1")))
    assert lab.convert(bag, "--keys", "openpi") == 0
    assert {"state", "actions", "top", "observation.depth.deep"} <= {*read(lab).info.features}
