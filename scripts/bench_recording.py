#!/usr/bin/env python3
"""What `ros2 bag record` loses, and what it costs: four cameras and the joints of a robot.

Needs `source scripts/env.sh`. Each source is a process of its own that numbers its messages in
`header.frame_id`; the bag is read back and the numbers that are missing are counted. Raw rgb8
images and JPEG take turns. Publishers use rclpy's default QoS, which retransmits; the figures say
how late they were themselves, since a source that was held up tells nothing about the recorder.
Prints JSON; exits with 1 when a message is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from measured_on import measured_on
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image, JointState

from rosbag2_py import ConverterOptions, SequentialReader, StorageOptions

SHAPE = (480, 640, 3)
CAMERA_HZ = 30.0
JOINTS_HZ = 100.0
JOINTS = 14
JOINTS_TOPIC = "/bench/joint_states"
DISCOVERY_S = 30.0


def camera_topics(count: int) -> list[str]:
    """Topics of so many cameras."""
    return [f"/bench/camera_{number}" for number in range(count)]


def make_message(kind: str, seed: int) -> Any:
    """Return a message of one source; the picture has noise, as one of a camera has."""
    if kind == "joints":
        zeros = [0.0] * JOINTS
        names = [f"joint_{number}" for number in range(JOINTS)]
        return JointState(name=names, position=zeros, velocity=zeros, effort=zeros)
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    scene = cv2.resize(coarse, SHAPE[1::-1], interpolation=cv2.INTER_CUBIC).astype(np.int16)
    noise = generator.integers(-6, 7, SHAPE, dtype=np.int16)
    picture = np.clip(scene + noise, 0, 255).astype(np.uint8)
    if kind == "raw":
        height, width, _ = SHAPE
        message = Image(height=height, width=width, encoding="rgb8", step=width * 3)
        message.data.frombytes(picture.tobytes())
    else:
        message = CompressedImage(format="rgb8; jpeg compressed bgr8")
        message.data.frombytes(cv2.imencode(".jpg", picture)[1].tobytes())
    return message


def publish(kind: str, topic: str, seconds: float) -> None:
    """Publish numbered messages once somebody listens; print how late the source was itself."""
    rclpy.init()
    node = rclpy.create_node(topic.strip("/").replace("/", "_"))
    message = make_message(kind, seed=sum(topic.encode()))
    publisher = node.create_publisher(type(message), topic, 10)
    while publisher.get_subscription_count() == 0:
        time.sleep(0.01)
    rate_hz = JOINTS_HZ if kind == "joints" else CAMERA_HZ
    count = round(seconds * rate_hz)
    begin_s = time.monotonic() + 1.0
    latest_s = 0.0
    for number in range(count):
        due_s = begin_s + number / rate_hz
        time.sleep(max(0.0, due_s - time.monotonic()))
        latest_s = max(latest_s, time.monotonic() - due_s)
        message.header.frame_id = str(number)
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)
    took_s = time.monotonic() - begin_s
    time.sleep(1.0)  # leave what is under way time to arrive
    node.destroy_node()
    rclpy.shutdown()
    print(json.dumps({"sent": count, "latest_ms": round(latest_s * 1e3, 1), "took_s": took_s}))


def count_recorded(bag: Path) -> dict[str, Counter[int]]:
    """Numbers of the messages in a bag, by topic."""
    reader = SequentialReader()
    reader.open(StorageOptions(str(bag)), ConverterOptions())
    kinds = {topic.name: topic.type for topic in reader.get_all_topics_and_types()}
    classes = {c.__name__: c for c in (Image, CompressedImage, JointState)}
    found: dict[str, Counter[int]] = {name: Counter() for name in kinds}
    while reader.has_next():
        topic, data, _ = reader.read_next()
        message = deserialize_message(data, classes[kinds[topic].split("/")[-1]])
        found[topic][int(message.header.frame_id)] += 1
    return found


def end(process: subprocess.Popen[str]) -> tuple[int, float]:
    """Interrupt the recorder; its exit code, and the CPU time (s) it took in all."""
    process.send_signal(signal.SIGINT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime


def measure(kind: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Record one kind of input once."""
    bag = folder / "bag"
    sources = dict.fromkeys(camera_topics(options.cameras), kind) | {JOINTS_TOPIC: "joints"}
    command = ["ros2", "bag", "record", "-s", options.storage, "-o", str(bag), "--topics"]
    log = folder / f"{kind}.log"
    with log.open("w") as errors:
        recorder = subprocess.Popen([*command, *sources], stderr=errors, text=True)
    publishers = {
        topic: subprocess.Popen(
            [sys.executable, __file__, "--source", source, topic, str(options.seconds)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for topic, source in sources.items()
    }
    try:
        limit_s = options.seconds * 2 + DISCOVERY_S
        lines = {t: p.communicate(timeout=limit_s)[0] for t, p in publishers.items()}
        code, cpu_s = end(recorder)
    finally:
        for process in (*publishers.values(), recorder):
            if process.poll() is None:
                process.kill()
                process.wait()
    told = {topic: json.loads(line) for topic, line in lines.items()}
    took_s = max(said["took_s"] for said in told.values())
    topics = missing_by_topic(told, count_recorded(bag))
    size = sum(path.stat().st_size for path in bag.iterdir())
    return {
        "topics": topics,
        "missing": sum(figures["missing"] for figures in topics.values()),
        "recorder_exit_code": code,
        "recorder_told": re.findall(r".* (?:lost|dropped)\b.*", log.read_text()),
        "recorder_cpu_of_one_core": round(cpu_s / took_s, 3),
        "took_s": round(took_s, 2),
        "mb_per_s": round(size / took_s / 1e6, 1),
    }


def missing_by_topic(
    told: dict[str, Any], found: dict[str, Counter[int]]
) -> dict[str, dict[str, Any]]:
    """What each source says it sent, against what is in the bag."""
    figures = {}
    for topic, said in told.items():
        numbers = found.get(topic, Counter())
        figures[topic] = {
            "sent": said["sent"],
            "missing": said["sent"] - len(numbers),
            "twice": numbers.total() - len(numbers),
            "source_late_ms": said["latest_ms"],
        }
    return figures


def main() -> int:
    """Run as one of the sources, or start everything and print the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="of recording (60)")
    parser.add_argument("--cameras", type=int, default=4, help="640x480 at 30 Hz (4)")
    parser.add_argument("--storage", choices=("mcap", "sqlite3"), default="mcap")
    parser.add_argument("--inputs", nargs="+", choices=("raw", "jpeg"), default=["raw", "jpeg"])
    parser.add_argument("--folder", type=Path, help="where bags lie meanwhile (a temporary one)")
    parser.add_argument("--source", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.source:
        kind, topic, seconds = options.source
        publish(kind, topic, float(seconds))
        return 0
    inputs: dict[str, Any] = {}
    for kind in options.inputs:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            inputs[kind] = measure(kind, options, Path(folder))
    reached = all(not figures["missing"] for figures in inputs.values())
    report = {
        "benchmark": f"{options.cameras} cameras 640x480 at {CAMERA_HZ:g} Hz and {JOINTS} joints "
        f"at {JOINTS_HZ:g} Hz into {options.storage} by ros2 bag record",
        "seconds": options.seconds,
        "inputs": inputs,
        "target": "no message missing",
        "reached": reached,
        **measured_on(),
    }
    print(json.dumps(report, indent=2))
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
