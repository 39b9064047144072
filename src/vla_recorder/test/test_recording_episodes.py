"""Episodes on the disk: what is in a bag, when it has its name, and what a full disk does."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path

import pytest
import yaml
from mcap.reader import make_reader
from recording_rig import BEGIN_NS, SECOND_NS, TEXT, Rig, make_contract, stamped

from vla_recorder.marks import Event
from vla_recorder.nodes import bag_thread
from vla_recorder.nodes.bag_thread import BagThread, Settings
from vla_recorder.nodes.episode_bag import BagTopic, EpisodeBag
from vla_recorder.nodes.episodes import Episodes, Place
from vla_recorder.recording.commands import Command
from vla_recorder.recording.pre_roll import Kept, PreRoll
from vla_recorder.recording.session import RecordingError, Session
from vla_recorder.recording.topics import Raw

MARKS = "/episode_recorder/marks"


class Recorder:
    """All of the recorder but ROS; marks are JSON, the clock stands unless it is moved."""

    def __init__(self, output: Path, *, pre_roll_s: float = 0.0, queue_bytes: int = 10**9) -> None:
        self.output, self.rig, self.now_s = output, Rig(), 0.0
        self.told: list[tuple[Event, dict[str, str]]] = []
        known = [m.recorded for m in self.rig.monitors if m.recorded.name != "tf_static"]
        monitors = self.rig.monitors[: len(known)]
        topics = [BagTopic(name=f"/{r.topic.lstrip('/')}", type=r.type) for r in known]
        topics.append(BagTopic(name=MARKS, type="diagnostic_msgs/msg/DiagnosticStatus"))
        settings = Settings(
            topics=topics,
            chunk_bytes=1000,
            queue_bytes=queue_bytes,
            frozen_ns=SECOND_NS,
            action_required=False,
        )
        pre_roll = PreRoll(round(pre_roll_s * SECOND_NS), 10**6)
        self.writer = BagThread(settings, monitors, Kept(known), pre_roll)
        self.place = Place(
            contract=make_contract(), contract_text=TEXT, output=output, min_free_bytes=1
        )
        self.episodes = Episodes(
            self.place, Session(), self.writer, tell=self._tell, now_ns=self.now_ns
        )

    def now_ns(self) -> int:
        return BEGIN_NS + round(self.now_s * SECOND_NS)

    def _tell(self, event: Event, values: Mapping[str, str]) -> bytes:
        self.told.append((event, dict(values)))
        return json.dumps({"event": event.value, **values}).encode()

    def obey(self, command: Command) -> str:
        return self.episodes.obey(command, task="stack", operator="ann")

    def receive(self, seconds: float) -> None:
        """All that the contract asks for."""
        for tick in range(round(seconds * 50)):
            for name in ("arm", *(("eye",) if tick % 5 == 0 else ())):
                self.put(name, b"%s %f" % (name.encode(), self.now_s))
            self.now_s += 0.02

    def put(self, name: str, body: bytes) -> None:
        data = stamped(self.now_ns(), body)
        self.writer.put(Raw(self.rig.index[name], self.now_ns(), data, 0))

    def record(self, seconds: float = 2.0) -> Path:
        """One whole episode; its folder once it is finished."""
        self.obey(Command.START)
        self.receive(seconds)
        self.obey(Command.STOP)
        return self.settled()

    def wait(self) -> None:
        """Until the writer has done all that it was asked for."""
        self.writer._ask(lambda: None).result(10)

    def settled(self) -> Path:
        """The one folder, when nothing is going on any more."""
        self.episodes.leave()
        (folder,) = self.output.iterdir()
        return folder


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    made = Recorder(tmp_path / "out", pre_roll_s=0.5)
    made.output.mkdir()
    yield made
    made.episodes.leave()


def custom(folder: Path) -> dict[str, str]:
    text = (folder / "metadata.yaml").read_text()
    return dict(yaml.safe_load(text)["rosbag2_bagfile_information"]["custom_data"])


def content(folder: Path) -> list[tuple[str, int, bytes]]:
    """Topic, time since the beginning (ms), data; in the order of the file."""
    (file,) = folder.glob("*.mcap")
    with file.open("rb") as stream:
        reader = make_reader(stream, validate_crcs=True)
        return [
            (channel.topic, round((message.log_time - BEGIN_NS) / 1e6), message.data)
            for _, channel, message in reader.iter_messages(log_time_order=False)
        ]


def test_a_bag_holds_what_was_received_between_its_marks(recorder: Recorder) -> None:
    folder = recorder.record(2.0)
    assert folder.name == recorder.episodes._session.last.name  # type: ignore[union-attr]
    topics = [topic for topic, _, _ in content(folder)]
    assert (topics.count("/joints"), topics.count("/eye")) == (100, 20)
    marks = [json.loads(data) for topic, _, data in content(folder) if topic == MARKS]
    assert [(m["event"], m["time_ns"]) for m in marks] == [
        ("start", str(BEGIN_NS)),
        ("stop", str(BEGIN_NS + 2 * SECOND_NS)),
    ]
    assert marks == [{"event": event.value, **values} for event, values in recorder.told]


def test_metadata_say_what_it_is_and_name_the_file_that_is_there(recorder: Recorder) -> None:
    folder = recorder.record()
    found = custom(folder)
    assert len(found.pop("episode")) == 32
    assert found == {
        "task": "stack",
        "operator": "ann",
        "success": "",
        "bad": "",
        "robot": "rig",
        "contract": TEXT,
        "contract_sha256": make_contract().sha256,
    }
    metadata = yaml.safe_load((folder / "metadata.yaml").read_text())
    information = metadata["rosbag2_bagfile_information"]
    assert information["relative_file_paths"] == [f"{folder.name}_0.mcap"]
    assert information["files"][0]["path"] == f"{folder.name}_0.mcap"
    assert sorted(p.name for p in folder.iterdir()) == [f"{folder.name}_0.mcap", "metadata.yaml"]


def test_an_episode_begins_with_what_came_before_its_start(recorder: Recorder) -> None:
    recorder.put("prompt", b"stack the cubes")
    recorder.receive(2.0)
    folder = recorder.record(2.0)
    found = content(folder)
    assert found[0][:2] == (MARKS, 1500)
    assert json.loads(found[0][2])["time_ns"] == str(BEGIN_NS + 3 * SECOND_NS // 2)
    assert found[1][:2] == ("/policy_node/prompt", 1500)
    assert found[2][:2] == ("/joints", 1500)
    assert custom(folder)["bad"] == ""


def test_an_open_episode_is_partial(recorder: Recorder) -> None:
    recorder.obey(Command.START)
    recorder.receive(0.1)
    recorder.obey(Command.SUCCESS)  # answers, and is written, after all before
    (folder,) = recorder.output.iterdir()
    assert folder.name.endswith(".partial")


def test_an_episode_that_breaks_the_contract_says_so_everywhere(recorder: Recorder) -> None:
    recorder.obey(Command.START)
    recorder.now_s = 2.0
    assert "bad: arm: missing; eye: missing" in recorder.obey(Command.STOP)
    folder = recorder.settled()
    assert custom(folder)["bad"] == "arm: missing; eye: missing"
    assert recorder.told[-1][1]["bad"] == "arm: missing; eye: missing"
    assert json.loads(content(folder)[-1][2])["bad"] == "arm: missing; eye: missing"


def test_a_label_goes_into_the_open_bag(recorder: Recorder) -> None:
    recorder.obey(Command.START)
    recorder.receive(2.0)
    recorder.obey(Command.SUCCESS)
    recorder.obey(Command.STOP)
    folder = recorder.settled()
    marks = [json.loads(data) for topic, _, data in content(folder) if topic == MARKS]
    assert [(m["event"], m["success"]) for m in marks] == [
        *(("start", ""), ("label", "true"), ("stop", "true"))
    ]
    assert custom(folder)["success"] == "true"


def test_a_label_after_the_stop_changes_the_metadata_alone(recorder: Recorder) -> None:
    recorder.obey(Command.START)
    recorder.receive(2.0)
    recorder.obey(Command.STOP)
    recorder.obey(Command.FAILURE)
    folder = recorder.settled()
    before = custom(folder)
    assert before["success"] == "false"
    assert [event for event, _ in recorder.told] == [Event.START, Event.STOP, Event.LABEL]
    assert recorder.told[-1][1]["episode"] == before["episode"]
    assert all(topic != MARKS or b'"label"' not in data for topic, _, data in content(folder))


@pytest.mark.parametrize("text", ["a: [", "[]", "a: 1"])
def test_a_label_for_metadata_that_are_none_any_more_is_a_fault_that_is_told(
    recorder: Recorder, text: str
) -> None:
    recorder.obey(Command.START)
    recorder.receive(2.0)
    recorder.obey(Command.STOP)
    recorder.writer._finisher.submit(int).result(10)
    (folder,) = recorder.output.iterdir()
    (folder / "metadata.yaml").write_text(text)
    recorder.obey(Command.FAILURE)
    wrong = recorder.episodes.leave()[1]
    assert [f"{folder.name}: not labelled" in fault for fault in wrong] == [True]


def test_discard_removes_the_open_bag_and_nothing_else(recorder: Recorder) -> None:
    recorder.obey(Command.START)
    recorder.receive(1.0)
    recorder.obey(Command.STOP)
    recorder.obey(Command.START)
    recorder.receive(1.0)
    recorder.obey(Command.DISCARD)
    with pytest.raises(RecordingError):
        recorder.obey(Command.DISCARD)
    folder = recorder.settled()
    assert not folder.name.endswith(".partial")
    assert content(folder)
    assert recorder.told[-1][0] is Event.DISCARD


def test_leaving_finishes_the_open_episode(recorder: Recorder) -> None:
    recorder.obey(Command.START)
    recorder.receive(2.0)
    folder = recorder.settled()
    assert custom(folder)["bad"] == ""
    assert json.loads(content(folder)[-1][2])["event"] == "stop"


def test_without_space_nothing_is_started_and_what_is_open_is_stopped(recorder: Recorder) -> None:
    recorder.obey(Command.START)
    recorder.receive(2.0)
    object.__setattr__(recorder.place, "min_free_bytes", 2**60)  # as if the disk had filled up
    assert "the disk is nearly full" in recorder.episodes.watch()[1][0]
    recorder.wait()
    recorder.episodes.watch()
    with pytest.raises(RecordingError, match="nearly full"):
        recorder.obey(Command.START)
    folder = recorder.settled()
    assert custom(folder)["bad"].startswith("partial: the disk is nearly full, ")


def test_a_bag_that_cannot_be_written_stays_partial_and_the_next_is_whole(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_bag: EpisodeBag, _index: int, _data: bytes, _time_ns: int) -> None:
        raise RuntimeError("No space left on device")

    recorder.obey(Command.START)
    recorder.receive(1.0)
    with monkeypatch.context() as patch:
        patch.setattr(EpisodeBag, "write", fail)
        recorder.receive(0.1)
        recorder.wait()
    wrong = recorder.episodes.watch()[1]
    assert len(wrong) == 1
    assert wrong[0].endswith("cannot be written: No space left on device")
    assert recorder.told[-1][0] is Event.STOP
    assert recorder.told[-1][1]["bad"].startswith("partial: cannot be written")
    recorder.obey(Command.START)
    recorder.receive(2.0)
    recorder.episodes.leave()
    partial, whole = sorted(recorder.output.iterdir(), key=lambda p: p.suffix != ".partial")
    assert partial.suffix == ".partial"
    assert custom(whole)["bad"] == ""


def test_what_cannot_be_judged_is_written_before_its_episode_ends(recorder: Recorder) -> None:
    recorder.obey(Command.START)
    recorder.receive(1.0)
    recorder.wait()
    recorder.rig.refusal = RuntimeError("a fault of this program")
    recorder.receive(0.2)
    recorder.wait()
    assert recorder.episodes.watch()[1][0].endswith("cannot be written: a fault of this program")
    assert [topic for topic, _, _ in content(recorder.settled())].count("/joints") == 51


def test_a_fault_between_two_episodes_names_no_folder(recorder: Recorder) -> None:
    recorder.obey(Command.START)
    recorder.receive(2.0)
    recorder.obey(Command.STOP)
    recorder.rig.refusal = RuntimeError("a fault of this program")
    recorder.receive(0.2)
    recorder.wait()
    wrong = recorder.episodes.watch()[1]
    assert set(wrong) == {"cannot be written: a fault of this program"}
    assert recorder.settled().suffix == ""


class TroubledDisk:
    """Loses data once, and tells so once, as Linux does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_hurt = True
        monkeypatch.setattr(bag_thread, "SYNC_S", -1.0)  # after each message
        monkeypatch.setattr(bag_thread, "sync_data", self._sync)

    def _sync(self, _folder: Path) -> None:
        was_hurt, self.is_hurt = self.is_hurt, False
        if was_hurt:
            raise OSError(errno.EIO, "Input/output error")


def test_data_lost_by_the_disk_ends_the_episode(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    TroubledDisk(monkeypatch)
    recorder.obey(Command.START)
    recorder.receive(0.02)
    recorder.wait()
    recorder.writer._finisher.submit(int).result(10)
    recorder.receive(0.02)
    recorder.wait()
    assert "Input/output error" in recorder.episodes.watch()[1][0]
    assert recorder.settled().suffix == ".partial"


def test_data_lost_just_before_the_stop_leaves_the_episode_partial(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    TroubledDisk(monkeypatch)
    recorder.obey(Command.START)
    recorder.put("arm", b"the only message")
    recorder.obey(Command.STOP)
    wrong = recorder.episodes.leave()[1]
    assert ["not finished: [Errno 5] Input/output error" in fault for fault in wrong] == [True]
    assert recorder.settled().suffix == ".partial"


def test_data_lost_of_a_discarded_episode_does_not_touch_the_next(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = TroubledDisk(monkeypatch)
    recorder.obey(Command.START)
    recorder.put("arm", b"the only message")
    recorder.obey(Command.DISCARD)
    assert recorder.record().suffix == ""
    assert not disk.is_hurt


def test_a_file_without_an_end_never_gets_its_name(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = EpisodeBag.close

    def cut(bag: EpisodeBag) -> None:
        close(bag)
        (file,) = bag.folder.glob("*.mcap")
        file.write_bytes(file.read_bytes()[:-20])

    monkeypatch.setattr(EpisodeBag, "close", cut)
    assert recorder.record().suffix == ".partial"


def test_a_folder_that_cannot_be_made_is_told_at_the_start(recorder: Recorder) -> None:
    recorder.output.rmdir()
    recorder.output.write_text("a file")
    with pytest.raises(RecordingError):
        recorder.obey(Command.START)
    recorder.output.unlink()
    recorder.output.mkdir()
    assert recorder.record().suffix == ""


def test_what_does_not_fit_the_queue_is_dropped_and_told(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, queue_bytes=100)
    release: Future[None] = Future()
    recorder.writer._ask(release.result)  # the disk hangs
    for _ in range(5):
        recorder.put("eye", bytes(60))
    release.set_result(None)
    assert recorder.rig["eye"].counts.dropped == 3
    recorder.episodes.leave()
