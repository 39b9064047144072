"""Image messages to arrays and back; hostile sizes are refused before memory is taken.

Works on any object with the fields of the message, as `codecs` does.

Letters in shapes: H height, W width.
"""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from vla_core.compressed_images import (
    COLOUR_MODES,
    DEPTH_MODES,
    Pixels,
    Size,
    check_size,
    compressed_depth_payload,
    compressed_payload,
    decompress,
)
from vla_core.errors import CodecError
from vla_core.message_fields import check_choice, read_bytes, read_field, read_integer
from vla_core.stamps import split_ns

IMAGE: Final = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE: Final = "sensor_msgs/msg/CompressedImage"

Depth = npt.NDArray[np.uint16] | npt.NDArray[np.float32]


class _Layout(NamedTuple):
    """Channels per pixel in the message, and OpenCV's conversion to RGB (None: it is RGB)."""

    channels: int
    to_rgb: int | None


# Source: sensor_msgs/image_encodings.hpp.
_COLOUR: Final = {
    "rgb8": _Layout(3, None),
    "bgr8": _Layout(3, cv2.COLOR_BGR2RGB),
    "rgba8": _Layout(4, cv2.COLOR_RGBA2RGB),
    "bgra8": _Layout(4, cv2.COLOR_BGRA2RGB),
    "mono8": _Layout(1, cv2.COLOR_GRAY2RGB),
    "yuv422": _Layout(2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": _Layout(2, cv2.COLOR_YUV2RGB_YUY2),
}
_RENAMED: Final = {"uyvy": "yuv422", "yuyv": "yuv422_yuy2"}  # newer names of the same layouts
# Millimetres and metres. Source: REP-118.
DEPTH_ENCODINGS: Final[dict[str, np.dtype[Any]]] = {
    "16UC1": np.dtype(np.uint16),
    "32FC1": np.dtype(np.float32),
}
_ENCODABLE: Final = {IMAGE: ("rgb8", "bgr8", "mono8"), COMPRESSED_IMAGE: ("jpeg",)}


def decode_image(
    message: Any,
    *,
    type_name: str,
    where: str,
    encoding: str | None = None,
    width: int | None = None,
    height: int | None = None,
) -> Pixels:
    """Turn a colour or grey image message into RGB.

    Args:
        message: A sensor_msgs/msg/Image or CompressedImage.
        type_name: Which of the two.
        where: The topic, for the error.
        encoding: What the contract expects (`jpeg`, `png` for a CompressedImage); None: any.
        width: Expected width in pixels; None: any.
        height: Expected height in pixels; None: any.

    Returns:
        (H, W, 3) uint8 RGB, contiguous and read-only: rgb8 without row padding is a view of the
        message, so copy before drawing on it.

    Raises:
        CodecError: Another type, encoding or size, more than `MAX_PIXELS`, or damaged data.
    """
    check_choice("type is not an image", type_name, tuple(_ENCODABLE), where)
    if type_name == COMPRESSED_IMAGE:
        codec, payload = compressed_payload(message, where)
        if encoding is not None:
            check_choice("compression is not the contract's", codec, (encoding,), where)
        return _frozen(decompress(payload, codec, COLOUR_MODES, (width, height), where))
    found = _image_encoding(message, encoding, tuple(_COLOUR), where)
    layout = _COLOUR[found]
    pixels = _pixels(message, layout.channels, (width, height), where)
    if layout.channels == 2 and pixels.shape[1] % 2:
        raise CodecError(
            f"{found} image has an odd width",
            where=where,
            found=pixels.shape[1],
            allowed="an even width: two pixels share their colour",
        )
    if layout.to_rgb is not None:
        return _frozen(np.asarray(cv2.cvtColor(pixels, layout.to_rgb), dtype=np.uint8))
    return _frozen(np.ascontiguousarray(pixels))


def decode_depth(
    message: Any,
    *,
    type_name: str,
    where: str,
    encoding: str | None = None,
    width: int | None = None,
    height: int | None = None,
) -> Depth:
    """Turn a depth image message into numbers, as it was measured.

    Zero (16UC1), NaN and infinity (32FC1) say "not measured" and are passed on (REP-118).

    Args:
        message: A sensor_msgs/msg/Image (16UC1, 32FC1), or a CompressedImage with a 16-bit PNG,
            with or without the header of compressed_depth_image_transport.
        type_name: Which of the two.
        where: The topic, for the error.
        encoding: What the contract expects (`png` for a CompressedImage); None: any.
        width: Expected width in pixels; None: any.
        height: Expected height in pixels; None: any.

    Returns:
        (H, W) uint16 in millimetres or float32 in metres, contiguous and read-only.

    Raises:
        CodecError: As `decode_image`.
    """
    check_choice("type is not an image", type_name, tuple(_ENCODABLE), where)
    if type_name == COMPRESSED_IMAGE:
        if encoding is not None:
            check_choice("compression is not the contract's", "png", (encoding,), where)
        payload = compressed_depth_payload(message, where)
        depth_mm = decompress(payload, "png", DEPTH_MODES, (width, height), where)
        return _frozen(depth_mm.astype(np.uint16))
    dtype = DEPTH_ENCODINGS[_image_encoding(message, encoding, tuple(DEPTH_ENCODINGS), where)]
    raw = np.ascontiguousarray(_pixels(message, dtype.itemsize, (width, height), where))
    stored = dtype.newbyteorder(">" if read_integer(message, "is_bigendian", where) else "<")
    return _frozen(raw.view(stored)[:, :, 0].astype(dtype, copy=False))


def encode_image(
    message_class: Callable[[], Any],
    *,
    type_name: str,
    rgb: Pixels,
    encoding: str,
    stamp_ns: int,
    frame_id: str,
    quality: int = 90,
) -> Any:
    """Make an image message of RGB pixels, as a camera driver would.

    Args:
        message_class: The class of `type_name`, loaded by the caller.
        type_name: sensor_msgs/msg/Image (rgb8, bgr8, mono8) or CompressedImage (jpeg).
        rgb: (H, W, 3) uint8 RGB.
        encoding: One of those that the type carries.
        stamp_ns: Header stamp, nanoseconds.
        frame_id: Header frame, the optical frame of the camera (REP-103).
        quality: JPEG quality, 1 to 100.

    Raises:
        CodecError: Another type, encoding, array or quality.
    """
    check_choice("type is not an image", type_name, tuple(_ENCODABLE), frame_id)
    check_choice("encoding cannot be written", encoding, _ENCODABLE[type_name], frame_id)
    _check_rgb(rgb, frame_id)
    message = message_class()
    message.header.frame_id = frame_id
    stamp = message.header.stamp
    stamp.sec, stamp.nanosec = split_ns(stamp_ns, where=frame_id)
    if type_name == COMPRESSED_IMAGE:
        message.format = "rgb8; jpeg compressed bgr8"
        message.data = array.array("B", _jpeg(rgb, quality, frame_id))
    else:
        _fill(message, rgb, encoding)
    return message


def _check_rgb(rgb: Pixels, where: str) -> None:
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or rgb.size == 0:
        raise CodecError(
            "not an RGB image",
            where=where,
            found=f"{rgb.dtype} of shape {rgb.shape}",
            allowed="uint8 of shape (height, width, 3)",
        )


def _fill(message: Any, rgb: Pixels, encoding: str) -> None:
    """Write the pixels into a sensor_msgs/msg/Image."""
    if encoding != "rgb8":
        target = cv2.COLOR_RGB2BGR if encoding == "bgr8" else cv2.COLOR_RGB2GRAY
        pixels = np.asarray(cv2.cvtColor(rgb, target), dtype=np.uint8)
    else:
        pixels = rgb
    message.height, message.width = rgb.shape[:2]
    message.encoding, message.is_bigendian = encoding, 0
    message.step = pixels.size // rgb.shape[0]
    message.data = array.array("B", pixels.tobytes())


def _jpeg(rgb: Pixels, quality: int, where: str) -> bytes:
    if not 1 <= quality <= 100:
        raise CodecError("JPEG quality out of range", where=where, found=quality, allowed="1-100")
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not done:
        raise CodecError("image could not be compressed", where=where, found=rgb.shape)
    return bytes(data)


def _pixels(message: Any, pixel_bytes: int, expected: Size, where: str) -> Pixels:
    """View the data as (H, W, pixel_bytes) without the padding that `step` puts after each row."""
    width = read_integer(message, "width", where)
    height = read_integer(message, "height", where)
    step = read_integer(message, "step", where)
    check_size((width, height), expected, where)
    data = read_bytes(message, "data", where)
    if step < width * pixel_bytes or step * height > data.size:
        raise CodecError(
            "image data do not fit its size",
            where=where,
            found=f"step {step}, {data.size} bytes",
            allowed=f"step at least {width * pixel_bytes}, {height} rows of step bytes",
            fix="check the camera driver",
        )
    rows = data[: step * height].reshape(height, step)[:, : width * pixel_bytes]
    return rows.reshape(height, width, pixel_bytes)


def _image_encoding(
    message: Any, expected: str | None, allowed: tuple[str, ...], where: str
) -> str:
    found = str(read_field(message, "encoding", where))
    found = _RENAMED.get(found, found)
    check_choice("image is of an unknown encoding", found, allowed, where)
    if expected is not None:
        check_choice("image encoding is not the contract's", found, (expected,), where)
    return found


_Array = TypeVar("_Array", bound=npt.NDArray[Any])


def _frozen(result: _Array) -> _Array:
    result.flags.writeable = False
    return result
