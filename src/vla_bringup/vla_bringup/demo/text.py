"""Text on a picture, in Pillow's own font: OpenCV's strokes are hard to read when small."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vla_core.types import ImageArray

Colour = tuple[int, int, int]


def draw_text(
    canvas: ImageArray,
    text: str,
    x: int,
    y: int,
    *,
    size: int,
    colour: Colour,
    align: str = "left",
    max_width: int = 10_000,
) -> int:
    """Write one line and return its width in pixels; what leaves the canvas is cut off.

    Args:
        canvas: (H, W, 3) uint8 RGB, drawn on.
        x: Left edge, or the right one where ``align`` is "right".
        y: Top of the line.
        size: Height of the font in pixels.
        max_width: A longer text is cut and ends in "...".
    """
    mask = _fitted(text, size, max_width)
    height, width = mask.shape[:2]
    left = x - width if align == "right" else x
    top, bottom = max(0, y), min(canvas.shape[0], y + height)
    first, last = max(0, left), min(canvas.shape[1], left + width)
    if top < bottom and first < last:
        part = mask[top - y : bottom - y, first - left : last - left]
        area = canvas[top:bottom, first:last]
        area[:] = (area + (np.array(colour, np.float32) - area) * part).astype(np.uint8)
    return int(width)


def _fitted(text: str, size: int, max_width: int) -> NDArray[np.float32]:
    mask = _mask(text, size)
    while mask.shape[1] > max_width and len(text) > 3:
        text = text[: max(3, int(len(text) * max_width / mask.shape[1]) - 4)] + "..."
        if (shorter := _mask(text, size)).shape[1] >= mask.shape[1]:
            break
        mask = shorter
    return mask[:, :max_width]


@lru_cache(maxsize=1024)
def _mask(text: str, size: int) -> NDArray[np.float32]:
    """(H, W, 1) coverage from 0 to 1; the same few words are drawn in every frame."""
    font = ImageFont.load_default(size)
    image = Image.new("L", (max(1, round(font.getlength(text)) + 2), round(size * 1.35)))
    ImageDraw.Draw(image).text((0, 0), text, fill=255, font=font)
    return (np.asarray(image)[:, :, np.newaxis] / 255).astype(np.float32)
