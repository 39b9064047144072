"""One frame of the demo: cameras on the left, the joints of the action on the right."""

from __future__ import annotations

import cv2
import numpy as np

from vla_bringup.demo.plots import (
    CHUNK,
    COMMANDED,
    FAINT,
    FUTURE_S,
    INK,
    MEASURED,
    PAPER,
    PAST_S,
    WHITE,
    Box,
    draw_plot,
    fill,
    grid,
)
from vla_bringup.demo.text import Colour, draw_text
from vla_bringup.demo.view import View
from vla_core.types import ImageArray

WIDTH, HEIGHT = 1280, 768
HEADER = Box(x=0, y=0, width=WIDTH, height=48)
BADGE = Box(x=12, y=9, width=112, height=30)
CAMERAS = (
    Box(x=0, y=48, width=640, height=480),
    Box(x=0, y=528, width=320, height=240),
    Box(x=320, y=528, width=320, height=240),
)
LEGEND = Box(x=640, y=48, width=640, height=36)
PLOTS = Box(x=640, y=84, width=640, height=HEIGHT - 84)
DARK: Colour = (36, 41, 48)
PALE: Colour = (164, 172, 182)
STATES: dict[str, Colour] = {
    "RUNNING": (46, 139, 87),
    "DRY_RUN": (46, 139, 87),
    "RAMPING": (201, 134, 20),
    "HOLDING": (201, 134, 20),
    "LATCHED": (190, 52, 52),
}


def draw(view: View) -> ImageArray:
    """Draw a view: (768, 1280, 3) uint8 RGB."""
    canvas = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    fill(canvas, Box(x=0, y=0, width=WIDTH, height=HEIGHT), PAPER)
    _draw_header(canvas, view)
    for name, box in zip(view.cameras, CAMERAS, strict=False):
        _draw_camera(canvas, box, name, view.images.get(name))
    if view.cause:
        _draw_strip(canvas, view.cause, CAMERAS[0].x, CAMERAS[0].y + 454, width=640, size=14)
    _draw_legend(canvas)
    for traces, cell in zip(view.joints, grid(PLOTS, len(view.joints)), strict=True):
        draw_plot(canvas, cell, traces)
    return canvas


def _draw_header(canvas: ImageArray, view: View) -> None:
    fill(canvas, HEADER, DARK)
    fill(canvas, BADGE, STATES.get(view.state, FAINT))
    draw_text(canvas, view.state, 26, 14, size=16, colour=WHITE)
    elapsed = "--" if view.elapsed_s is None else f"{view.elapsed_s:.1f} s"
    draw_text(canvas, elapsed, 140, 15, size=16, colour=WHITE)
    draw_text(canvas, f'"{view.prompt}"', 216, 15, size=16, colour=WHITE, max_width=430)
    right = WIDTH - 16
    for text, tint in (
        ("random weights", (240, 190, 110)),
        (f"chunk age {_ms(view.chunk_age_ms)}", PALE),
        (f"observation to chunk {_ms(view.latency_ms)}", PALE),
    ):
        draw_text(canvas, text, right, 16, size=15, colour=tint, align="right")
        right -= 150 if tint is not PALE else 180


def _ms(value: float | None) -> str:
    return "--" if value is None else f"{value:.0f} ms"


def _draw_camera(canvas: ImageArray, box: Box, name: str, image: ImageArray | None) -> None:
    area = canvas[box.y : box.y + box.height, box.x : box.x + box.width]
    if image is None:
        fill(canvas, box, DARK)
        name += ": no image yet"
    elif image.shape == area.shape:
        area[:] = image
    else:
        cv2.resize(image, (box.width, box.height), dst=area, interpolation=cv2.INTER_AREA)
    _draw_strip(canvas, name, box.x, box.y, width=box.width, size=13)


def _draw_strip(canvas: ImageArray, text: str, x: int, y: int, *, width: int, size: int) -> None:
    """Text on a darkened piece of the picture."""
    height = size + 10
    mark = np.zeros((height, width, 3), np.uint8)
    length = draw_text(mark, text, 8, 4, size=size, colour=WHITE, max_width=width - 16) + 16
    area = canvas[y : y + height, x : x + length]
    area[:] = np.maximum(area // 3, mark[:, :length])


def _draw_legend(canvas: ImageArray) -> None:
    x, y = LEGEND.x + 46, LEGEND.y + 10
    for label, colour in (
        ("measured", MEASURED),
        ("command", COMMANDED),
        ("action chunk", CHUNK),
    ):
        fill(canvas, Box(x=x, y=y + 6, width=18, height=3), colour)
        x += 24 + draw_text(canvas, label, x + 24, y, size=13, colour=INK) + 18
    note = f"{PAST_S:g} s back | now | {FUTURE_S:g} s ahead"
    draw_text(canvas, note, WIDTH - 14, y, size=13, colour=FAINT, align="right")
