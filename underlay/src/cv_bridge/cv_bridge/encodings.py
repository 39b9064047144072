"""Image encodings: what one pixel is, and how OpenCV turns one encoding into another.

Source: sensor_msgs/image_encodings.hpp and the conversion table of cv_bridge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_DEPTHS = {
    "8U": np.uint8,
    "8S": np.int8,
    "16U": np.uint16,
    "16S": np.int16,
    "32S": np.int32,
    "32F": np.float32,
    "64F": np.float64,
}
_COLORS = {"mono": "GRAY", "rgb": "RGB", "bgr": "BGR", "rgba": "RGBA", "bgra": "BGRA"}
_CHANNELS = {"GRAY": 1, "RGB": 3, "BGR": 3, "RGBA": 4, "BGRA": 4}
_YUV = {"yuv422": "UYVY", "yuv422_yuy2": "YUY2"}
# OpenCV names a Bayer pattern by the second row's second and third pixels, ROS by the first four.
_BAYER = {"rggb": "BayerBG", "bggr": "BayerRG", "gbrg": "BayerGR", "grbg": "BayerGB"}


class CvBridgeError(TypeError):
    """An image cannot be converted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """One encoding; `color` is OpenCV's word for its colours, None for plain numbers."""

    name: str
    dtype: np.dtype
    channels: int
    color: str | None

    @property
    def type_name(self) -> str:
        """OpenCV's name of the pixel type, as 8UC3."""
        return type_name(self.dtype, self.channels)


def type_name(dtype: np.dtype, channels: int) -> str:
    """Return OpenCV's name of a pixel type, as 8UC3, whatever the byte order."""
    for name, depth in _DEPTHS.items():
        if dtype.newbyteorder("=") == depth:
            return f"{name}C{channels}"
    raise CvBridgeError(f"Unsupported element type [{dtype}]; allowed: {[*map(str, _DEPTHS)]}")


def parse_encoding(name: str) -> Encoding:
    """Return what an encoding's name means; raise CvBridgeError for an unknown one."""
    if match := re.fullmatch(r"(8U|8S|16U|16S|32S|32F|64F)(?:C([1-9][0-9]*))?", name):
        dtype, channels = np.dtype(_DEPTHS[match[1]]), int(match[2] or 1)
        return Encoding(name=name, dtype=dtype, channels=channels, color=None)
    if name in _YUV:
        return Encoding(name=name, dtype=np.dtype(np.uint8), channels=2, color=_YUV[name])
    if match := re.fullmatch(r"(mono|rgba?|bgra?|bayer_(?:rggb|bggr|gbrg|grbg))(8|16)", name):
        color = _COLORS.get(match[1]) or _BAYER[match[1].removeprefix("bayer_")]
        dtype = np.dtype(np.uint8 if match[2] == "8" else np.uint16)
        return Encoding(name=name, dtype=dtype, channels=_CHANNELS.get(color, 1), color=color)
    raise CvBridgeError(f"Unrecognized image encoding [{name}]")


def convert(image: NDArray, source: Encoding, target: Encoding) -> NDArray:
    """Return a copy of an image (H, W) or (H, W, C) in another encoding.

    Colours become colours; plain numbers only change their depth. 8 and 16 bit images are scaled
    to each other's full range, other depths keep their values, saturated.

    Raises:
        CvBridgeError: Such a conversion does not exist.
    """
    if source.name == target.name:
        return image.copy()
    if source.color is None or target.color is None or source.color == target.color:
        is_same = source.channels == target.channels
        adds_meaning = source.color is None and target.color is not None
        raw_copy = source.color in _BAYER.values() and target.color is not None
        if adds_meaning or raw_copy or not is_same:
            raise CvBridgeError(f"Unsupported conversion from [{source.name}] to [{target.name}]")
        return _to_depth(image, target.dtype)
    return _to_depth(cv2.cvtColor(image, _conversion_code(source, target)), target.dtype)


def _conversion_code(source: Encoding, target: Encoding) -> int:
    name = f"COLOR_{source.color}2{target.color}"
    targets = set(_CHANNELS)
    if source.color in _YUV.values():
        name = f"COLOR_YUV2{target.color}_{source.color}"
    elif source.color in _BAYER.values():
        targets = {"GRAY", "RGB", "BGR"}
    if target.color not in targets:
        raise CvBridgeError(f"Unsupported conversion from [{source.name}] to [{target.name}]")
    return int(getattr(cv2, name))


def _to_depth(image: NDArray, dtype: np.dtype) -> NDArray:
    if image.dtype == dtype:
        return image.copy()
    if dtype.kind == "f":
        return image.astype(dtype)
    bits = (image.dtype.itemsize, dtype.itemsize)
    scale = {(1, 2): 65535 / 255, (2, 1): 255 / 65535}.get(bits, 1.0)
    limits = np.iinfo(dtype)
    values = np.clip(np.rint(image.astype(np.float64) * scale), limits.min, limits.max)
    return np.nan_to_num(values, nan=limits.min).astype(dtype)  # clip keeps NaN
