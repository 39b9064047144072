"""Videos of a dataset: reading of exactly the frames of a clip.

Shape letters: H height, W width. Source: ISO/IEC 14496-12 (MP4).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from vla_core.dataset.episode import Clip
from vla_core.dataset.info import damaged
from vla_core.types import ImageArray

MAX_PIXELS = 1 << 25  # of one picture


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFacts:
    """What the head of a video file says, compared with the size of the file.

    Attributes:
        frames: Whole frames in the file.
        rate: Frames per second.
        stream: Codec, picture format, size and the codec's own head: files in which this is equal
            can be joined without encoding again.
        info: LeRobot's ``info`` block.
    """

    frames: int
    rate: Fraction
    stream: tuple[object, ...]
    info: Mapping[str, Any]


def facts(file: Path) -> VideoFacts:
    """Reads the head of a video.

    Raises:
        DatasetError: It is no MP4 with one video.
    """
    if not file.is_file():
        raise damaged(file, "no such file", "a video")
    return _facts(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _facts(file: Path, changed_ns: int) -> VideoFacts:
    with reading(file) as (container, stream):
        size, entries = file.stat().st_size, stream.index_entries
        if len(entries) == stream.frames > 0:
            frames = sum(entry.pos + entry.size <= size for entry in entries)
        else:  # in fragments: there is no index at the head
            frames = sum(packet.size > 0 for packet in container.demux(stream))
        context = stream.codec_context
        info = {
            "video.height": stream.height,
            "video.width": stream.width,
            "video.codec": stream.codec.canonical_name,
            "video.pix_fmt": stream.pix_fmt,
            "video.is_depth_map": False,
            "video.fps": int(stream.base_rate or 0),
            "video.channels": len(context.format.components) if context.format else 0,
            "has_audio": bool(container.streams.audio),
        }
        key = (info["video.codec"], context.pix_fmt, stream.width, stream.height)
        return VideoFacts(
            frames=frames,
            rate=Fraction(stream.average_rate or 0),
            stream=(*key, context.extradata),
            info=info,
        )


def count_frames(file: Path) -> int:
    """Whole frames of a video file; the pictures are not decoded."""
    return facts(file).frames


def decode(clip: Clip, *, keyframes_only: bool = False) -> Iterator[ImageArray]:
    """The pictures (H, W, 3) uint8 of a clip, in order.

    Args:
        clip: Which.
        keyframes_only: Of every group of pictures only the first.

    Raises:
        DatasetError: The video is damaged, or shorter than the clip.
    """
    if keyframes_only:
        return _decode(clip, None)
    return _decode(clip, range(clip.frames))


def decode_some(clip: Clip, wanted: Sequence[int]) -> Iterator[ImageArray]:
    """The same of some frames, by their rising places in the clip."""
    return _decode(clip, wanted)


def _decode(clip: Clip, wanted: Sequence[int] | None) -> Iterator[ImageArray]:
    times = packet_times(clip)
    chosen = times.keys if wanted is None else np.asarray(wanted, dtype=np.intp)
    pending = times.shown[chosen]
    with reading(clip.file) as (container, stream):
        context = stream.codec_context
        context.thread_type = "AUTO"
        context.options = {"err_detect": "explode"}
        if wanted is None:
            context.skip_frame = "NONKEY"
        met, far = -(1 << 62), _far(times.shown)
        frames: Iterator[Any] = iter(())
        for time in pending.tolist():
            start = int(times.starts[np.searchsorted(times.starts, time, side="right") - 1])
            if start > met + far:
                container.seek(start, stream=stream, backward=True)
                frames = container.decode(stream)
            frame = next((f for f in frames if f.pts is not None and f.pts >= time), None)
            if frame is None or frame.pts != time or frame.is_corrupt:
                raise damaged(clip.file, f"no whole frame at {time}", f"{len(pending)} frames")
            met = time
            yield frame.to_ndarray(format="rgb24")


def _far(times: npt.NDArray[np.int64]) -> int:
    """So far ahead that seeking is quicker than decoding on: 16 frames."""
    return 16 * int(times[1] - times[0]) if len(times) > 1 else 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PacketTimes:
    """The frames of a clip, n of them, in the order in which they are shown.

    Attributes:
        shown: (n,) int64, in the file's own time base.
        keys: (n,) bool, which are keyframes.
        starts: Times of all keyframes of the file.
        delay: Frames by which B-frames put decoding before showing; 0 without them.
    """

    shown: npt.NDArray[np.int64]
    keys: npt.NDArray[np.bool_]
    starts: npt.NDArray[np.int64]
    delay: int


def packet_times(clip: Clip) -> PacketTimes:
    """Reads the time stamps of a clip.

    Raises:
        DatasetError: The video is damaged, or shorter than the clip.
    """
    if not clip.file.is_file():
        raise damaged(clip.file, "no such file", "a video")
    stored, stored_keys = _stored(clip.file, clip.file.stat().st_mtime_ns)
    order = np.argsort(stored)
    if clip.first < 0 or clip.frames < 1 or len(stored) < clip.first + clip.frames:
        wanted = f"{clip.frames} from {clip.first}"
        raise damaged(clip.file, f"{len(stored)} frames", f"{wanted}, as the table has")
    order = order[clip.first : clip.first + clip.frames]
    decoded = np.argsort(np.argsort(order))  # of each frame, its place in the order of decoding
    delay = int((decoded - np.arange(len(order))).max())
    starts = np.sort(stored[stored_keys])
    return PacketTimes(shown=stored[order], keys=stored_keys[order], starts=starts, delay=delay)


@lru_cache(maxsize=16)
def _stored(file: Path, changed_ns: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Of each packet, as they lie in the file, when it is shown and whether it is a keyframe."""
    with reading(file) as (container, stream):
        found = [
            (packet.pts, packet.is_keyframe)
            for packet in container.demux(stream)
            if packet.size and packet.pts is not None
        ]
    stored = np.array([time for time, _ in found], dtype=np.int64)
    keys = np.array([key for _, key in found], dtype=np.bool_)
    if not len(keys) or not keys[0] or len(np.unique(stored)) != len(stored):
        raise damaged(file, "no keyframe at the start, or two frames at a time", "a whole video")
    return stored, keys


@contextmanager
def reading(file: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its video. Only MP4 is tried: a playlist could name other files."""
    try:
        with av.open(str(file.absolute()), format="mov") as container:
            stream = next(iter(container.streams.video), None)
            context = stream and stream.codec_context  # a damaged head may have none
            if context is None or not 0 < context.width * context.height <= MAX_PIXELS:
                size = context and (context.width, context.height)
                raise damaged(file, size, f"one video of at most {MAX_PIXELS} pixels")
            yield container, stream
    except (av.FFmpegError, OSError, ValueError) as error:
        raise damaged(file, error, "an MP4 video") from error
