"""`demo`: the ALOHA simulation, a policy and the executor, filmed and measured from outside."""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

import cv2
from ament_index_python.packages import get_package_share_directory

from vla_bringup.demo.launched import Launched
from vla_bringup.demo.live_view import LiveView
from vla_bringup.demo.observed import Observed
from vla_bringup.demo.picture import HEIGHT, WIDTH, draw
from vla_bringup.demo.progress import Progress
from vla_bringup.demo.recorder import COMMANDED, DemoError, Recorder
from vla_bringup.demo.summary import summarise, surroundings, table
from vla_bringup.demo.video import VideoWriter
from vla_core.contract import load_contract
from vla_core.errors import VlaError

SEED = 0
PROMPT = "Transfer cube"
FRAME_RATE_HZ = 15
START_LIMIT_S = 90.0
BEGAN = "VLA_DEMO_BEGAN_S"  # set by scripts/demo.sh, so that the set-up is in the figure

WATCH = """Watch meanwhile, in another shell (same ROS_DOMAIN_ID):
    source scripts/env.sh
    ros2 topic list
    ros2 topic hz /cam_high/image_raw
    ros2 topic echo /executor_node/status
    ros2 topic echo /action_chunk
    ros2 service call /executor_node/resume std_srvs/srv/Trigger    # only if it has LATCHED"""


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns 0 when done, 1 when it failed. Wrong usage exits with 2."""
    began_s = float(os.environ.get(BEGAN) or time.time())
    options = _parser().parse_args(argv)
    cv2.setNumThreads(1)  # the cores belong to the robot
    try:
        return Demo(options, began_s).run()
    except (VlaError, OSError, subprocess.CalledProcessError) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
    return 1


class Demo:
    """One run."""

    def __init__(self, options: argparse.Namespace, began_s: float) -> None:
        self._seconds: float = options.seconds
        self._out: Path = options.out
        self._headless: bool = options.headless
        self._began_s = began_s
        self._skipped = 0
        self._stopped = False
        self._cpu_began: dict[str, float] | None = None

    def run(self) -> int:
        """Run, film, and write the summary, also after a failure."""
        self._out.mkdir(parents=True, exist_ok=True)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)
        for name in ("demo.mp4", "summary.json"):
            (self._out / name).unlink(missing_ok=True)
        contract_file = (
            Path(get_package_share_directory("vla_bringup")) / "config" / "robots" / "aloha.yaml"
        )
        self._observed = Observed(load_contract(contract_file), PROMPT)
        checkpoint = make_checkpoint()
        with ExitStack() as stack:
            self._recorder = stack.enter_context(Recorder(self._observed))
            self._recorder.refuse_company()
            self._recorder.listen()
            self._video = VideoWriter(
                self._out / "demo.mp4", width=WIDTH, height=HEIGHT, rate_hz=FRAME_RATE_HZ
            )
            stack.callback(self._video.close)
            self._launched = stack.enter_context(
                Launched(_launch(checkpoint), self._out / "launch.log")
            )
            print(WATCH)
            self._view = None if self._headless else LiveView()
            if self._view is not None:
                stack.callback(self._view.close)
                print(f"    or in a browser: {self._view.address}")
            self._progress = Progress(self._seconds)
            stack.callback(self._finish)
            self._film()
        if not self._observed.flow(COMMANDED).count:
            raise DemoError("no action chunk was executed", fix=f"see {self._out}/launch.log")
        return 0

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        """Noted, and acted on between two frames: an exception anywhere could leave a child."""
        self._stopped = True

    def _film(self) -> None:
        """A frame on each place of the grid; one that comes late is left out and counted."""
        first_s, index = time.monotonic(), 0
        while not self._stopped:
            self._recorder.take()
            self._launched.check()
            now_ns = self._recorder.now_ns()
            elapsed_s = self._observed.elapsed_s(now_ns)
            if elapsed_s is None:
                self._check_start(time.monotonic() - first_s)
            elif self._cpu_began is None:
                self._cpu_began = self._cpu_s()
            elif elapsed_s >= self._seconds:
                return
            if self._observed.has_images:
                frame = draw(self._observed.view(now_ns))
                self._video.write(frame, index)
                if self._view is not None:
                    self._view.show(frame)
            self._progress.show(self._observed, now_ns)
            index = self._wait(first_s, index)
        raise DemoError("interrupted", fix="let it run to its end; --seconds makes it shorter")

    def _check_start(self, waited_s: float) -> None:
        if waited_s > START_LIMIT_S:
            raise DemoError(
                f"no action chunk was executed; last lines:\n{self._launched.tail()}\n",
                found=f"{self._observed.state} {self._observed.cause} for {START_LIMIT_S:g} s",
                fix=f"see {self._launched.log}",
            )

    def _wait(self, first_s: float, index: int) -> int:
        """Sleep until the next place on the grid, and return it."""
        place = (time.monotonic() - first_s) * FRAME_RATE_HZ
        following = max(index + 1, math.ceil(place))
        self._skipped += following - index - 1
        time.sleep(max(0.0, (following - place) / FRAME_RATE_HZ))
        return following

    def _cpu_s(self) -> dict[str, float]:
        own = resource.getrusage(resource.RUSAGE_SELF)
        return {**self._launched.cpu_s(), "demo": own.ru_utime + own.ru_stime}

    def _finish(self) -> None:
        """Write the figures, with the children still alive to be asked for theirs."""
        self._progress.close()
        summary = self._summary()
        text = json.dumps(summary, indent=2, allow_nan=False)
        (self._out / "summary.json").write_text(text + "\n")
        if self._observed.began_ns is not None:
            print(table(summary))
        print(
            f"  film {self._out}/demo.mp4   figures {self._out}/summary.json"
            f"   log {self._out}/launch.log"
        )
        if summary["latches"]:
            print(
                "  The executor LATCHED, as it must when cameras or joints come too late: this"
                " machine was too busy for the simulation. Close other programs, and run it again."
            )
        print(
            "  The weights are random: the arms move a little and do no task."
            " A trained checkpoint comes with training."
        )

    def _summary(self) -> dict[str, Any]:
        began_ns = self._observed.began_ns
        elapsed_s = self._observed.elapsed_s(self._recorder.now_ns())
        cpu_began, cpu = self._cpu_began or {}, self._cpu_s()
        return {
            "seconds": elapsed_s and round(elapsed_s, 3),
            "start_to_first_chunk_s": began_ns and round(began_ns / 1e9 - self._began_s, 2),
            **summarise(self._observed),
            "cpu_cores": {
                name: round((used_s - cpu_began[name]) / elapsed_s, 3)
                for name, used_s in cpu.items()
                if elapsed_s and name in cpu_began
            },
            "film": {"frames": self._video.frames, "skipped": self._skipped},
            **surroundings(_repository()),
            "seed": SEED,
            "weights": "random",
        }


def make_checkpoint() -> Path:
    """The small checkpoint with random weights, made once."""
    repository = _repository()
    cache = repository / ".cache" if repository else Path.home() / ".cache" / "vla_ros2"
    checkpoint, partial = cache / "demo_checkpoint", cache / "demo_checkpoint.partial"
    if not checkpoint.exists():
        print(
            "Making a small pi0 checkpoint (its weights are random; a trained one comes with"
            " training):",
            flush=True,
        )
        cache.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        command = ["ros2", "run", "vla_policy", "make_random_checkpoint"]
        subprocess.run([*command, "--seed", str(SEED), "--output", str(partial)], check=True)
        partial.rename(checkpoint)
    return checkpoint


def _launch(checkpoint: Path) -> list[str]:
    return [
        *("ros2", "launch", "vla_bringup", "aloha.launch.py"),
        *(f"checkpoint:={checkpoint}", "sim:=true", f"prompt:={PROMPT}", f"seed:={SEED}"),
    ]


def _repository() -> Path | None:
    """The checkout that this file is in; None when it was copied somewhere by an installation."""
    parents = Path(__file__).resolve().parents
    return next((p for p in parents if (p / "scripts" / "demo.sh").is_file()), None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument(
        "--seconds", type=_duration_s, default=20.0, help="length of the execution (20)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("demo_out"), help="folder for film and figures (demo_out)"
    )
    parser.add_argument("--headless", action="store_true", help="no live view in the browser")
    return parser


def _duration_s(text: str) -> float:
    if not 1 <= (seconds := float(text)) <= 86_400:  # NaN too
        raise argparse.ArgumentTypeError("from 1 to 86400 seconds")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
