"""What a conversion was asked to do."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, NamedTuple

from vla_core.dataset.encoding import Encoding
from vla_recorder.convert.errors import ConvertError

_CROP = re.compile(r"([1-9][0-9]*)x([1-9][0-9]*)\+([0-9]+)\+([0-9]+)")
_SIZE = re.compile(r"([1-9][0-9]*)x([1-9][0-9]*)")

MAX_GOP: Final = 1000
_QUALITIES: Final = {  # best and worst of a codec's own scale; of the others 0 to 51
    "av1": (0, 63),
    "av1_nvenc": (0, 255),
    "h264_videotoolbox": (1, 100),
    "hevc_videotoolbox": (1, 100),
}


class ActionSource(Enum):
    """What a dataset's action is made of."""

    COMMANDED = "commanded"  # what the executor really sent
    TOPICS = "topics"  # the contract's command topics
    STATE = "state"  # the measured state of the next tick


class Keys(Enum):
    """How the columns and cameras of the dataset are named."""

    LEROBOT = "lerobot"
    OPENPI = "openpi"


class Size(NamedTuple):
    """Of a picture, in pixels."""

    width: int
    height: int


class Crop(NamedTuple):
    """A part of a picture, in pixels from its top left corner."""

    width: int
    height: int
    x: int
    y: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How episodes are made of bags.

    Attributes:
        fps: Frames per second; None: the contract's policy rate.
        encoding: Of the colour cameras.
        crop: By camera; "" stands for all others.
        resize: Of all cameras, after the crop; without distortion, black around.
        trim_start_s: Left out at the begin of every episode.
        trim_end_s: Left out at its end.
        drop_idle: Leave out what follows a second in which nothing moves, until it moves again.
        receive_time: Judge by the time of receipt instead of header stamps.
        tolerance_s: By stream: instead of the contract's max_age_s. ``action`` for commands.
        allow_rate: Convert although a stream's rate is not the contract's.
        allow_gaps: Leave lost ticks out and go on, where else the longest piece is taken.
        allow_contract: Convert although a bag was recorded under another contract.
        action: None: what was commanded, else the command topics.
        task: Instead of what the bags say.
        include_bad: Take episodes that were marked bad, too.
        keys: Names of columns.
    """

    fps: float | None = None
    encoding: Encoding = field(default_factory=Encoding)
    crop: Mapping[str, Crop] = field(default_factory=dict)
    resize: Size | None = None
    trim_start_s: float = 0.0
    trim_end_s: float = 0.0
    drop_idle: bool = False
    receive_time: bool = False
    tolerance_s: Mapping[str, float] = field(default_factory=dict)
    allow_rate: bool = False
    allow_gaps: bool = False
    allow_contract: bool = False
    action: ActionSource | None = None
    task: str = ""
    include_bad: bool = False
    keys: Keys = Keys.LEROBOT

    def plain(self) -> dict[str, Any]:
        """As JSON has it: equal for equal options."""
        return {
            entry.name: _plain(getattr(self, entry.name)) for entry in dataclasses.fields(self)
        }


def check_encoding(encoding: Encoding) -> None:
    """Refuse what an encoder would take for something else, or read to the end of the bag first.

    Raises:
        ConvertError: A quality or a distance of keyframes that there is not.
    """
    best, worst = _QUALITIES.get(encoding.codec, (0, 51))
    if encoding.crf is not None and not best <= encoding.crf <= worst:
        raise ConvertError(
            "no such quality",
            where=f"--crf of {encoding.codec}",
            found=encoding.crf,
            allowed=f"{best} to {worst}",
        )
    if not 1 <= encoding.gop <= MAX_GOP:
        raise ConvertError(
            "no such distance of keyframes",
            where="--gop",
            found=encoding.gop,
            allowed=f"1 to {MAX_GOP} frames",
        )


def parse_crop(text: str) -> tuple[str, Crop]:
    """``[camera=]WxH+X+Y``.

    Raises:
        ConvertError: Anything else.
    """
    camera, _, geometry = text.rpartition("=")
    if (match := _CROP.fullmatch(geometry)) is None:
        raise ConvertError("not a crop", found=text, allowed="WxH+X+Y or camera=WxH+X+Y")
    return camera, Crop(*(int(number) for number in match.groups()))


def parse_size(text: str) -> Size:
    """``WxH``.

    Raises:
        ConvertError: Anything else.
    """
    if (match := _SIZE.fullmatch(text)) is None:
        raise ConvertError("not a size", found=text, allowed="WxH, e.g. 224x224")
    return Size(*(int(number) for number in match.groups()))


def parse_tolerance(text: str) -> tuple[str, float]:
    """``stream=seconds``.

    Raises:
        ConvertError: Anything else.
    """
    stream, _, seconds = text.partition("=")
    try:
        tolerance_s = float(seconds)
        if not stream or not 0 < tolerance_s <= 10:
            raise ValueError
    except ValueError as error:
        raise ConvertError(
            "not a tolerance", found=text, allowed="stream=seconds, above 0, at most 10"
        ) from error
    return stream, tolerance_s


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: _plain(value[key]) for key in sorted(value)}
    if isinstance(value, tuple):
        return list(value)
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value  # type: ignore[arg-type]
