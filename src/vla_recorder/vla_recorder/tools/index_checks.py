"""Checks of the five columns that every dataset has, over whole data files, in bounded memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from vla_recorder.tools.report import FAIL, Report

COLUMNS = ("timestamp", "frame_index", "episode_index", "index", "task_index")
GRID_S = 1e-4  # LeRobot refuses a dataset whose timestamps are farther off

Columns = Mapping[str, npt.NDArray[np.generic]]


@dataclass(slots=True)
class IndexWatch:
    """Sees pieces of the columns in the order of the files.

    Attributes:
        fps: Of the dataset.
        tasks: The indices of the tasks that have a text.
        rows: Rows of each episode that were seen.
    """

    report: Report
    fps: float
    tasks: Collection[int]
    rows: dict[int, int] = field(default_factory=dict)
    _next: int = 0

    def see(self, piece: Columns) -> None:
        """Rows of any number, possibly of several episodes."""
        episodes = np.asarray(piece["episode_index"], dtype=np.int64)
        bounds = np.concatenate(
            ([0], np.flatnonzero(np.diff(episodes)) + 1, [len(episodes)])
        ).astype(int)
        self.report.looked_at("index")
        self.report.looked_at("timestamps")
        self.report.looked_at("tasks")
        for first, end in pairwise(bounds):
            if end > first:
                part = {name: np.asarray(piece[name])[first:end] for name in COLUMNS}
                self._see_episode(int(episodes[first]), part)

    def _see_episode(self, episode: int, part: Columns) -> None:
        seen = self.rows.get(episode, 0)
        count = len(part["index"])
        frames = np.arange(seen, seen + count)
        self._continuous(episode, "frame_index", part["frame_index"], frames)
        self._continuous(
            episode, "index", part["index"], np.arange(self._next, self._next + count)
        )
        self.rows[episode] = seen + count
        self._next += count
        self._on_grid(episode, part["timestamp"].astype(np.float64), frames)
        numbers = part["task_index"].astype(np.int64)
        odd = ~np.isin(numbers, list(self.tasks))
        if odd.any():
            self.report.add(
                FAIL, "tasks", "task_index",
                f"{numbers[odd][0]}, which no text in meta/ has", episode=episode,
            )  # fmt: skip

    def _continuous(
        self,
        episode: int,
        name: str,
        found: npt.NDArray[np.generic],
        expected: npt.NDArray[np.int64],
    ) -> None:
        wrong = np.flatnonzero(found != expected)
        if wrong.size:
            row = int(wrong[0])
            self.report.add(
                FAIL, "index", name,
                f"{found[row]} in row {row}, expected {expected[row]};"
                f" {wrong.size} rows are wrong",
                advice="rows are missing, doubled or out of order", episode=episode,
            )  # fmt: skip

    def _on_grid(
        self, episode: int, stamps: npt.NDArray[np.float64], frames: npt.NDArray[np.int64]
    ) -> None:
        off = np.abs(stamps - frames / self.fps)
        # float32 seconds are coarser than the limit from half an hour on
        allowed = np.maximum(GRID_S, np.spacing((frames / self.fps).astype(np.float32)))
        bad = ~(off <= allowed)  # NaN too
        if bad.any():
            row = int(np.argmax(bad))
            self.report.add(
                FAIL, "timestamps", "timestamp",
                f"{stamps[row]:.6f} s in row {row}, expected {frames[row] / self.fps:.6f};"
                f" {int(bad.sum())} rows are off the grid",
                advice="LeRobot refuses it; convert the recording again", episode=episode,
            )  # fmt: skip

    def finish(self, lengths: Iterable[int]) -> None:
        """Compares the rows that were seen with the lengths that the metadata state."""
        self.report.looked_at("lengths")
        stated = dict(enumerate(lengths))
        for episode in sorted(stated.keys() | self.rows.keys()):
            rows, length = self.rows.get(episode, 0), stated.get(episode, "no such episode")
            if rows != length:
                self.report.add(
                    FAIL, "lengths", "data/" if episode in stated else "meta/",
                    f"{rows} rows, but meta/ states {length}",
                    episode=episode,
                )  # fmt: skip
