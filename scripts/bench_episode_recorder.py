#!/usr/bin/env python3
"""What episode_recorder loses, and what it costs: four cameras at 30 Hz, joints at 100 Hz.

Needs `source scripts/env.sh`. One process publishes numbered messages that it has serialised
before, the recorder takes them into a bag, and the numbers in the bag are counted. Raw images are
the target (nothing lost); JPEG images of the same size stand beside them.
Prints JSON; exits with 1 when a raw message was lost.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from ament_index_python.packages import get_package_prefix
from mcap.reader import make_reader
from measured_on import measured_on
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_srvs.srv import Trigger

CAMERAS, CAMERA_HZ, JOINTS_HZ = 4, 30, 100
HEIGHT, WIDTH = 480, 640
JOINTS = [f"joint{number}" for number in range(7)]
JOINT_TOPICS = ("/bench/joint_states", "/bench/commands")
STAMP_AT, NUMBER_AT, DIGITS = 4, 16, 8  # in CDR: encapsulation, stamp, length of frame_id, itself
TICKS_HZ = os.sysconf("SC_CLK_TCK")
TYPES = {"raw": (Image, "sensor_msgs/msg/Image", "rgb8")}
TYPES["jpeg"] = (CompressedImage, "sensor_msgs/msg/CompressedImage", "jpeg")


def camera_topic(number: int) -> str:
    return f"/bench/camera{number}"


def contract(kind: str) -> str:
    """A robot of seven joints and the cameras."""
    _, type_name, encoding = TYPES[kind]
    joint = {"unit": "rad", "range": [-3, 3], "velocity": 1, "acceleration": 5}
    camera = {"type": type_name, "encoding": encoding, "width": WIDTH, "height": HEIGHT}
    state = {"type": "sensor_msgs/msg/JointState", "joints": JOINTS}
    document = {
        "schema": 1,
        "robot": "bench",
        "description": "seven joints and four cameras",
        "policy_rate_hz": 30,
        "control_rate_hz": 100,
        "joints": dict.fromkeys(JOINTS, joint),
        "streams": {"arm": {"topic": JOINT_TOPICS[0], "rate_hz": JOINTS_HZ, **state}},
        "state": JOINTS,
        "cameras": {
            f"camera{n}": {"topic": camera_topic(n), "rate_hz": CAMERA_HZ, **camera}
            for n in range(CAMERAS)
        },
        "action": {"arm": {"topic": JOINT_TOPICS[1], **state}},
        "safety": {"start_offset": {"rad": 0.5}, "gross_offset": {"rad": 1.5}},
    }
    return json.dumps(document, indent=1)  # which is YAML


def serialised_image(kind: str) -> bytes:
    """One image, to be numbered."""
    x, y = np.meshgrid(np.linspace(0, 255, WIDTH), np.linspace(0, 255, HEIGHT))
    noise = np.random.default_rng(0).normal(0, 4, (HEIGHT, WIDTH, 3))
    picture = np.clip(np.dstack([x, y, 255 - x]) + noise, 0, 255).astype(np.uint8)
    if kind == "raw":
        message = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=3 * WIDTH)
        message.data.frombytes(picture.tobytes())
    else:
        message = CompressedImage(format="jpeg")
        message.data.frombytes(cv2.imencode(".jpg", picture)[1].tobytes())
    message.header.frame_id = "0" * DIGITS
    return bytes(serialize_message(message))


class Source:
    """One topic that is published at a fixed rate, from the given time (s) on."""

    def __init__(self, publisher: Any, data: bytes, rate_hz: float, due_s: float) -> None:
        self._publisher, self._data = publisher, bytearray(data)
        self._period_s, self.due_s = 1 / rate_hz, due_s
        self._number = 0

    def publish(self) -> None:
        """Publish the next message."""
        stamp = b"".join(part.to_bytes(4, "little") for part in divmod(time.time_ns(), 10**9))
        self._data[STAMP_AT : STAMP_AT + 8] = stamp
        self._data[NUMBER_AT : NUMBER_AT + DIGITS] = b"%08d" % self._number
        self._publisher.publish(bytes(self._data))
        self._number += 1
        self.due_s += self._period_s


def publish(kind: str) -> None:
    """Publish until the process is ended."""
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    node = rclpy.create_node("bench_publisher")
    joints = JointState(name=JOINTS, position=[0.0] * len(JOINTS))
    joints.header.frame_id = "0" * DIGITS
    image, begin_s = serialised_image(kind), time.monotonic()
    sources = []
    for number in range(CAMERAS):
        publisher = node.create_publisher(
            TYPES[kind][0], camera_topic(number), qos_profile_sensor_data
        )
        due_s = begin_s + number / CAMERAS / CAMERA_HZ
        sources.append(Source(publisher, image, CAMERA_HZ, due_s))
    for topic in JOINT_TOPICS:
        publisher = node.create_publisher(JointState, topic, QoSProfile(depth=10))
        sources.append(Source(publisher, serialize_message(joints), JOINTS_HZ, begin_s))
    while True:
        source = min(sources, key=lambda source: source.due_s)
        time.sleep(max(0.0, source.due_s - time.monotonic()))
        source.publish()


def ask(node: Node, name: str) -> str:
    """Call one of the recorder's services."""
    client = node.create_client(Trigger, f"/episode_recorder/{name}")
    if not client.wait_for_service(30):
        raise SystemExit("bench_episode_recorder: the recorder did not start")
    future = client.call_async(Trigger.Request())
    rclpy.spin_until_future_complete(node, future, timeout_sec=30)
    answer = future.result()
    if answer is None or not answer.success:
        raise SystemExit(f"bench_episode_recorder: {name}: {answer}")
    return str(answer.message)


def cpu_s(pid: int) -> float:
    """CPU time of a process so far."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / TICKS_HZ


def resident_mb(pid: int) -> int:
    """Largest resident memory of a process."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) // 1000


def count(bag: Path) -> dict[str, dict[str, int]]:
    """Messages in the bag, and how many are missing between the first and the last, by topic."""
    numbers: dict[str, list[int]] = {}
    for file in sorted(bag.glob("*.mcap")):
        with file.open("rb") as stream:
            for _, channel, message in make_reader(stream, validate_crcs=True).iter_messages():
                if channel.topic.startswith("/bench/"):
                    number = int(message.data[NUMBER_AT : NUMBER_AT + DIGITS])
                    numbers.setdefault(channel.topic, []).append(number)
    return {
        topic: {"recorded": len(found), "lost": max(found) - min(found) + 1 - len(found)}
        for topic, found in sorted(numbers.items())
    }


def measure(kind: str, seconds: float, folder: Path) -> dict[str, Any]:
    """Record one episode."""
    file, output = folder / f"{kind}.yaml", folder / kind
    file.write_text(contract(kind))
    executable = Path(get_package_prefix("vla_recorder"), "lib/vla_recorder/episode_recorder")
    values = {"contract": file, "output_dir": output, "autostart": "true"}
    given = [word for name, value in values.items() for word in ("-p", f"{name}:={value}")]
    node = rclpy.create_node("bench")
    with (
        subprocess.Popen([sys.executable, __file__, "--publish", kind]) as publisher,
        subprocess.Popen([str(executable), "--ros-args", *given]) as recorder,
    ):
        pids = {"recorder": recorder.pid, "publisher": publisher.pid}
        try:
            time.sleep(5.0)  # discovery
            ask(node, "start")
            began_s, before = time.monotonic(), {name: cpu_s(pid) for name, pid in pids.items()}
            time.sleep(seconds)
            took_s = time.monotonic() - began_s
            cpu = {n: round((cpu_s(pid) - before[n]) / took_s, 3) for n, pid in pids.items()}
            answer = ask(node, "stop")
            memory = resident_mb(recorder.pid)
        finally:
            recorder.send_signal(signal.SIGINT)
            recorder.wait()
            publisher.terminate()
    node.destroy_node()
    (bag,) = output.iterdir()
    topics = count(bag)
    return {
        "seconds": round(took_s, 1),
        "answer": answer,
        "bag_mb": round(sum(f.stat().st_size for f in bag.iterdir()) / 1e6),
        "cpu_of_one_core": cpu,
        "recorder_resident_mb": memory,
        "topics": topics,
        "lost": sum(topic["lost"] for topic in topics.values()),
    }


def main() -> int:
    """Run as the publisher, or start all and print the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="length of an episode (60)")
    parser.add_argument("--kinds", nargs="+", default=["raw", "jpeg"], choices=tuple(TYPES))
    parser.add_argument("--folder", type=Path, help="where bags are written for a while")
    parser.add_argument("--publish", choices=tuple(TYPES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.publish:
        publish(options.publish)
    rclpy.init()
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for kind in options.kinds:
            report[kind] = measure(kind, options.seconds, Path(folder))
    rclpy.shutdown()
    print(json.dumps({"episode_recorder": report, **measured_on()}, indent=2))
    return 1 if report.get("raw", {}).get("lost") else 0


if __name__ == "__main__":
    sys.exit(main())
