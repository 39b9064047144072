#!/usr/bin/env python3
"""Speed and memory of `ros2 run vla_recorder convert`, beside the bare encoder and LeRobot.

Needs `source scripts/env.sh`. Makes a bag of raw 640x480 pictures of two cameras and of joints,
converts it with one worker, and encodes the same pictures with PyAV alone (same codec, preset and
threads, one camera after the other and both at once: the faster counts), in turns; shares are
medians over the turns, so that other work on the machine counts against both. With --lerobot
PYTHON, of an environment with LeRobot 0.3.3, its own add_frame and save_episode make a dataset of
the same frames. Memory is the largest resident size of a process that converts one episode: of
--short and of --long seconds of small pictures, and of large ones. The minutes for an hour of two
cameras at 30 fps are extrapolated from the speed. Prints JSON; exits with 1 when a target is
missed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from measured_on import measured_on
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from vla_core.dataset.encoding import ENCODERS, Encoding
from vla_recorder.convert.conversion import Request, convert
from vla_recorder.convert.engine import Local
from vla_recorder.convert.options import Options
from vla_recorder.convert.work import Existing

FPS = 30
CAMERAS = ("top", "wrist")
DISTINCT = 30  # pictures per camera, repeated
TYPES = get_typestore(Stores.ROS2_JAZZY)
BEGIN_NS = 1_700_000_000 * 10**9
CODECS = {"av1": ("12", 15.0), "h264": ("veryfast", 10.0)}  # preset, minutes for one hour
SHARE_OF_ENCODER, TIMES_LEROBOT, MEMORY_MB, GROWTH = 0.9, 4.0, 400.0, 1.1
Pictures = dict[str, list[np.ndarray]]


class Speed(NamedTuple):
    """Frames per second, and what a frame takes of all cores."""

    fps: float
    cpu_ms: float


class Clock:
    """Begins when it is made."""

    def __init__(self) -> None:
        self._wall_s, self._cpu_s = time.perf_counter(), time.process_time()

    def speed(self, frames: int) -> Speed:
        """Of so many frames since then."""
        cpu_s = time.process_time() - self._cpu_s
        return Speed(frames / (time.perf_counter() - self._wall_s), 1e3 * cpu_s / frames)


def contract_text(width: int, height: int) -> str:
    """Six joints at 100 Hz and two cameras."""
    joint = "{unit: rad, range: [-4, 4], velocity: 3, acceleration: 20}"
    names = [f"j{index}" for index in range(6)]
    image = f"sensor_msgs/msg/Image, encoding: rgb8, width: {width}, height: {height}"
    return "\n".join(
        [
            "schema: 1\nrobot: bench\ndescription: bench",
            f"policy_rate_hz: {FPS}\ncontrol_rate_hz: 100\njoints:",
            *(f"  {name}: {joint}" for name in names),
            "streams:\n  arm: {topic: /joints, type: sensor_msgs/msg/JointState,"
            f" joints: [{', '.join(names)}], rate_hz: 100}}",
            f"state: [{', '.join(names)}]\ncameras:",
            *(f"  {c}: {{topic: /{c}, type: {image}, rate_hz: {FPS}}}" for c in CAMERAS),
            "action:\n  arm: {topic: /commands, type: sensor_msgs/msg/JointState,"
            f" joints: [{', '.join(names)}]}}",
            "safety:\n  start_offset: {rad: 0.5}\n  gross_offset: {rad: 1.5}\n",
        ]
    )


def make_pictures(width: int, height: int) -> Pictures:
    """Moving shapes over a smooth background with a camera's noise."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    found: Pictures = {}
    for number, camera in enumerate(CAMERAS):
        frames = []
        for index in range(DISTINCT):
            phase = 2 * np.pi * index / DISTINCT + number
            base = np.stack([x / width, y / height, (x + y) / (width + height)], axis=-1) * 160
            at = width * (0.5 + 0.3 * np.cos(phase)), height * (0.5 + 0.3 * np.sin(phase))
            near = (x - at[0]) ** 2 + (y - at[1]) ** 2 < (height / 6) ** 2
            base[near] = (220, 60, 40)
            base += rng.normal(0, 2, base.shape)
            frames.append(np.clip(base, 0, 255).astype(np.uint8))
        found[camera] = frames
    return found


def write_bag(folder: Path, pictures: Pictures, seconds: float) -> Path:
    """Raw pictures and joints, in the order of time."""
    height, width, _ = pictures[CAMERAS[0]][0].shape
    joint, image = "sensor_msgs/msg/JointState", "sensor_msgs/msg/Image"
    none = np.zeros(0)
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        arm, command = (
            writer.add_connection(topic, joint, typestore=TYPES)
            for topic in ("/joints", "/commands")
        )
        cameras = {c: writer.add_connection(f"/{c}", image, typestore=TYPES) for c in CAMERAS}
        steps = sorted(
            [(BEGIN_NS + n * 10**7, -1) for n in range(round(seconds * 100))]
            + [(BEGIN_NS + n * 10**9 // FPS + 10**6, n) for n in range(round(seconds * FPS))]
        )
        for stamp_ns, number in steps:
            time_ = TYPES.types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9))
            header = TYPES.types["std_msgs/msg/Header"](time_, "")
            if number < 0:
                values = np.sin((stamp_ns - BEGIN_NS) / 1e9 + np.arange(6))
                names = [f"j{index}" for index in range(6)]
                message = TYPES.types[joint](header, names, values, none, none)
                data = TYPES.serialize_cdr(message, joint)
                writer.write(arm, stamp_ns, data)
                writer.write(command, stamp_ns, data)
                continue
            for camera, connection in cameras.items():
                flat = pictures[camera][number % DISTINCT].reshape(-1)
                message = TYPES.types[image](header, height, width, "rgb8", 0, width * 3, flat)
                writer.write(connection, stamp_ns, TYPES.serialize_cdr(message, image))
    return folder


def encode_alone(file: Path, frames: list[np.ndarray], count: int, encoding: Encoding) -> None:
    """What PyAV takes for the pictures of one camera."""
    encoder = ENCODERS[encoding.codec]
    height, width, _ = frames[0].shape
    with av.open(str(file), "w") as container:
        stream = container.add_stream(encoder.name, rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, encoding.pixel_format
        stream.codec_context.thread_count, stream.codec_context.gop_size = 2, encoding.gop
        stream.codec_context.options = {
            "crf": str(encoder.crf),
            "preset": str(encoding.preset),
            **dict(encoder.options),
        }
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(frames[index % DISTINCT], format="rgb24")
            frame.pts = index  # libav converts the colours
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def bare(folder: Path, pictures: Pictures, count: int, encoding: Encoding) -> Speed:
    """Both cameras: one after the other, or both at once, whichever is faster."""
    speeds = []
    for threads in (1, len(CAMERAS)):
        began = Clock()
        with ThreadPoolExecutor(threads) as pool:
            jobs = [
                pool.submit(encode_alone, folder / f"{c}.mp4", frames, count, encoding)
                for c, frames in pictures.items()
            ]
            for job in jobs:
                job.result()
        speeds.append(began.speed(len(CAMERAS) * count))
    return max(speeds)


@contextmanager
def no_bar(title: str, total: int, unit: str) -> Iterator[Any]:
    yield lambda amount: None


def ours(folder: Path, bag: Path, contract: Path, count: int, encoding: Encoding) -> Speed:
    """The whole conversion: both readings, checks, hashes, statistics, the dataset."""
    request = Request(
        bags=(bag,),
        contract=contract,
        output=folder / "dataset",
        version="v2.1",
        options=Options(encoding=encoding, task="bench"),
        existing=Existing(overwrite=True),
    )
    began = Clock()
    lost = convert(request, Local(), no_bar)
    speed = began.speed(len(CAMERAS) * count)
    if lost:
        raise SystemExit(f"bench_convert: lost {lost}")
    return speed


LEROBOT = """
import sys, time
import torch
library = torch.library.Library("torchvision", "DEF")  # no build of torchvision fits torch's
for name in ("nms", "qnms"):
    library.define(f"{name}(Tensor dets, Tensor scores, float threshold) -> Tensor")
import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset

count, root = int(sys.argv[2]), sys.argv[3]
frames = {f"observation.images.{c}": pictures for c, pictures in np.load(sys.argv[1]).items()}
names, joints = ["height", "width", "channels"], [f"j{i}" for i in range(6)]
features = {
    key: {"dtype": "video", "shape": pictures.shape[1:], "names": names}
    for key, pictures in frames.items()
}
for key in ("observation.state", "action"):
    features[key] = {"dtype": "float32", "shape": (6,), "names": joints}
dataset = LeRobotDataset.create("bench/bench", fps=30, root=root, features=features)
began = time.perf_counter()
for index in range(count):
    row = {key: pictures[index % len(pictures)] for key, pictures in frames.items()}
    vector = np.full(6, index, np.float32)
    dataset.add_frame({**row, "observation.state": vector, "action": vector}, task="bench")
dataset.save_episode()
print(len(frames) * count / (time.perf_counter() - began))
"""


def lerobot_fps(python: str, folder: Path, pictures: Pictures, count: int) -> float:
    """The same by LeRobot's own writer, in its own environment; its codec is AV1."""
    file = folder / "pictures.npz"
    np.savez(file, **{camera: np.stack(frames) for camera, frames in pictures.items()})
    root = folder / "lerobot"
    shutil.rmtree(root, ignore_errors=True)
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [python, "-c", LEROBOT, str(file), str(count), str(root)],
        env=environment | {"HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout.splitlines()[-1])


PEAK = r"""
import re, sys
from pathlib import Path
from vla_recorder.cli.convert import main
code = main(sys.argv[1:])
print(re.search(r"VmHWM:\s*([0-9]+) kB", Path("/proc/self/status").read_text())[1])
sys.exit(code)
"""


def peak_mb(bag: Path, contract: Path, output: Path, encoding: Encoding) -> float:
    """The largest resident size of a process that does all of a conversion."""
    line = [sys.executable, "-c", PEAK, str(bag), "--task", "bench", "--workers", "1"]
    line += ["--contract", str(contract), "--output", str(output)]
    line += ["--codec", encoding.codec, "--preset", str(encoding.preset)]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout.splitlines()[-1]) / 1024


def measure_speed(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """By codec: conversion beside the bare encoder, and beside LeRobot."""
    pictures, count = make_pictures(640, 480), round(options.seconds * FPS)
    contract = folder / "large.yaml"
    contract.write_text(contract_text(640, 480))
    bag = write_bag(folder / "large", pictures, options.seconds)
    report: dict[str, Any] = {}
    for codec, (preset, minutes) in CODECS.items():
        encoding = Encoding(codec=codec, preset=preset)
        turns = [
            (
                ours(folder, bag, contract, count, encoding),
                bare(folder, pictures, count, encoding),
            )
            for _ in range(options.turns)
        ]
        fps = statistics.median(one.fps for one, _ in turns)
        report[codec] = {
            "preset": preset,
            "frames_per_s": round(fps, 1),
            "bare_encoder_frames_per_s": round(statistics.median(b.fps for _, b in turns), 1),
            "share_of_bare_encoder": round(statistics.median(o.fps / b.fps for o, b in turns), 3),
            "cpu_ms_per_frame": round(statistics.median(o.cpu_ms for o, _ in turns), 2),
            "bare_encoder_cpu_ms_per_frame": round(
                statistics.median(b.cpu_ms for _, b in turns), 2
            ),
            "minutes_for_an_hour_of_two_cameras": round(3600 * FPS * len(CAMERAS) / fps / 60, 1),
            "target_minutes": minutes,
        }
    if options.lerobot:
        theirs = lerobot_fps(options.lerobot, folder, pictures, count)
        own = ours(folder, bag, contract, count, Encoding(codec="av1", preset="12")).fps
        report["lerobot_0.3.3"] = {
            "frames_per_s": round(theirs, 1),
            "ours_as_many_times": round(own / theirs, 2),
        }
    peak = peak_mb(bag, contract, folder / "peak", Encoding(codec="av1", preset="12"))
    report["resident_mb_large_pictures"] = round(peak, 1)
    shutil.rmtree(bag)
    return report


def measure_memory(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Small pictures, so that a long episode is soon made."""
    pictures, contract = make_pictures(64, 48), folder / "small.yaml"
    contract.write_text(contract_text(64, 48))
    encoding = Encoding(codec="h264", preset="ultrafast")
    found = {}
    for name, seconds in (("short", options.short), ("long", options.long)):
        bag = write_bag(folder / name, pictures, seconds)
        peak = peak_mb(bag, contract, folder / f"{name}_dataset", encoding)
        found |= {f"{name}_s": seconds, f"{name}_resident_mb": round(peak, 1)}
        shutil.rmtree(bag)
    return found


def reached(speed: dict[str, Any], memory: dict[str, float]) -> dict[str, bool]:
    """Which targets are met."""
    peaks = [memory["short_resident_mb"], memory["long_resident_mb"]]
    found = {
        "share_of_bare_encoder": all(
            speed[c]["share_of_bare_encoder"] >= SHARE_OF_ENCODER for c in CODECS
        ),
        "minutes": all(
            speed[c]["minutes_for_an_hour_of_two_cameras"] <= limit
            for c, (_, limit) in CODECS.items()
        ),
        "memory": max(*peaks, speed["resident_mb_large_pictures"]) <= MEMORY_MB,
        "memory_does_not_grow": peaks[1] <= GROWTH * peaks[0],
    }
    if "lerobot_0.3.3" in speed:
        found["times_lerobot"] = speed["lerobot_0.3.3"]["ours_as_many_times"] >= TIMES_LEROBOT
    return found


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="of the large bag (20)")
    parser.add_argument("--turns", type=int, default=3, help="measurements of each (3)")
    parser.add_argument("--short", type=float, default=60.0, help="seconds, for memory (60)")
    parser.add_argument("--long", type=float, default=3600.0, help="seconds, for memory (3600)")
    parser.add_argument("--lerobot", default="", metavar="PYTHON", help="with LeRobot 0.3.3")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench_convert_") as name:
        speed = measure_speed(Path(name), options)
        memory = measure_memory(Path(name), options)
    targets = reached(speed, memory)
    report = {
        "benchmark": "conversion of a raw bag of two 640x480 cameras, one worker",
        "speed": speed,
        "memory": memory,
        "target": {
            "share_of_bare_encoder": SHARE_OF_ENCODER,
            "times_lerobot": TIMES_LEROBOT,
            "resident_mb": MEMORY_MB,
        },
        "reached": targets,
        **measured_on(),
    }
    print(json.dumps(report, indent=2))
    return 0 if all(targets.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
