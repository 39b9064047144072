"""Checks of video files without decoding: how many frames there are, and when."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vla_core.dataset.episode import Clip
from vla_core.dataset.video import VideoFacts, facts, packet_times
from vla_recorder.tools.report import FAIL, WARN, Report

RATE = 1e-3  # of the rate of the dataset
OFF_GRID = 0.25  # of a period: readers look frames up by their time


def check_file(
    report: Report, where: str, file: Path, rows: int, fps: float, *, shared: bool
) -> None:
    """The frames of a whole file against the rows of all episodes in it, and against the grid.

    Args:
        rows: How many there are.
        shared: Whether a file may hold several episodes: rows are found by their place then,
            and frames that nobody needs do no harm.

    Raises:
        DatasetError: It is no video.
    """
    found = facts(file)
    report.looked_at("frames", "video frames", found.frames)
    if found.frames != rows:
        report.add(
            WARN if shared and found.frames > rows else FAIL, "frames", where,
            f"{found.frames} frames for {rows} rows",
            advice="convert the bags of its episodes again, or delete them",
        )  # fmt: skip
    if found.frames:
        _check_times(report, where, file, found, fps)


def _check_times(report: Report, where: str, file: Path, found: VideoFacts, fps: float) -> None:
    """Frames that are not at ``index / fps``: the wrong one would be shown for a row."""
    report.looked_at("video times")
    steps = np.diff(packet_times(Clip(file=file, first=0, frames=found.frames)).shown)
    if steps.size:
        wrong = np.flatnonzero(np.abs(steps - np.median(steps)) > OFF_GRID * np.median(steps))
        if wrong.size:
            report.add(
                FAIL, "video times", where,
                f"{wrong.size} steps in time are uneven, the first after frame {wrong[0]}",
                advice="frames are missing in the video",
            )  # fmt: skip
    if abs(float(found.rate) - fps) > RATE * fps:
        report.add(
            FAIL,
            "video times",
            where,
            f"{float(found.rate):g} frames per second, expected {fps:g}",
        )
