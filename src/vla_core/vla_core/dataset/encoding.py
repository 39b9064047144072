"""Encoding of pictures as video, in a thread per camera. Frame n is shown at n / fps.

Shape letters: H height, W width. Source: https://ffmpeg.org/ffmpeg-codecs.html
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from av.codec.hwaccel import HWAccel
from av.video.reformatter import VideoReformatter

from vla_core.dataset.info import DatasetError
from vla_core.types import ImageArray

_QUEUED = 4  # frames per camera that wait for the encoder
_USUAL = "yuv420p"
_THREADS = 2  # fixed: the bytes of x264 depend on it


@dataclass(frozen=True, slots=True)
class _Encoder:
    """How a codec is called by libav, and its options."""

    name: str
    crf: int
    quality: str = "crf"
    preset: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    takes: str = _USUAL  # in its place, the same picture in another order


# Few frames ahead: with short groups of pictures more only fills the memory, 30 MB per camera.
_X265 = "pools=2:frame-threads=1:bframes=0:open-gop=0:rc-lookahead=5:info=0:log-level=error"
_SVT = "lp=1:lookahead=0"
_NO_B = (("bf", "0"),)
# x264's tree of macroblocks gives other bytes now and then where a side is no multiple of 16
# (13 of 500 times at 48x36, never without it), and has nothing to look ahead to in short groups.
_X264 = (*_NO_B, ("mbtree", "0"), ("rc-lookahead", "0"))
_NVENC = (("rc", "constqp"), *_NO_B)
ENCODERS: Mapping[str, _Encoder] = {
    "h264": _Encoder("libx264", 23, preset="veryfast", options=_X264),
    "hevc": _Encoder("libx265", 26, preset="veryfast", options=(("x265-params", _X265),)),
    "av1": _Encoder("libsvtav1", 30, preset="10", options=(("svtav1-params", _SVT),)),
    "h264_nvenc": _Encoder("h264_nvenc", 23, "qp", options=_NVENC),
    "hevc_nvenc": _Encoder("hevc_nvenc", 26, "qp", options=_NVENC),
    "av1_nvenc": _Encoder("av1_nvenc", 30, "qp", options=_NVENC),
    "h264_qsv": _Encoder("h264_qsv", 23, "global_quality", options=_NO_B, takes="nv12"),
    "hevc_qsv": _Encoder("hevc_qsv", 26, "global_quality", options=_NO_B, takes="nv12"),
    "h264_vaapi": _Encoder("h264_vaapi", 23, "qp", options=_NO_B, takes="nv12"),
    "hevc_vaapi": _Encoder("hevc_vaapi", 26, "qp", options=_NO_B, takes="nv12"),
    "h264_videotoolbox": _Encoder("h264_videotoolbox", 60, "q:v"),
    "hevc_videotoolbox": _Encoder("hevc_videotoolbox", 60, "q:v"),
}
"""By the name that a user gives. No B-frames: a file can be cut and joined at every keyframe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How pictures become video.

    Attributes:
        codec: A key of ``ENCODERS``.
        crf: Constant quality, lower is better; None is the codec's default here.
        preset: The encoder's own word for speed against size; None is the default here.
        gop: Frames from keyframe to keyframe; small is fast to read at random.
        pixel_format: As libav calls it.
    """

    codec: str = "h264"
    crf: int | None = None
    preset: str | None = None
    gop: int = 2
    pixel_format: str = _USUAL


def rate_of(fps: float) -> Fraction:
    """The rate that a video states: exact for whole numbers and for 30000/1001."""
    return Fraction(fps).limit_denominator(1001)


class VideoWriter:
    """Encodes one camera in a thread of its own.

    Args:
        file: The MP4 to make.
        width: W, pixels.
        height: H, pixels.
        fps: Frames per second.
        encoding: Codec and quality.

    Raises:
        DatasetError: The encoder cannot be opened with this; the text lists those that can.
    """

    def __init__(
        self, file: Path, width: int, height: int, fps: float, encoding: Encoding
    ) -> None:
        self._file, self._shape = file, (height, width, 3)
        self._frames = 0
        self._error: Exception | None = None
        self._queue: queue.Queue[ImageArray | None] = queue.Queue(maxsize=_QUEUED)
        try:
            self._container = av.open(str(file.absolute()), "w", format="mp4")
        except (av.FFmpegError, OSError) as error:
            raise _unwritable(file, error) from error
        try:
            self._stream = _open_stream(self._container, width, height, rate_of(fps), encoding)
        except DatasetError:
            self._container.close()
            self._remove()
            raise
        self._thread = threading.Thread(target=self._encode_all, name=file.name, daemon=True)
        self._thread.start()

    def add(self, rgb: ImageArray) -> None:
        """Gives one picture (H, W, 3) uint8 to the encoder; it must not change afterwards.

        Raises:
            DatasetError: Another shape, or the encoder has failed.
        """
        if rgb.shape != self._shape or rgb.dtype != np.uint8:
            raise DatasetError(
                "a picture does not fit its video",
                where=str(self._file),
                found=f"{rgb.shape} {rgb.dtype}",
                allowed=f"{self._shape} uint8",
                fix="give --resize, or check the camera: its size changed",
            )
        if self._error is not None:
            raise _unwritable(self._file, self._error) from self._error
        self._queue.put(rgb)
        self._frames += 1

    def close(self) -> int:
        """Ends the file.

        Returns:
            The number of frames in it.

        Raises:
            DatasetError: Anything could not be encoded or written.
        """
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
        try:
            if self._error is None:
                self._mux(None)
            self._container.close()
        except (av.FFmpegError, OSError) as error:
            self._error = self._error or error
        if self._error is not None:
            raise _unwritable(self._file, self._error) from self._error
        return self._frames

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def abort(self) -> None:
        """Ends the thread and removes the file."""
        with suppress(DatasetError):
            self.close()
        self._remove()

    def _remove(self) -> None:
        if self._file.is_file():  # a device was not made here
            self._file.unlink()

    def _encode_all(self) -> None:
        index = 0
        colours = VideoReformatter()  # kept: it costs half as much as a new one for each frame
        while (rgb := self._queue.get()) is not None:
            if self._error is not None:
                continue  # the queue is emptied, so that add() never blocks
            try:
                whole = np.ascontiguousarray(rgb)
                frame = av.VideoFrame.from_numpy_buffer(whole, format="rgb24")
                frame = colours.reformat(frame, format=self._stream.pix_fmt)
                frame.pts, index = index, index + 1
                self._mux(frame)
            except Exception as error:  # an encoder's thread: add() and close() raise it
                self._error = error

    def _mux(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)


def available_codecs() -> tuple[str, ...]:
    """The codecs that this machine can open now."""
    return tuple(codec for codec in ENCODERS if _refusal(codec) is None)


@cache
def _refusal(codec: str) -> str | None:
    """Why an encoder cannot be opened for a small picture; None where it can."""
    try:
        with av.open(os.devnull, "w", format="null") as container:
            _open(container, 256, 256, Fraction(30), Encoding(codec=codec))
    except (av.FFmpegError, ValueError, OSError) as error:
        return str(error)
    return None


def _open_stream(
    container: Any, width: int, height: int, rate: Fraction, encoding: Encoding
) -> Any:
    try:
        if encoding.codec not in ENCODERS:
            raise ValueError("no such codec")
        return _open(container, width, height, rate, encoding)
    except (av.FFmpegError, ValueError, OSError) as error:
        raise DatasetError(
            "a video encoder cannot be opened",
            where=f"{encoding}, {width}x{height}",
            found=error,
            allowed=f"here: {', '.join(available_codecs())}; even sizes with yuv420p",
            fix="choose another --codec, --preset or --resize",
        ) from error


def _open(container: Any, width: int, height: int, rate: Fraction, encoding: Encoding) -> Any:
    encoder = ENCODERS[encoding.codec]
    hardware = HWAccel("vaapi") if encoder.name.endswith("_vaapi") else None
    stream = container.add_stream(encoder.name, rate=rate, hwaccel=hardware)
    stream.width, stream.height = width, height
    wanted = encoding.pixel_format
    stream.pix_fmt = encoder.takes if wanted == _USUAL else wanted
    context = stream.codec_context
    context.thread_count, context.gop_size = _THREADS, encoding.gop
    crf = encoder.crf if encoding.crf is None else encoding.crf
    preset = encoding.preset or encoder.preset
    context.options = {
        encoder.quality: str(crf),
        **dict(encoder.options),
        **({"preset": preset} if preset else {}),
    }
    os.environ.setdefault("SVT_LOG", "1")  # else it writes its settings to stderr
    context.open()
    return stream


def _unwritable(file: Path, error: Exception) -> DatasetError:
    return DatasetError(
        "a video could not be written",
        where=str(file),
        found=error,
        fix="look for space on the disk; the file is incomplete and must not be used",
    )
