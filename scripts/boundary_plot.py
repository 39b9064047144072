"""A picture of boundaries: for each strategy the worst one of its run, position over velocity."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from boundaries import Run, velocity_steps
from scripted_flow import STEP_S

from vla_bringup.demo.plots import (
    CHUNK,
    COMMANDED,
    FAINT,
    GRID,
    INK,
    MEASURED,
    PAPER,
    WHITE,
    Box,
    fill,
)
from vla_bringup.demo.text import Colour, draw_text
from vla_core.types import FloatArray, ImageArray

COLUMNS = 4
PANEL = Box(x=0, y=0, width=330, height=330)
HEAD = 54
BEFORE_S, AFTER_S = 0.25, 0.45  # around the boundary
SPAN_RAD, SPAN_RAD_S = 0.3, 3.0  # the same in all panels, so that they compare
WISH: Colour = (200, 60, 60)
_SHIFT = 4  # OpenCV draws in sixteenths of a pixel
LEGEND = (
    ("chunk before", MEASURED),
    ("new chunk", CHUNK),
    ("wish", WISH),
    ("command after the guard", COMMANDED),
)


def draw_boundaries(path: Path, runs: dict[str, Run], title: str) -> None:
    """One panel per run, written as PNG."""
    rows = -(-len(runs) // COLUMNS)
    size = (HEAD + rows * PANEL.height + 8, COLUMNS * PANEL.width + 12, 3)
    canvas: ImageArray = np.full(size, PAPER, np.uint8)
    draw_text(canvas, title, 14, 8, size=15, colour=INK)
    x = 14
    for name, colour in LEGEND:
        cv2.line(canvas, (x, 42), (x + 22, 42), colour, 2, cv2.LINE_AA)
        x += 50 + draw_text(canvas, name, x + 28, 34, size=13, colour=INK)
    draw_text(
        canvas,
        f"above: position, {SPAN_RAD} rad; below: velocity, +-{SPAN_RAD_S / 2} rad/s; "
        f"{BEFORE_S + AFTER_S:g} s",
        size[1] - 14,
        34,
        size=13,
        colour=FAINT,
        align="right",
    )
    for number, (name, run) in enumerate(runs.items()):
        corner = (number % COLUMNS * PANEL.width + 6, HEAD + number // COLUMNS * PANEL.height)
        _draw_panel(canvas, corner, name, run)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), canvas[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9]):
        raise SystemExit(f"boundary_plot: cannot write {path}")


def _draw_panel(canvas: ImageArray, corner: tuple[int, int], name: str, run: Run) -> None:
    left, top = corner
    joint, at_s = _worst(run)
    largest = float(np.nanmax(velocity_steps(run.wishes, run)))
    width = draw_text(canvas, name, left + 8, top + 4, size=14, colour=INK)
    step = f"largest step {largest:.2f} rad/s"
    draw_text(canvas, step, left + width + 18, top + 6, size=12, colour=FAINT)
    seen = (run.times_s >= at_s - BEFORE_S) & (run.times_s <= at_s + AFTER_S)
    times_s, wish, command = run.times_s[seen], run.wishes[seen, joint], run.commands[seen, joint]
    middle = float(np.nanmean(wish))
    chunks = _chunks_around(run, at_s, joint)
    above = Box(x=left + 8, y=top + 28, width=PANEL.width - 16, height=168)
    lines = [*chunks, (times_s, wish, WISH), (times_s, command, COMMANDED)]
    _draw_lines(canvas, above, lines, at_s, middle, SPAN_RAD)
    below = Box(x=left + 8, y=top + 204, width=PANEL.width - 16, height=118)
    rates = [
        (times_s[1:], np.diff(values) / run.tick_s, colour)
        for values, colour in ((wish, WISH), (command, COMMANDED))
    ]
    _draw_lines(canvas, below, rates, at_s, 0.0, SPAN_RAD_S)


def _worst(run: Run) -> tuple[int, float]:
    """Joint and time of the largest step of the wish."""
    steps = np.abs(np.diff(run.wishes[:, :-1], 2, axis=0))
    inside = (run.times_s[2:] > 1.0) & (run.times_s[2:] < run.times_s[-1] - AFTER_S)
    tick, joint = np.unravel_index(np.nanargmax(np.where(inside[:, None], steps, 0)), steps.shape)
    return int(joint), float(run.times_s[tick + 2])


def _chunks_around(
    run: Run, at_s: float, joint: int
) -> list[tuple[FloatArray, FloatArray, Colour]]:
    """The two newest chunks at that time, as they came from the policy."""
    newest = [item for item in run.taken if item[0] <= at_s + 1e-9][-2:]
    start_ns = run.taken[0][1].stamp_ns
    return [
        (
            (chunk.stamp_ns - start_ns) / 1e9 + np.arange(len(chunk.actions)) * STEP_S,
            chunk.actions[:, joint],
            colour,
        )
        for (_, chunk), colour in zip(newest, (MEASURED, CHUNK), strict=True)
    ]


def _draw_lines(
    canvas: ImageArray,
    box: Box,
    lines: list[tuple[FloatArray, FloatArray, Colour]],
    at_s: float,
    middle: float,
    span: float,
) -> None:
    fill(canvas, box, WHITE)
    plot = canvas[box.y : box.y + box.height, box.x : box.x + box.width]
    height, width = plot.shape[:2]
    x_at = round(width * BEFORE_S / (BEFORE_S + AFTER_S))
    cv2.line(plot, (x_at, 0), (x_at, height - 1), GRID, 2)
    cv2.line(plot, (0, height // 2), (width - 1, height // 2), GRID)
    for times_s, values, colour in lines:
        known = np.isfinite(values)
        x = (times_s[known] - at_s + BEFORE_S) / (BEFORE_S + AFTER_S) * (width - 1)
        y = (0.5 - (values[known] - middle) / span) * (height - 1)
        points = np.round(np.stack([x, y.clip(-1e4, 1e4)], axis=-1) * 2**_SHIFT).astype(np.int32)
        cv2.polylines(plot, [points], False, colour, 2, cv2.LINE_AA, _SHIFT)
    cv2.rectangle(plot, (0, 0), (width - 1, height - 1), GRID)
