#!/usr/bin/env python3
"""Steadiness of the executor's command stream beside inference, with a core free and with none.

Needs `source scripts/env.sh`. Starts the real nodes (fake robot, executor, policy with a small
random checkpoint) and, beside them, a plain rclpy timer that publishes the same message at the
same rate: the least that a loop written with rclpy timers does. A subscriber judges both streams
by the source timestamps of their messages, so its own delays do not count. Inference runs without
a pause on all cores but one; for "none_free" there is one more torch process per core. The report
states the load of the machine: other work on it counts against both streams.
Prints JSON; exits with 1 when the target is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from measured_on import ROOT, measured_on
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from std_msgs.msg import Float64MultiArray

from vla_core.contract import load_contract

CONTRACT = ROOT / "config" / "robots" / "ur5e.yaml"
TIMER_TOPIC = "bench_timer"
CONTROL_RATE = "control_rate_hz: 100"
SAFETY = "\nsafety:\n"
PATIENT = "  latch_after_s: 60\n"  # a stream that latches ends; one that holds goes on
TARGET_P99_MS = {"core_free": 0.5, "none_free": 2.0}
TARGET = ", ".join(f"{load}: jitter_p99_ms <= {ms}" for load, ms in TARGET_P99_MS.items())
START_S = 60.0  # the longest that nodes may take until commands flow
RECENT_NS = 100_000_000


def publish_by_timer(rate_hz: float, width: int) -> None:
    """The stream to compare with: a timer, a publisher, and nothing else."""
    rclpy.init()
    node = rclpy.create_node("bench_timer")
    publisher = node.create_publisher(Float64MultiArray, TIMER_TOPIC, QoSProfile(depth=1))
    message = Float64MultiArray(data=[0.0] * width)
    node.create_timer(1.0 / rate_hz, lambda: publisher.publish(message))
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    with contextlib.suppress(KeyboardInterrupt):
        executor.spin()


def burn() -> None:
    """Keep one core busy the way inference does."""
    import torch

    torch.set_num_threads(1)
    matrix = torch.rand(512, 512)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            matrix @ matrix


@dataclass(slots=True, kw_only=True)
class Seen:
    """What the subscriber has seen since it began, times in ROS nanoseconds."""

    commands_ns: list[int] = field(default_factory=list)
    timer_ns: list[int] = field(default_factory=list)
    executor: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    policy: list[tuple[int, dict[str, str]]] = field(default_factory=list)

    def note_diagnostics(self, message: DiagnosticArray) -> None:
        """Keep the figures of the two nodes with their time."""
        stamp = message.header.stamp
        stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
        for status in message.status:
            values = {item.key: item.value for item in status.values}
            if status.name == "executor_node":
                self.executor.append((stamp_ns, values))
            elif status.name == "policy_node":
                self.policy.append((stamp_ns, values))


def watch(topic: str, seconds: float) -> tuple[Seen, float]:
    """Wait until commands flow, then watch; also the share of all cores that was busy."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("bench_observer", context=context)
    seen = Seen()
    qos = QoSProfile(depth=1000)

    def command(_message: Any, info: Mapping[str, int]) -> None:
        seen.commands_ns.append(info["source_timestamp"])

    def timer(_message: Any, info: Mapping[str, int]) -> None:
        seen.timer_ns.append(info["source_timestamp"])

    node.create_subscription(Float64MultiArray, topic, command, qos)
    node.create_subscription(Float64MultiArray, TIMER_TOPIC, timer, qos)
    node.create_subscription(DiagnosticArray, "/diagnostics", seen.note_diagnostics, qos)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def spin_until(deadline_s: float, enough: int | None = None) -> None:
        while time.monotonic() < deadline_s:
            executor.spin_once(timeout_sec=0.1)
            if enough is not None and min(len(seen.commands_ns), len(seen.timer_ns)) >= enough:
                return

    try:
        spin_until(time.monotonic() + START_S, enough=100)
        if len(seen.commands_ns) < 100:
            raise SystemExit(f"bench_commands: no stream on {topic} within {START_S} s")
        seen.commands_ns.clear(), seen.timer_ns.clear(), seen.executor.clear(), seen.policy.clear()
        before = cpu_times()
        spin_until(time.monotonic() + seconds)
        spent = cpu_times() - before
    finally:
        executor.shutdown()
        node.destroy_node()
        context.shutdown()
    return seen, 1.0 - spent[3:5].sum() / spent.sum()  # all but idle and waiting for disks


def cpu_times() -> np.ndarray[Any, np.dtype[np.int64]]:
    """Jiffies of all cores by kind: user, nice, system, idle, iowait, ..."""
    first = Path("/proc/stat").read_text().splitlines()[0]
    return np.array(first.split()[1:9], dtype=np.int64)


@contextlib.contextmanager
def processes(commands: list[list[str]], log: Path) -> Iterator[None]:
    """Run commands, each in a session of its own; interrupt them in the end, kill what stays."""
    with log.open("ab") as out:
        running = [
            subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
            for command in commands
        ]
    try:
        yield
    finally:
        for signal_number, patience_s in ((signal.SIGINT, 8.0), (signal.SIGKILL, 5.0)):
            for process in running:
                if process.poll() is None:
                    os.killpg(process.pid, signal_number)
            deadline_s = time.monotonic() + patience_s
            for process in running:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline_s - time.monotonic()))


def nodes(load: str, contract: Path, checkpoint: Path) -> list[list[str]]:
    """The processes of one measurement."""

    def node(package: str, executable: str, **parameters: object) -> list[str]:
        given = {"contract": contract, **parameters}
        arguments = [word for k, v in given.items() for word in ("-p", f"{k}:={v}")]
        return ["ros2", "run", package, executable, "--ros-args", *arguments]

    read = load_contract(contract)
    rate_hz, width = read.control_rate_hz, len(read.action[0].joints)
    own = [sys.executable, __file__, "--role"]
    robot = node("vla_bringup", "fake_robot", camera_rate_hz=10.0)  # inference is the load
    return [
        ["nice", "-n", "-10", *robot],  # a real driver has a machine or a priority of its own
        node("vla_policy", "executor_node", autostart="true"),
        node(
            "vla_policy",
            "policy_node",
            autostart="true",
            checkpoint=checkpoint,
            prompt="hold still",
            inference_rate_hz=100.0,  # more than it can do: it never rests
        ),
        [*own, "timer", "--rate-hz", str(rate_hz), "--width", str(width)],
        *([[*own, "burn"]] * (len(os.sched_getaffinity(0)) if load == "none_free" else 0)),
    ]


def jitter(stamps_ns: list[int], period_ns: int) -> dict[str, float]:
    """Distance of the intervals from the period, milliseconds."""
    away_ms = np.abs(np.diff(np.sort(stamps_ns)) - period_ns) / 1e6
    return {
        "messages": len(stamps_ns),
        "jitter_p50_ms": round(float(np.percentile(away_ms, 50)), 3),
        "jitter_p99_ms": round(float(np.percentile(away_ms, 99)), 3),
        "jitter_max_ms": round(float(away_ms.max()), 3),
    }


def account(seen: Seen, period_ns: int) -> dict[str, float]:
    """Ticks that time allowed for, beside those that the executor made, missed and sent.

    Judged between two diagnostics: one thread makes both them and the commands, so no tick falls
    between a figure and its time. What is in no count is unaccounted for.
    """
    (begin_ns, first), (end_ns, last) = seen.executor[0], seen.executor[-1]

    def grown(key: str) -> int:
        return int(last.get(key, 0)) - int(first.get(key, 0))

    def last_tick_ns(t_ns: int) -> int:
        """The counts go as far as the tick before; its command tells its time, if it had one."""
        recent = (s for s in seen.commands_ns if t_ns - RECENT_NS <= s <= t_ns)
        return max(recent, default=t_ns)

    due = round((last_tick_ns(end_ns) - last_tick_ns(begin_ns)) / period_ns)
    received = sum(begin_ns < stamp <= end_ns for stamp in seen.commands_ns)
    made, missed, sent = grown("ticks_done"), grown("ticks_missed"), grown("commands")
    rounding = 1  # of a late tick at an end of the window
    return {
        "ticks_due": due,
        "ticks_made": made,
        "ticks_missed": missed,
        "ticks_without_command": made - sent,
        "commands_sent": sent,
        "commands_received": received,
        "holds": grown("holds"),
        "unaccounted_for": max(0, abs(due - made - missed) - rounding) + abs(sent - received),
    }


def measure(
    load: str, rate_hz: int, checkpoint: Path, seconds: float, log: Path
) -> dict[str, Any]:
    """Both streams under one load, at one control rate."""
    path = log.with_name(f"{rate_hz}_hz.yaml")
    text = CONTRACT.read_text()
    for old, new in ((CONTROL_RATE, f"control_rate_hz: {rate_hz}"), (SAFETY, SAFETY + PATIENT)):
        if text.count(old) != 1:
            raise SystemExit(f"bench_commands: {CONTRACT.name} does not say {old!r} once")
        text = text.replace(old, new)
    path.write_text(text)
    contract = load_contract(path)
    period_ns = round(1e9 / rate_hz)
    load_before = os.getloadavg()[0]
    with processes(nodes(load, path, checkpoint), log):
        seen, busy = watch(contract.action[0].topic, seconds)
    if len(seen.executor) < 2 or not seen.policy:
        raise SystemExit(f"bench_commands: no diagnostics; see {log}")
    figures = seen.policy[-1][1]
    executor = {**jitter(seen.commands_ns, period_ns), **account(seen, period_ns)}
    return {
        "load": load,
        "rate_hz": rate_hz,
        "seconds": seconds,
        "load_1_min_before": round(load_before, 2),
        "cores_busy": round(float(busy), 3),
        "inferences": int(figures.get("inferences", 0)),
        "inference_latency_p50_ms": figures.get("latency_p50_ms"),
        "executor": executor,
        "plain_timer": jitter(seen.timer_ns, period_ns),
        "reached": executor["jitter_p99_ms"] <= TARGET_P99_MS[load]
        and executor["unaccounted_for"] == executor["ticks_without_command"] == 0,
    }


def make_checkpoint(path: Path) -> Path:
    """A small checkpoint with random weights."""
    adapter = load_contract(CONTRACT).adapter
    command = ["ros2", "run", "vla_policy", "make_random_checkpoint"]
    subprocess.run(
        [*command, "--output", str(path), "--robot", adapter],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return path


def measure_all(
    *, rates_hz: Sequence[int], seconds: float, repetitions: int = 1
) -> list[dict[str, Any]]:
    """Every rate under both loads, in turns."""
    with tempfile.TemporaryDirectory(prefix="bench_commands_") as folder:
        log = Path(folder) / "log"
        checkpoint = make_checkpoint(Path(folder) / "checkpoint")
        try:
            return [
                measure(load, rate_hz, checkpoint, seconds, log)
                for _ in range(repetitions)
                for rate_hz in rates_hz
                for load in TARGET_P99_MS
            ]
        except SystemExit:
            print(log.read_text(), file=sys.stderr)
            raise


def main() -> int:
    """Run as one of the processes, or measure and print the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement (20)")
    parser.add_argument("--repetitions", type=int, default=1, help="of each load, in turns (1)")
    parser.add_argument(
        "--rates-hz", type=int, nargs="+", default=[100], help="control rates (100)"
    )
    parser.add_argument("--role", choices=("timer", "burn"), help=argparse.SUPPRESS)
    parser.add_argument("--rate-hz", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--width", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role == "timer":
        publish_by_timer(options.rate_hz, options.width)
        return 0
    if options.role == "burn":
        burn()
        return 0
    runs = measure_all(
        rates_hz=options.rates_hz, seconds=options.seconds, repetitions=options.repetitions
    )
    reached = all(run["reached"] for run in runs)
    report = {
        "benchmark": "command stream of executor_node beside inference",
        "runs": runs,
        "target": f"{TARGET}, unaccounted_for == 0",
        "reached": reached,
        **measured_on(),
    }
    print(json.dumps(report, indent=2))
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
