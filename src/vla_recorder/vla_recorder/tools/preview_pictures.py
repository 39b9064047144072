"""Film strips and contact sheets: pictures of cameras over time.

Shape letters: H height, W width.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vla_recorder.tools.picture_checks import Picture

_GAP, _MARGIN, _LINE = 6, 18, 18
_INK, _QUIET, _PAPER, _EMPTY = "#0f172a", "#64748b", "#ffffff", "#e2e8f0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """Pictures of one camera of one episode.

    Attributes:
        times_s: When each was taken, from the start of the episode.
        pictures: One each; None where it could not be decoded.
    """

    camera: str
    times_s: Sequence[float]
    pictures: Sequence[Picture | None]


def strip_jpeg(strip: Strip, width: int = 150) -> bytes:
    """The strip alone, in a row."""
    tiles = [_tile(picture, width) for picture in strip.pictures]
    height = max(tile.height for tile in tiles)
    sheet = Image.new("RGB", (len(tiles) * (width + 2) - 2, height), _PAPER)
    for at, tile in enumerate(tiles):
        sheet.paste(tile, (at * (width + 2), 0))
    memory = io.BytesIO()
    sheet.save(memory, "JPEG", quality=85)
    return memory.getvalue()


def contact_sheet(title: str, episodes: Sequence[tuple[str, Sequence[Strip]]], file: Path) -> None:
    """All strips of some episodes below each other, each named, as PNG.

    Args:
        title: Of the sheet.
        episodes: A heading each, and the strips of its cameras.
        file: Must not exist.
    """
    width = 180
    columns = max(len(strip.pictures) for _, strips in episodes for strip in strips)
    blocks = [(heading, [_named_row(strip, width) for strip in s]) for heading, s in episodes]
    total_width = 2 * _MARGIN + columns * (width + _GAP) - _GAP
    heading_height = 34
    height = 64 + sum(
        heading_height + sum(row.height + _GAP for row in rows) for _, rows in blocks
    )
    sheet = Image.new("RGB", (total_width, height + _MARGIN), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, 20), _fitted(title, total_width, 22), _INK, _font(22, bold=True))
    top = 64
    for heading, rows in blocks:
        draw.line((_MARGIN, top, total_width - _MARGIN, top), "#cbd5e1")
        draw.text((_MARGIN, top + 9), _fitted(heading, total_width, 14), _INK, _font(14))
        top += heading_height
        for row in rows:
            sheet.paste(row, (_MARGIN, top))
            top += row.height + _GAP
    with file.open("xb") as opened:
        sheet.save(opened, "PNG", optimize=True)


def _named_row(strip: Strip, width: int) -> Image.Image:
    """The name above, the times below."""
    tiles = [_tile(picture, width) for picture in strip.pictures]
    height = _LINE + max(tile.height for tile in tiles)
    row = Image.new("RGB", (len(tiles) * (width + _GAP) - _GAP, height + _LINE), _PAPER)
    draw = ImageDraw.Draw(row)
    draw.text((0, 2), _fitted(strip.camera, row.width, 11), _INK, _font(11))
    for at, (tile, time_s) in enumerate(zip(tiles, strip.times_s, strict=True)):
        row.paste(tile, (at * (width + _GAP), _LINE))
        draw.text((at * (width + _GAP), height + 2), f"{time_s:.1f} s", _QUIET, _font(11))
    return row


def _tile(picture: Picture | None, width: int) -> Image.Image:
    if picture is None:
        tile = Image.new("RGB", (width, width * 3 // 4), _EMPTY)
        ImageDraw.Draw(tile).text((8, 8), "cannot be decoded", _QUIET, _font(11))
        return tile
    height, full = picture.shape[:2]
    size = (width, max(1, round(width * height / full)))
    return Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)


def depth_picture(depth: np.ndarray) -> Picture:
    """(H, W) depth as (H, W, 3): near red, far blue, unknown (0) black."""
    known = depth > 0
    if not known.any():
        return np.zeros((*depth.shape, 3), dtype=np.uint8)
    near, far = np.percentile(depth[known], [1, 99])
    place = np.clip((far - depth.astype(np.float64)) / max(far - near, 1.0), 0, 1)
    colours = matplotlib.colormaps["turbo"](place)[..., :3] * 255
    return np.asarray(np.where(known[..., None], colours, 0), dtype=np.uint8)


def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf", name), size)


def _fitted(text: str, width: int, size: int) -> str:
    """A task text may be long and of several lines."""
    flat = " ".join(text.split())
    font, room = _font(size, bold=True), width - 2 * _MARGIN
    if font.getlength(flat) <= room:
        return flat
    while flat and font.getlength(flat + "…") > room:
        flat = flat[: int(len(flat) * 0.95)]
    return flat + "…"
