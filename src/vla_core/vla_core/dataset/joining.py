"""Joining and cutting videos without encoding again: the packets are copied as they are.

Source: ISO/IEC 14496-12 (MP4: time stamps, edit lists).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from vla_core.dataset.encoding import rate_of
from vla_core.dataset.episode import Clip
from vla_core.dataset.files import link_or_copy
from vla_core.dataset.info import DatasetError, damaged
from vla_core.dataset.video import facts, packet_times, reading

_TICKS = 512  # per frame; as libav chooses them for whole rates


def store(clips: Sequence[Clip], file: Path, *, fps: float) -> None:
    """Makes a file of these clips; a link, if that is what one of them is already.

    Raises:
        DatasetError: As ``join``.
    """
    found = facts(clips[0].file)
    whole = len(clips) == 1 and clips[0].first == 0 and clips[0].frames == found.frames
    if whole and found.rate == rate_of(fps):
        link_or_copy(clips[0].file, file)
    else:
        join(clips, file, fps=fps)


def join(clips: Sequence[Clip], file: Path, *, fps: float) -> None:
    """Writes the frames of clips one after another, frame n at the time n / fps.

    Raises:
        DatasetError: A clip begins between keyframes or is damaged, or the clips were encoded
            in different ways.
    """
    first = facts(clips[0].file)
    for clip in clips[1:]:
        if facts(clip.file).stream != first.stream:
            raise damaged(clip.file, "another encoding or size", f"that of {clips[0].file}")
    rate = rate_of(fps)
    tick = Fraction(rate.denominator, rate.numerator * _TICKS)
    try:
        with av.open(str(file.absolute()), "w", format="mp4") as output:
            with reading(clips[0].file) as (_, stream):
                copied = output.add_stream_from_template(stream, opaque=True)
            copied.time_base = tick
            start, delay = 0, max(packet_times(clip).delay for clip in clips)
            for clip in clips:
                for decoded, (shown, packet) in enumerate(_packets(clip)):
                    packet.stream = copied
                    packet.time_base = tick
                    packet.pts = (start + shown) * _TICKS
                    packet.dts = (start + decoded - delay) * _TICKS
                    packet.duration = _TICKS
                    output.mux(packet)
                start += clip.frames
    except (av.FFmpegError, OSError) as error:
        raise DatasetError(
            "videos could not be joined",
            where=str(file),
            found=error,
            fix="look for space on the disk",
        ) from error


def _packets(clip: Clip) -> Iterator[tuple[int, Any]]:
    """The packets of a clip as they are decoded, with their places as they are shown."""
    times = packet_times(clip)
    places = {int(time): place for place, time in enumerate(times.shown)}
    if not times.keys[0]:
        raise DatasetError(
            "a clip begins between two keyframes",
            where=f"{clip.file}, frame {clip.first}",
            fix="encode the episodes again",
        )
    with reading(clip.file) as (container, stream):
        container.seek(int(times.shown[0]), stream=stream, backward=True)
        for packet in container.demux(stream):
            place = places.pop(packet.pts, None) if packet.size else None
            if place is not None:
                yield place, packet
            if not places:
                return
    raise damaged(clip.file, f"{len(places)} frames too few", len(times.shown))
