"""P7: what is recorded survives the recorder's death and a full disk; bad episodes say why."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from ament_index_python.packages import get_package_prefix
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger
from vla_system_tests.figures import LONG, Record
from vla_system_tests.processes import Process
from vla_system_tests.stand_in_robot import StandInRobot
from vla_system_tests.system import SMALL_ROBOT, System

from vla_recorder.bags import Bag, Decoder, open_bag

KILLS = 60 if LONG else 8
ALLOWED_S = 1.0
DISK_MB = 48
JOINTS, MARKS = "/joint_states", "marks"
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_numbers = itertools.count()


class Recorder:
    """An episode recorder under a name of its own: the one before it may have been killed."""

    def __init__(self, system: System, output: Path, **parameters: object) -> None:
        self.system, self.output = system, output
        self.name = f"recorder{next(_numbers)}"
        self.status = system.watch(f"/{self.name}/status", DiagnosticStatus, LATCHED)
        self.marks = system.watch(f"/{self.name}/marks", DiagnosticStatus, LATCHED)
        program = Path(get_package_prefix("vla_recorder"), "lib/vla_recorder/episode_recorder")
        values = {
            "contract": SMALL_ROBOT,
            "output_dir": output,
            "autostart": "true",
            "action_required": "false",
            "min_free_mb": 1,
            **parameters,
        }
        given = (word for name, value in values.items() for word in ("-p", f"{name}:={value}"))
        self.process: Process = system.start(
            str(program), "--ros-args", "-r", f"__node:={self.name}", *given
        )
        self.wait("IDLE")
        system.wait(
            lambda: float(system.facts(self.name).get("rate_hz/arm", 0)) > 0, "it hears the robot"
        )

    def wait(self, state: str, **facts: str) -> dict[str, str]:
        """What it last said of itself, once that is so."""

        def seen() -> dict[str, str] | None:
            if not self.status.messages or self.status.messages[-1].message != state:
                return None
            said = values_of(self.status.messages[-1])
            return said if facts.items() <= said.items() else None

        return dict(self.system.wait(seen, f"{self.name} {state} {facts}"))

    def ask(self, name: str, service_class: type = Trigger, request: object = None) -> str:
        answer = self.system.call(f"/{self.name}/{name}", service_class, request)
        assert answer.success, answer.message
        return str(answer.message)

    def hear(self, count: int = 50) -> None:
        """Wait until the robot has gone on for a while."""
        heard = self.system.watch(JOINTS, JointState, qos_profile_sensor_data)
        self.system.wait(lambda: len(heard) >= count, f"{count} joint states")

    def record(self) -> Path:
        """One whole episode."""
        name = self.ask("start").split()[-1]
        self.hear()
        self.ask("stop")
        return self.finished(name)

    def finished(self, name: str) -> Path:
        folder = self.output / name
        self.system.wait(folder.is_dir, f"{name} is finished, not {os.listdir(self.output)}")
        return folder


def values_of(status: DiagnosticStatus) -> dict[str, str]:
    return {item.key: item.value for item in status.values}


def counts(bag: Bag) -> Counter[str]:
    return Counter(message.topic for message in bag.messages())


def marks(bag: Bag) -> list[tuple[str, dict[str, str]]]:
    """Events and values."""
    topics = [name for name in bag.topics if name.endswith(MARKS)]
    decoder = Decoder(bag.topics)
    found = (decoder.decode(message.topic, message.data) for message in bag.messages(topics))
    return [(mark.message, values_of(mark)) for mark in found]


def fill(file: Path) -> None:
    """Take all the space there is, faster than anything that looks for it."""
    with file.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))


def contents(folder: Path) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def recorder(system: System, tmp_path: Path) -> Recorder:
    system.start_fake_robot()
    return Recorder(system, tmp_path / "episodes")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_P7_kill_loses_at_most_one_second_and_nothing_that_is_finished(
    system: System, tmp_path: Path, record_testsuite_property: Record
) -> None:
    system.start_fake_robot()
    output, dice = tmp_path / "episodes", random.Random(7)
    whole: dict[Path, Mapping[str, bytes]] = {}
    losses_s: list[float] = []
    partial_before: set[Path] = set()
    for number in range(KILLS):
        recorder = Recorder(system, output)
        if number % 4 == 0:
            folder = recorder.record()
            whole[folder] = contents(folder)
        name = recorder.ask("start").split()[-1]
        recorder.hear(dice.randint(10, 120))
        if number % 4 == 1:  # while it is being finished
            recorder.ask("stop")
            time.sleep(dice.random() * 0.03)
        killed_ns = time.time_ns()
        recorder.process.signal(signal.SIGKILL)
        recorder.process.wait()
        folder = output / name
        if not folder.is_dir():
            folder = output / f"{name}.partial"
            partial_before.add(folder)
        with open_bag(folder) as bag:
            saved_ns = max(message.received_ns for message in bag.messages([JOINTS]))
            assert ("stop" in [event for event, _ in marks(bag)]) == (number % 4 == 1)
        if number % 4 != 1:
            assert folder in partial_before
            losses_s.append((killed_ns - saved_ns) / 1e9)
    for folder, before in whole.items():
        assert contents(folder) == before
        with open_bag(folder) as bag:
            assert counts(bag)[JOINTS] > 40
            assert not bag.losses
    text = f"{max(losses_s):.2f} s at most, of {len(losses_s)} kills"
    print(text)
    record_testsuite_property("P7 kill -9 of the recorder loses", text)
    assert max(losses_s) <= ALLOWED_S


def test_P7_a_disk_that_fills_up_stops_the_episode_in_order(
    system: System, small_disk: Path
) -> None:
    system.start_fake_robot()
    recorder = Recorder(system, small_disk, min_free_mb=DISK_MB // 2)
    name = recorder.ask("start").split()[-1]
    recorder.hear()
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes((DISK_MB // 2 + 1) * 1_000_000))
    bad = recorder.wait("IDLE", name=name)["bad"]
    assert bad.startswith("partial: the disk is nearly full")
    with open_bag(recorder.finished(name)) as bag:
        assert bag.custom["bad"] == bad
        assert marks(bag)[-1][1]["bad"] == bad
        assert counts(bag)[JOINTS] > 40
    refusal = system.call(f"/{recorder.name}/start", Trigger)
    assert not refusal.success
    assert "the disk is nearly full" in refusal.message
    ballast.unlink()
    with open_bag(recorder.record()) as bag:
        assert bag.custom["bad"] == ""


def test_P7_a_full_disk_leaves_a_partial_episode_and_harms_nothing_else(
    system: System, small_disk: Path
) -> None:
    system.start_fake_robot()
    recorder = Recorder(system, small_disk)
    whole = recorder.record()
    before = contents(whole)
    name = recorder.ask("start").split()[-1]
    recorder.hear()
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space"):
        fill(ballast)
    said = recorder.wait("IDLE", name=name)
    assert said["bad"].startswith("partial: ")
    assert said["failed"]
    assert values_of(recorder.marks.messages[-1])["bad"].startswith("partial: ")
    partial = small_disk / f"{name}.partial"
    system.wait(partial.is_dir, "the episode stays partial")
    assert contents(whole) == before
    with open_bag(partial) as bag:
        assert counts(bag)[JOINTS] > 40
    ballast.unlink()
    with open_bag(recorder.record()) as bag:
        assert bag.custom["bad"] == ""
        assert not bag.losses
    assert recorder.process.is_running()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_P7_a_signal_finishes_the_open_episode(recorder: Recorder, number: signal.Signals) -> None:
    name = recorder.ask("start").split()[-1]
    recorder.hear()
    recorder.process.signal(number)
    assert recorder.process.wait() == 0
    with open_bag(recorder.output / name) as bag:
        assert [event for event, _ in marks(bag)] == ["start", "stop"]
        assert bag.custom["bad"] == ""
        assert not bag.losses


def test_what_breaks_the_contract_is_named(
    system: System, robot: StandInRobot, tmp_path: Path
) -> None:
    recorder = Recorder(system, tmp_path / "episodes", pre_roll_s=0.0)

    def bad() -> str:
        return open_bag(recorder.record()).custom["bad"]

    robot.silent = {"wrist_rgb"}
    assert "wrist_rgb: missing" in bad()
    robot.silent = set()
    robot.encoding = "bgr8"
    assert "encoding" in bad()
    robot.encoding = "rgb8"
    robot.image_size = (32, 24)
    assert "base_rgb: image has a wrong size: 32x24" in bad()
    robot.image_size = None
    robot.renamed = {"elbow_joint": "elbow"}
    assert "arm: message lacks joints of the contract" in bad()
    robot.renamed = {}
    robot.every = {"gripper": 3}
    assert "Hz, the contract says 50" in bad()


def test_a_running_robot_makes_a_good_episode_with_its_commands_and_who_gave_them(
    system: System, tmp_path: Path
) -> None:
    system.start_swaying_robot()
    recorder = Recorder(system, tmp_path, action_required="true", task="sway", operator="ann")
    folder = recorder.record()
    with open_bag(folder) as bag:
        assert bag.custom["bad"] == ""
        assert (bag.custom["task"], bag.custom["operator"]) == ("sway", "ann")
        assert bag.custom["contract"] == SMALL_ROBOT.read_text()
        found = counts(bag)
        assert found["/executor_node/commanded"] > 40
        assert found["/forward_position_controller/commands"] > 40
        assert found["/executor_node/status"] >= 1  # told before the episode: it lasts
        commanded = next(iter(bag.messages(["/executor_node/commanded"])))
        decoded = Decoder(bag.topics).decode(commanded.topic, commanded.data)
        assert next(iter(decoded.name)) == "shoulder_pan_joint"


def test_operators_command_by_topic_and_joystick(system: System, tmp_path: Path) -> None:
    system.start_fake_robot()
    output = tmp_path / "episodes"
    recorder = Recorder(system, output, button_start=0, button_stop=0, button_success=1)
    text = system.node.create_publisher(String, f"/{recorder.name}/command", 10)
    joystick = system.node.create_publisher(Joy, "/joy", qos_profile_sensor_data)
    for publisher in (text, joystick):
        system.wait(lambda p=publisher: p.get_subscription_count() > 0, "the recorder listens")

    def press(*buttons: int) -> None:
        joystick.publish(Joy(buttons=buttons))

    text.publish(String(data="start stack the cubes"))
    name = recorder.wait("RECORDING", task="stack the cubes")["name"]
    recorder.hear()
    press(0, 0)
    press(0, 1)
    recorder.wait("RECORDING", success="true")
    press(0, 0)
    press(1, 0)
    recorder.wait("IDLE", name=name)
    with open_bag(recorder.finished(name)) as bag:
        assert (bag.custom["task"], bag.custom["success"]) == ("stack the cubes", "true")
    recorder.ask("label_success", SetBool, SetBool.Request(data=False))
    system.wait(lambda: open_bag(output / name).custom["success"] == "false", "the new label")
    press(0, 0)
    press(1, 0)
    recorder.wait("RECORDING")
    text.publish(String(data="discard"))
    recorder.wait("IDLE", episodes_discarded="1")
    system.wait(lambda: os.listdir(output) == [name], "only the first episode is left")
    events = [mark.message for mark in recorder.marks.messages]
    assert events == ["start", "label", "stop", "label", "start", "discard"]


def test_diagnostics_tell_rates_and_what_is_frozen(
    system: System, robot: StandInRobot, tmp_path: Path
) -> None:
    recorder = Recorder(system, tmp_path)
    robot.frozen = {"base_rgb"}
    system.wait_counter(recorder.name, "repeated/base_rgb", 5)
    facts = system.facts(recorder.name)
    assert float(facts["rate_hz/arm"]) > 25
    assert {"lost/arm", "dropped/arm", "age_ms/arm", "skew_ms"} <= facts.keys()
