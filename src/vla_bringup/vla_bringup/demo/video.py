"""Writes the frames of the demo as an H.264 film that plays even if the program is killed."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2

from vla_core.types import ImageArray

BT601, LIMITED_RANGE = 6, 1  # what cv2 converts to, and what the file says


class VideoWriter:
    """MP4, yuv420p. Fragmented while it grows; ``close`` makes an ordinary file of it.

    Args:
        path: File to write; an old one is replaced.
        width, height: Of each frame, even numbers.
        rate_hz: Grid of the frames; skipped places make the frame before last longer.
    """

    def __init__(self, path: Path, *, width: int, height: int, rate_hz: int) -> None:
        self.frames = 0
        self._first = 0
        movie = {"movflags": "hybrid_fragmented+frag_keyframe", "flush_packets": "1"}
        self._container = av.open(str(path), "w", format="mp4", options=movie)
        self._stream = self._container.add_stream("libx264", rate=rate_hz)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {"preset": "superfast", "crf": "24", "tune": "zerolatency"}
        context = self._stream.codec_context
        context.thread_count = 1  # the cores belong to the robot
        context.gop_size = 2 * rate_hz
        context.colorspace, context.color_range = BT601, LIMITED_RANGE
        context.time_base = Fraction(1, rate_hz)

    def write(self, frame: ImageArray, index: int) -> None:
        """Add a frame, (height, width, 3) uint8 RGB, at a place on the grid after all before.

        The film starts with the first frame, wherever that is.
        """
        if self.frames == 0:
            self._first = index
        planes = cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420)
        picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        picture.colorspace, picture.color_range = BT601, LIMITED_RANGE
        picture.pts = index - self._first
        picture.time_base = self._stream.codec_context.time_base
        self._container.mux(self._stream.encode(picture))
        self.frames += 1

    def close(self) -> None:
        """Write what the encoder still holds, and end the file."""
        try:
            if self.frames:
                self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()
