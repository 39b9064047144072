"""P8: conversion is deterministic, resumable after kill -9, and tells every loss."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from convert_bags import (
    ARM,
    SECOND,
    T0,
    TOP,
    Lab,
    Sent,
    changed,
    files_of,
    image,
    mark,
    picture,
    recording,
    restamped,
    stamp_of,
)

KILLS = int(os.environ.get("VLA_KILLS", "4"))  # of each loop


def make_bags(lab: Lab) -> list[Path]:
    """Six episodes in four bags: one of three by marks, one with a gap, one with damage."""
    marks = [
        mark(event, name, T0 + at * SECOND)
        for name, begin in (("a", 0), ("b", 2), ("c", 4))
        for event, at in (("start", begin), ("stop", begin + 1))
    ]
    many = sorted(recording(6) + marks, key=lambda one: one.received_ns)
    gap = changed(
        recording(3, T0 + 100 * SECOND), TOP, lambda n, one: None if 20 <= n < 30 else one
    )
    hurt = changed(
        recording(2, T0 + 200 * SECOND),
        TOP,
        lambda n, one: image(TOP, stamp_of(one), picture(n, 64, 48)) if n == 9 else one,
    )
    whole = recording(2, T0 + 300 * SECOND)
    made = {"many": many, "gap": gap, "hurt": hurt, "whole": whole}
    return [lab.bag(sent, name) for name, sent in made.items()]


def command(lab: Lab, bags: list[Path], output: Path, *more: str) -> list[str]:
    line = [sys.executable, "-m", "vla_recorder.cli.convert", *map(str, bags)]
    return [*line, "--contract", str(lab.file), "--output", str(output), *more]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_p8_any_number_of_workers_gives_the_same_bytes(lab: Lab, version: str) -> None:
    bags = make_bags(lab)
    found = []
    for workers in ("1", "3"):
        output = lab.folder / workers
        line = command(lab, bags, output, "--workers", workers, "--format", version)
        assert subprocess.run(line, capture_output=True).returncode == 3
        found.append(files_of(output))
    assert found[0] == found[1]
    assert len(found[0]) > 6


@pytest.mark.parametrize("workers", ["1", "2"])
def test_p8_kill_9_at_any_moment_and_resume_gives_the_same_bytes(lab: Lab, workers: str) -> None:
    bags = make_bags(lab)
    calm, killed = lab.folder / "calm", lab.folder / "killed"
    began_s = time.monotonic()
    assert subprocess.run(command(lab, bags, calm), capture_output=True).returncode == 3
    whole_s = time.monotonic() - began_s
    chance = random.Random(int(workers))
    deaths = 0
    for _ in range(KILLS):
        line = command(lab, bags, killed, "--resume", "--workers", workers)
        process = subprocess.Popen(
            line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            process.wait(timeout=chance.uniform(0.3, 1.1) * whole_s)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)  # its workers must end by themselves
            process.wait()
            deaths += 1
        if killed.exists():
            assert files_of(killed) == files_of(calm)  # whole at any moment, or not there
    done = subprocess.run(command(lab, bags, killed, "--resume"), capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    assert files_of(killed) == files_of(calm)
    assert not killed.with_name("killed.work").exists()
    assert deaths > 0


def test_p8_kill_9_while_appending_or_replacing_keeps_the_dataset(lab: Lab) -> None:
    bags = make_bags(lab)
    calm, killed = lab.folder / "calm", lab.folder / "killed"
    for output in (calm, killed):
        line = command(lab, bags[:1], output)
        assert subprocess.run(line, capture_output=True).returncode == 0
    before = files_of(killed)
    assert (
        subprocess.run(command(lab, bags, calm, "--append"), capture_output=True).returncode == 3
    )
    after = files_of(calm)
    chance = random.Random(7)
    for _ in range(KILLS):
        process = subprocess.Popen(
            command(lab, bags, killed, "--append"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(timeout=chance.uniform(0.5, 3.0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # between two renames the old one lies in the work folder, where the next run takes it
        if killed.exists():
            assert files_of(killed) in (before, after)
    assert subprocess.run(command(lab, bags, killed, "--append"), capture_output=True).returncode
    assert files_of(killed) == after


def test_p8_kill_9_while_replacing_and_resume_replaces(lab: Lab) -> None:
    bags = make_bags(lab)
    line = command(lab, bags[:1], lab.output)
    assert subprocess.run(line, capture_output=True).returncode == 0
    before = files_of(lab.output)
    work = lab.output.with_name("out.work") / "episodes"
    line = command(lab, bags, lab.output, "--overwrite", "--workers", "1")
    process = subprocess.Popen(line, stderr=subprocess.DEVNULL)
    while not any(folder.suffix == "" for folder in work.glob("*")):
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert files_of(lab.output) == before
    done = subprocess.run([*line, "--resume"], capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    assert "episodes were finished before" in done.stderr
    calm = lab.folder / "calm"
    assert subprocess.run(command(lab, bags, calm), capture_output=True).returncode == 3
    assert files_of(lab.output) == files_of(calm)


def test_p8_resume_makes_only_what_was_not_committed(lab: Lab) -> None:
    bags = make_bags(lab)
    work = lab.output.with_name("out.work") / "episodes"
    line = command(lab, bags, lab.output, "--workers", "1")
    process = subprocess.Popen(line, stderr=subprocess.DEVNULL)
    while sum(folder.suffix == "" for folder in work.glob("*")) < 2:
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.wait()
    kept = {f.name: f.stat().st_ino for f in work.iterdir() if f.suffix == ""}
    inodes = {(work / name / "observation.images.top.mp4").stat().st_ino for name in kept}
    done = subprocess.run([*line, "--resume"], capture_output=True, text=True)
    assert done.returncode == 3
    assert f"{len(kept)} of 6 episodes were finished before" in done.stderr
    videos = lab.output.rglob("*.mp4")
    assert inodes <= {video.stat().st_ino for video in videos}  # linked, not made again


def test_p8_every_loss_is_told_and_none_is_invented(lab: Lab) -> None:
    bags = make_bags(lab)
    assert lab.convert(*bags) == 3
    run = lab.run()
    by_bag: dict[str, list[dict[str, Any]]] = {}
    for episode in run["episodes"]:
        by_bag.setdefault(episode["bag"], []).append(episode)
    assert {name: [e["rows"] for e in found] for name, found in by_bag.items()} == {
        "many": [20, 21, 21],
        "gap": [30],
        "hurt": [40],
        "whole": [40],
    }
    gap, hurt = by_bag["gap"][0], by_bag["hurt"][0]
    assert gap["rows"] + gap["lost_ticks"] == 60
    assert hurt["damaged"] == {"top": 1}
    clean = by_bag["many"] + by_bag["whole"]
    assert all(e["lost_ticks"] == 0 and not e["damaged"] and not e["cut"] for e in clean)


def test_p8_nothing_lost_is_exit_0(lab: Lab) -> None:
    assert lab.convert(lab.bag(recording())) == 0


@pytest.mark.parametrize(
    "loss",
    [
        lambda sent: changed(sent, TOP, lambda n, one: None if 10 <= n < 17 else one),
        lambda sent: changed(sent, ARM, lambda n, one: restamped(one, 0) if n == 30 else one),
        lambda sent: [one for one in sent if one.topic != ARM or stamp_of(one) < T0 + SECOND],
        lambda sent: [mark("start", "a", T0), *sent],
        lambda sent: [mark("start", "a", T0 - 5 * SECOND), *sent, mark("stop", "a", T0 + SECOND)],
    ],
    ids=["gap", "stamp", "death", "no stop", "late"],
)
def test_p8_any_loss_is_exit_3(lab: Lab, loss: Callable[[list[Sent]], list[Sent]]) -> None:
    assert lab.convert(lab.bag(loss(recording()))) == 3
