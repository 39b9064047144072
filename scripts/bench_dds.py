#!/usr/bin/env python3
"""Latency of camera images between two rclpy processes: the shipped DDS profile against none.

Needs `source scripts/env.sh`. Both sides take turns in one call. A latency runs from just before
`publish` to the subscriber's callback, so the conversion of the message in Python counts. The
target is judged on rclpy's default QoS, which loses nothing on either side; a median over the few
images that best effort delivers without the profile would flatter that side.
Prints JSON; exits with 1 when the target is missed or shared memory is left behind.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from measured_on import ROOT, measured_on
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

PROFILE = ROOT / "config" / "dds" / "fastdds_shm.xml"
TARGET_RATIO = 1 / 3
SHAPE = (480, 640, 3)
WARM_UP = 15  # first images, which also wait for memory to be mapped
TOPIC = "bench_image"
QOS = {
    "reliable": QoSProfile(depth=10),
    "best_effort": QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT),
}
VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")


def publish(qos: QoSProfile, count: int, rate_hz: float) -> None:
    """Publish numbered images once somebody listens; header.stamp is the monotonic clock."""
    rclpy.init()
    node = rclpy.create_node("bench_publisher")
    publisher = node.create_publisher(Image, TOPIC, qos)
    while publisher.get_subscription_count() == 0:
        time.sleep(0.01)
    message = Image(height=SHAPE[0], width=SHAPE[1], encoding="rgb8", step=SHAPE[1] * SHAPE[2])
    message.data.frombytes(np.random.default_rng(0).bytes(int(np.prod(SHAPE))))
    begin_s = time.monotonic() + 0.5
    for number in range(count):
        time.sleep(max(0.0, begin_s + number / rate_hz - time.monotonic()))
        message.header.frame_id = str(number)
        stamp = message.header.stamp
        stamp.sec, stamp.nanosec = divmod(time.monotonic_ns(), 1_000_000_000)
        publisher.publish(message)
    time.sleep(0.5)  # leave what is under way time to arrive
    node.destroy_node()
    rclpy.shutdown()


def subscribe(qos: QoSProfile, count: int) -> None:
    """Print the latencies (ns) of the images that arrive until the last one, or until silence."""
    rclpy.init()
    node = rclpy.create_node("bench_subscriber")
    latencies_ns: list[int] = []
    last = -1
    heard_s = time.monotonic() + 20.0  # discovery is given that long

    def receive(message: Image) -> None:
        nonlocal last, heard_s
        now_ns = time.monotonic_ns()
        stamp = message.header.stamp
        latencies_ns.append(now_ns - stamp.sec * 1_000_000_000 - stamp.nanosec)
        last, heard_s = int(message.header.frame_id), now_ns / 1e9

    node.create_subscription(Image, TOPIC, receive, qos)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while last < count - 1 and time.monotonic() < heard_s + 2.0:
        executor.spin_once(timeout_sec=0.1)
    print(json.dumps(latencies_ns))
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown()


def run_pair(profile: Path | None, qos: str, count: int, rate_hz: float) -> list[int]:
    """One repetition in two fresh processes; latencies (ns) of the images that arrived."""
    environment = {k: v for k, v in os.environ.items() if k not in VARIABLES}
    if profile is not None:
        environment |= dict.fromkeys(VARIABLES, str(profile))
    arguments = ["--qos", qos, "--messages", str(count), "--rate-hz", str(rate_hz)]

    def start(role: str) -> subprocess.Popen[str]:
        command = [sys.executable, __file__, "--role", role, *arguments]
        return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE)

    with start("subscribe") as subscriber, start("publish") as publisher:
        output = subscriber.communicate()[0]
        if subscriber.returncode or not output:
            publisher.terminate()
            raise SystemExit(f"bench_dds: the subscriber ended with {subscriber.returncode}")
        publisher.communicate(timeout=count / rate_hz + 10.0)
    return list(json.loads(output))


def orphans() -> set[str]:
    """Fast DDS segments in /dev/shm that no living process maps."""
    mapped = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            mapped |= {w for w in maps.read_text().split() if w.startswith("/dev/shm/")}
    names = {str(path) for path in Path("/dev/shm").glob("*fastrtps*")}
    return {n for n in names if n.removesuffix("_el") not in mapped and n not in mapped}


def summary(repetitions: list[list[int]], sent: int) -> dict[str, float | None]:
    """Figures of one side, milliseconds, without the warm-up; None where too few arrived."""
    pooled = np.concatenate([repetition[WARM_UP:] for repetition in repetitions]) / 1e6
    few = not pooled.size
    return {
        "median_ms": None if few else round(float(np.median(pooled)), 3),
        "p99_ms": None if few else round(float(np.percentile(pooled, 99)), 3),
        "max_ms": None if few else round(float(pooled.max()), 3),
        "sent": sent,
        "lost": sent - sum(map(len, repetitions)),
    }


def measure(qos: str, options: argparse.Namespace) -> dict[str, Any]:
    """Both profiles in turns."""
    sides: dict[str, list[list[int]]] = {"shipped": [], "default": []}
    for _ in range(options.repetitions):
        for name, profile in (("shipped", options.profile), ("default", None)):
            sides[name].append(run_pair(profile, qos, options.messages, options.rate_hz))
    figures = {n: summary(side, options.messages * len(side)) for n, side in sides.items()}
    shipped, default = figures["shipped"]["median_ms"], figures["default"]["median_ms"]
    ratio = None if shipped is None or default is None else round(shipped / default, 3)
    return {**figures, "ratio_of_medians": ratio}


def main() -> int:
    """Run as one of the two processes, or start them and print the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=100, help="images per repetition (100)")
    parser.add_argument("--rate-hz", type=float, default=30.0, help="images per second (30)")
    parser.add_argument("--repetitions", type=int, default=3, help="of each profile (3)")
    parser.add_argument("--profile", type=Path, default=PROFILE, help="profile to measure")
    parser.add_argument("--role", choices=("publish", "subscribe"), help=argparse.SUPPRESS)
    parser.add_argument("--qos", choices=tuple(QOS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role == "publish":
        publish(QOS[options.qos], options.messages, options.rate_hz)
        return 0
    if options.role == "subscribe":
        subscribe(QOS[options.qos], options.messages)
        return 0
    before = orphans()
    figures = {qos: measure(qos, options) for qos in QOS}
    left = sorted(orphans() - before)
    ratio = figures["reliable"]["ratio_of_medians"]
    reached = ratio is not None and ratio <= TARGET_RATIO
    report = {
        "benchmark": "one hop between two rclpy processes, 640x480 rgb8 sensor_msgs/Image",
        **figures,
        "target": f"reliable ratio_of_medians <= {TARGET_RATIO:.3f}",
        "reached": reached,
        "left_in_dev_shm": left,
        **measured_on(),
    }
    print(json.dumps(report, indent=2))
    return 0 if reached and not left else 1


if __name__ == "__main__":
    sys.exit(main())
