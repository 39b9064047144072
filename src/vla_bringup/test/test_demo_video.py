"""The film of the demo: as many frames as were written, also after a crash."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from vla_bringup.demo.video import VideoWriter

RATE_HZ = 15
SHADES = (30, 90, 150, 210)


def writer(path: Path) -> VideoWriter:
    return VideoWriter(path, width=320, height=192, rate_hz=RATE_HZ)


def frame(index: int) -> np.ndarray:
    return np.full((192, 320, 3), SHADES[index % len(SHADES)], np.uint8)


def decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def test_every_frame_comes_back_in_order(tmp_path: Path) -> None:
    film = writer(tmp_path / "a.mp4")
    for index in range(40):
        film.write(frame(index), index)
    film.close()
    frames = decoded(tmp_path / "a.mp4")
    assert film.frames == len(frames) == 40
    for index, picture in enumerate(frames):
        assert abs(picture.to_ndarray(format="rgb24").mean() - SHADES[index % 4]) < 3


def test_a_skipped_place_makes_the_frame_before_last_longer(tmp_path: Path) -> None:
    film = writer(tmp_path / "a.mp4")
    for index in (100, 101, 104, 105):  # the film starts with its first frame
        film.write(frame(index), index)
    film.close()
    times_s = [picture.time for picture in decoded(tmp_path / "a.mp4")]
    assert times_s == pytest.approx([0, 1 / RATE_HZ, 4 / RATE_HZ, 5 / RATE_HZ])


def test_a_film_that_was_never_closed_plays(tmp_path: Path) -> None:
    film = writer(tmp_path / "a.mp4")
    for index in range(100):
        film.write(frame(index), index)
    shutil.copy(tmp_path / "a.mp4", tmp_path / "crashed.mp4")
    film.close()
    assert len(decoded(tmp_path / "crashed.mp4")) >= 100 - 3 * 2 * RATE_HZ


def test_the_film_says_how_its_colours_were_made(tmp_path: Path) -> None:
    film = writer(tmp_path / "a.mp4")
    film.write(frame(0), 0)
    film.close()
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.pix_fmt, stream.codec_context.colorspace) == ("yuv420p", 6)


def test_no_frame_at_all_is_no_error(tmp_path: Path) -> None:
    writer(tmp_path / "a.mp4").close()
