"""Small plots of joints over time: measured, commanded, and what the action chunk wants next.

Shape letter: N samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from vla_bringup.demo.text import Colour, draw_text
from vla_bringup.demo.view import JointTraces, Trace
from vla_core.types import ImageArray

PAST_S, FUTURE_S = 3.0, 1.2
PAPER: Colour = (248, 248, 246)
INK: Colour = (52, 58, 66)
FAINT: Colour = (128, 133, 140)
GRID: Colour = (226, 228, 230)
MEASURED: Colour = (168, 172, 178)
COMMANDED: Colour = (38, 98, 178)
CHUNK: Colour = (236, 132, 32)
LIMIT: Colour = (226, 120, 120)
WHITE: Colour = (255, 255, 255)
MIN_SPAN = 0.05  # of the joint's range: noise must not fill the plot
_SHIFT = 4  # OpenCV draws in sixteenths of a pixel


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle of pixels: left, top, width, height."""

    x: int
    y: int
    width: int
    height: int


def fill(canvas: ImageArray, box: Box, colour: Colour) -> None:
    """Paint a rectangle; numpy takes ten times as long to spread a colour."""
    corner = (box.x + box.width - 1, box.y + box.height - 1)
    cv2.rectangle(canvas, (box.x, box.y), corner, colour, cv2.FILLED)


def grid(area: Box, count: int) -> list[Box]:
    """Cells for ``count`` plots, filled by columns: two of them from five plots on."""
    columns = 1 if count < 5 else 2
    rows = max(1, math.ceil(count / columns))
    width, height = area.width // columns, area.height // rows
    return [
        Box(
            x=area.x + (i // rows) * width,
            y=area.y + (i % rows) * height,
            width=width,
            height=height,
        )
        for i in range(count)
    ]


def draw_plot(canvas: ImageArray, cell: Box, traces: JointTraces) -> None:
    """One joint: its name, its range on the left, its traces; nothing outside of the cell."""
    box = Box(x=cell.x + 46, y=cell.y + 18, width=cell.width - 58, height=cell.height - 26)
    joint = traces.joint
    name_width = draw_text(canvas, joint.name, box.x, cell.y + 1, size=12, colour=INK)
    draw_text(canvas, joint.unit, box.x + name_width + 6, cell.y + 1, size=12, colour=FAINT)
    low, high = value_range(traces)
    fill(canvas, box, WHITE)
    plot = canvas[box.y : box.y + box.height, box.x : box.x + box.width]
    now_x = round(box.width * PAST_S / (PAST_S + FUTURE_S))
    for second in range(-2, 2):
        x = now_x + round(second * box.width / (PAST_S + FUTURE_S))
        cv2.line(plot, (x, 0), (x, box.height - 1), FAINT if second == 0 else GRID)
    for limit in (joint.lower, joint.upper):
        if low <= limit <= high:
            plot[round((high - limit) / (high - low) * (box.height - 1))] = LIMIT
    cv2.rectangle(plot, (0, 0), (box.width - 1, box.height - 1), GRID)
    for trace, colour, thickness in (
        (traces.measured, MEASURED, 2),
        (traces.chunk, CHUNK, 2),
        (traces.commanded, COMMANDED, 1),
    ):
        _draw_trace(plot, trace, low, high, colour, thickness)
    for value, y in ((high, box.y - 2), (low, box.y + box.height - 13)):
        text = f"{value:.{2 if high - low < 2 else 1}f}"
        draw_text(canvas, text, box.x - 5, y, size=11, colour=FAINT, align="right")


def value_range(traces: JointTraces) -> tuple[float, float]:
    """The range of the values in sight, on round numbers, so that the scale seldom changes."""
    values = np.concatenate(
        [
            trace.values[_in_sight(trace)]
            for trace in (traces.measured, traces.commanded, traces.chunk)
        ]
    )
    joint = traces.joint
    if not values.size:
        return joint.lower, joint.upper
    low, high = float(values.min()), float(values.max())
    lack = max(0.0, MIN_SPAN * (joint.upper - joint.lower) - (high - low))
    low, high = low - lack / 2, high + lack / 2
    step = 10 ** math.floor(math.log10(high - low))
    step *= next(factor for factor in (0.2, 0.5, 1.0, 2.0) if (high - low) / (factor * step) <= 5)
    return math.floor(low / step) * step, math.ceil(high / step) * step


def _in_sight(trace: Trace) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return (trace.times_s >= -PAST_S) & (trace.times_s <= FUTURE_S)


def _draw_trace(
    plot: ImageArray, trace: Trace, low: float, high: float, colour: Colour, thickness: int
) -> None:
    seen = _in_sight(trace)
    height, width = plot.shape[:2]
    x = (trace.times_s[seen] + PAST_S) / (PAST_S + FUTURE_S) * (width - 1)
    y = (high - trace.values[seen]) / (high - low) * (height - 1)
    points = np.round(np.stack([x, y], axis=-1) * 2**_SHIFT).astype(np.int32)
    if len(points) > 1:
        cv2.polylines(plot, [points], False, colour, thickness, cv2.LINE_AA, _SHIFT)
