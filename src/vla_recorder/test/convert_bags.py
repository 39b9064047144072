"""Small robots, and bags of them that can be made wrong in every way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from vla_core.contract import Contract, parse_contract
from vla_recorder.cli.convert import main

TYPES = get_typestore(Stores.ROS2_JAZZY)
SECOND = 10**9
T0 = 1_700_000_000 * SECOND
WIDTH, HEIGHT = 32, 24
TASK = "lift the cube"

CONTRACT = f"""
schema: 1
robot: toy
description: two joints and a camera
policy_rate_hz: 20
control_rate_hz: 100
joints:
  lift: {{unit: rad, range: [-10, 10], velocity: 3, acceleration: 20}}
  turn: {{unit: rad, range: [-10, 10], velocity: 3, acceleration: 20}}
streams:
  arm: {{topic: /joint_states, type: sensor_msgs/msg/JointState, rate_hz: 50,
    joints: {{lift: j2, turn: j1}}}}
state: [turn, lift]
cameras:
  top: {{topic: /top/image, type: sensor_msgs/msg/Image, encoding: rgb8,
    width: {WIDTH}, height: {HEIGHT}, rate_hz: 20}}
action:
  arm: {{topic: /arm/command, type: std_msgs/msg/Float64MultiArray, joints: [lift, turn]}}
safety:
  start_offset: {{rad: 0.5}}
  gross_offset: {{rad: 1.5}}
"""
ARM, TOP, COMMAND, COMMANDED = (
    *("/joint_states", "/top/image", "/arm/command"),
    "/executor_node/commanded",
)
JOINT_STATE, IMAGE = "sensor_msgs/msg/JointState", "sensor_msgs/msg/Image"
FLOATS, STATUS = "std_msgs/msg/Float64MultiArray", "diagnostic_msgs/msg/DiagnosticStatus"
MARKS = "/episode_recorder/marks"


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A message on its way into a bag."""

    topic: str
    type: str
    received_ns: int
    message: Any = None
    data: bytes | None = None  # instead of a message that is serialised


def header(stamp_ns: int) -> Any:
    time = TYPES.types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, SECOND))
    return TYPES.types["std_msgs/msg/Header"](time, "base")


def joints(topic: str, stamp_ns: int, values: Mapping[str, float], late_ns: int = 0) -> Sent:
    none = np.zeros(0)
    message = TYPES.types[JOINT_STATE](
        header(stamp_ns), list(values), np.array(list(values.values()), float), none, none
    )
    return Sent(topic=topic, type=JOINT_STATE, received_ns=stamp_ns + late_ns, message=message)


def picture(index: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(height, width, 3) uint8 of one grey; its level is index + 20."""
    return np.full((height, width, 3), (index + 20) % 256, np.uint8)


def image(
    topic: str, stamp_ns: int, pixels: np.ndarray, encoding: str = "rgb8", late_ns: int = 0
) -> Sent:
    height, width = pixels.shape[:2]
    flat = np.frombuffer(pixels.tobytes(), np.uint8)
    step = flat.size // height
    message = TYPES.types[IMAGE](header(stamp_ns), height, width, encoding, 0, step, flat)
    return Sent(topic=topic, type=IMAGE, received_ns=stamp_ns + late_ns, message=message)


def compressed(topic: str, stamp_ns: int, data: bytes, form: str) -> Sent:
    kind = "sensor_msgs/msg/CompressedImage"
    message = TYPES.types[kind](header(stamp_ns), form, np.frombuffer(data, np.uint8))
    return Sent(topic=topic, type=kind, received_ns=stamp_ns, message=message)


def floats(topic: str, time_ns: int, values: Iterable[float]) -> Sent:
    layout = TYPES.types["std_msgs/msg/MultiArrayLayout"]([], 0)
    message = TYPES.types[FLOATS](layout, np.array(list(values), float))
    return Sent(topic=topic, type=FLOATS, received_ns=time_ns, message=message)


def mark(event: str, episode: str, time_ns: int, **values: str) -> Sent:
    pair = TYPES.types["diagnostic_msgs/msg/KeyValue"]
    pairs = {"episode": episode, "time_ns": str(time_ns), **values}
    message = TYPES.types[STATUS](
        0, "episode", event, "toy", [pair(key, value) for key, value in pairs.items()]
    )
    return Sent(topic=MARKS, type=STATUS, received_ns=time_ns, message=message)


def position(time_ns: int) -> dict[str, float]:
    """What the arm measures: j1 (turn) is the time in s, j2 (lift) minus that."""
    passed_s = (time_ns - T0) / SECOND
    return {"j1": passed_s, "j2": -passed_s}


def recording(seconds: float = 2.0, begin_ns: int = T0) -> list[Sent]:
    """An arm at 50 Hz, a camera at 20 Hz, 1 ms later, and what was commanded at 100 Hz."""
    end_ns = begin_ns + round(seconds * SECOND)
    sent = [joints(ARM, t, position(t)) for t in range(begin_ns, end_ns, SECOND // 50)]
    times = range(begin_ns + 10**6, end_ns, SECOND // 20)
    sent += [image(TOP, t, picture(index), late_ns=10**6) for index, t in enumerate(times)]
    for t in range(begin_ns, end_ns, SECOND // 100):
        sent.append(joints(COMMANDED, t, {"lift": (t - T0) / 1e8, "turn": 7.0}))
    return sorted(sent, key=lambda one: one.received_ns)


def changed(
    sent: Iterable[Sent], topic: str, change: Callable[[int, Sent], Sent | None]
) -> list[Sent]:
    """Messages of a topic changed one by one, by their index; None drops it."""
    found: list[Sent] = []
    index = 0
    for one in sent:
        kept: Sent | None = one
        if one.topic == topic:
            kept, index = change(index, one), index + 1
        found += [kept] if kept is not None else []
    return found


def restamped(one: Sent, stamp_ns: int) -> Sent:
    return replace(one, message=replace(one.message, header=header(stamp_ns)))


def stamp_of(one: Sent) -> int:
    stamp = one.message.header.stamp
    return stamp.sec * SECOND + stamp.nanosec


def write_bag(
    folder: Path,
    sent: Iterable[Sent],
    *,
    custom: Mapping[str, str] | None = None,
    storage: StoragePlugin = StoragePlugin.MCAP,
    compress: bool = False,
    definitions: Mapping[str, str] | None = None,
) -> Path:
    """A bag by rosbags; it tells its task unless told otherwise."""
    writer = Writer(folder, version=9, storage_plugin=storage)
    if compress:
        writer.set_compression(CompressionMode.FILE, CompressionFormat.ZSTD)
    for key, value in ({"task": TASK} if custom is None else custom).items():
        writer.set_custom_data(key, value)
    connections: dict[str, Any] = {}
    with writer:
        for one in sent:
            if one.topic not in connections:
                text = (definitions or {}).get(one.topic)
                how: dict[str, Any] = {"typestore": TYPES} if text is None else {"msgdef": text}
                if text is not None:
                    how["rihs01"] = "RIHS01_" + "0" * 64
                connections[one.topic] = writer.add_connection(one.topic, one.type, **how)
            data = one.data or TYPES.serialize_cdr(one.message, one.type)
            writer.write(connections[one.topic], one.received_ns, bytes(data))
    return folder


@dataclass
class Lab:
    """A folder with a contract, bags and outputs."""

    folder: Path
    text: str = CONTRACT
    contract: Contract = field(init=False)
    file: Path = field(init=False)

    def __post_init__(self) -> None:
        self.contract = parse_contract(self.text)
        self.file = self.folder / "contract.yaml"
        self.file.write_text(self.text)

    @property
    def output(self) -> Path:
        return self.folder / "out"

    def bag(self, sent: Iterable[Sent], name: str = "bag", **how: Any) -> Path:
        return write_bag(self.folder / name, sent, **how)

    def convert(self, *arguments: str | Path) -> int:
        """The exit code of the command."""
        given = [str(argument) for argument in arguments]
        return main([*given, "--contract", str(self.file), "--output", str(self.output),
                     "--workers", "1"])  # fmt: skip

    def run(self) -> dict[str, Any]:
        """The newest run of the manifest."""
        runs = json.loads((self.output / "meta/conversion.json").read_text())["runs"]
        found: dict[str, Any] = runs[-1]
        return found


def files_of(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
