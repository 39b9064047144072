"""Pictures on their way into a dataset: cut, scaled, depth in millimetres, frozen ones seen.

Shape letters: H height, W width.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import cv2
import numpy as np
import numpy.typing as npt

from vla_core.contract import Camera
from vla_core.image_codecs import DEPTH_ENCODINGS, Depth
from vla_core.images import resize_with_pad
from vla_core.types import ImageArray
from vla_recorder.convert.errors import ConvertError
from vla_recorder.convert.options import Crop, Size

Picture = ImageArray | npt.NDArray[np.uint16]
FROZEN_NS: Final = 500_000_000
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_DEPTH_BITS = 16
_FARTHEST_MM = 65535
_SEEN_ROWS = 64  # every so many are compared first: pictures of a live camera differ at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Cuts and scales the pictures of all cameras.

    Attributes:
        crop: By camera; "" for all others.
        resize: After the crop, undistorted with black around, as policies do it.
    """

    crop: Mapping[str, Crop]
    resize: Size | None

    def __call__(self, camera: str, picture: Picture) -> Picture:
        """Of (H, W, 3) uint8, or depth of (H, W) uint16; nobody may change the result."""
        picture = self._fitted(camera, picture)
        picture.flags.writeable = False
        return picture

    def _fitted(self, camera: str, picture: Picture) -> Picture:
        if (crop := self.crop.get(camera, self.crop.get(""))) is not None:
            part = picture[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width]
            picture = cast("Picture", np.ascontiguousarray(part))
        if self.resize is None:
            return picture
        if picture.ndim == 2:
            return _resize_depth(picture, self.resize)
        colour = cast("ImageArray", picture)
        return resize_with_pad(colour, self.resize.height, self.resize.width)

    def check(self, cameras: Collection[str]) -> None:
        """Refuse a crop of a camera that there is not.

        Raises:
            ConvertError: There is one.
        """
        if unknown := sorted(self.crop.keys() - {*cameras, ""}):
            raise ConvertError(
                "a crop of no camera", found=", ".join(unknown), allowed=", ".join(cameras)
            )

    def size(self, camera: Camera) -> Size:
        """Of what comes out.

        Raises:
            ConvertError: A crop beyond the picture's edges.
        """
        crop = self.crop.get(camera.name, self.crop.get(""))
        if crop is not None and (
            crop.x + crop.width > camera.width or crop.y + crop.height > camera.height
        ):
            raise ConvertError(
                "a crop beyond the picture",
                where=camera.name,
                found=f"{crop.width}x{crop.height}+{crop.x}+{crop.y}",
                allowed=f"inside of {camera.width}x{camera.height}",
            )
        if self.resize is not None:
            return self.resize
        return Size(crop.width, crop.height) if crop else Size(camera.width, camera.height)


def millimetres(depth: Depth) -> npt.NDArray[np.uint16]:
    """(H, W) uint16 as REP-118 has it: 0 is not measured; what is beyond 65.535 m stays there."""
    if depth.dtype == np.uint16:
        return cast("npt.NDArray[np.uint16]", depth)
    known = np.nan_to_num(depth * 1000.0, nan=0.0, posinf=0.0, neginf=0.0)
    return np.asarray(np.clip(np.rint(known), 0, _FARTHEST_MM), np.uint16)


def is_depth(camera: Camera, message: Any) -> bool:
    """Whether a camera measures depth; of PNG only a message tells."""
    if camera.encoding != "png":
        return camera.encoding in DEPTH_ENCODINGS
    data = bytes(memoryview(message.data)[:64])
    head = data.find(_PNG)  # behind the header of compressed_depth_image_transport, if any
    # IHDR: length, name, width and height of 4 bytes each, then the bits of a pixel, its colours
    return head >= 0 and data[head + 24 : head + 26] == bytes((_DEPTH_BITS, 0))


def _resize_depth(depth: Picture, size: Size) -> npt.NDArray[np.uint16]:
    """As `resize_with_pad`, by the nearest pixel: a mean of two depths is the depth of nothing."""
    rows, columns = depth.shape
    ratio = max(columns / size.width, rows / size.height)
    new_rows, new_columns = max(1, int(rows / ratio)), max(1, int(columns / ratio))
    scaled = cv2.resize(depth, (new_columns, new_rows), interpolation=cv2.INTER_NEAREST)
    top, left = (size.height - new_rows) // 2, (size.width - new_columns) // 2
    canvas = np.zeros((size.height, size.width), np.uint16)
    canvas[top : top + new_rows, left : left + new_columns] = scaled
    return canvas


class Stillness:
    """Counts the pictures of a camera that equal the one before, and how long it stood still."""

    def __init__(self) -> None:
        self.duplicates = 0
        self.frozen_ns = 0  # the sum of all standstills above `FROZEN_NS`
        self._last: Picture | None = None
        self._since_ns = self._counted_ns = 0

    def add(self, picture: Picture, stamp_ns: int) -> None:
        """Of the camera's next message."""
        if self._last is None or not _equal(self._last, picture):
            self._last, self._since_ns, self._counted_ns = picture, stamp_ns, 0
            return
        self.duplicates += 1
        still_ns = stamp_ns - self._since_ns
        if still_ns > FROZEN_NS:
            self.frozen_ns += still_ns - self._counted_ns
            self._counted_ns = still_ns


def _equal(one: Picture, other: Picture) -> bool:
    few = np.array_equal(one[::_SEEN_ROWS], other[::_SEEN_ROWS])
    return few and np.array_equal(one, other)
