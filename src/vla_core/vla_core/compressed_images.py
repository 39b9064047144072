"""What a CompressedImage holds: its format string, and JPEG and PNG of bounded size."""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from vla_core.errors import CodecError
from vla_core.message_fields import check_choice, read_bytes, read_field

# Larger images are refused: 4096 x 4096 takes 48 MiB as RGB, and no robot's camera has more.
MAX_PIXELS: Final = 2**24

Pixels = npt.NDArray[np.uint8]
Size = tuple[int | None, int | None]  # width, height; None: any

# Either "jpeg", or what compressed_image_transport writes: "rgb8; jpeg compressed bgr8".
_COMPRESSED = re.compile(
    r"(?:(?P<source>\w+) *; *)?(?P<codec>jpe?g|png)(?: +compressed *(?P<target>\w*))? *", re.I
)
_COMPRESSED_DEPTH = re.compile(
    r"(?:16UC1 *; *)?(?:(?P<header>compressedDepth)(?: +png)?|png(?: +compressed)?) *"
)
# compressed_depth_image_transport puts an int32 and two float32 in front of the PNG.
_DEPTH_HEADER_BYTES = 12

COLOUR_MODES: Final = ("1", "L", "LA", "P", "RGB", "RGBA")
DEPTH_MODES: Final = ("I;16", "I")  # 16-bit grey; the second in older versions of Pillow
_UNCHANGED = ("RGB", *DEPTH_MODES)
# Pillow has no error of its own for damaged files: its plugins let these through.
_PILLOW_ERRORS = (
    *(OSError, ValueError, SyntaxError, TypeError, LookupError, EOFError, OverflowError),
    *(struct.error, zlib.error, PillowImage.DecompressionBombError),
    PillowImage.DecompressionBombWarning,
)


def decompress(
    payload: Pixels, codec: str, modes: tuple[str, ...], expected: Size, where: str
) -> npt.NDArray[Any]:
    """Decompress a JPEG or PNG of the expected size whose pixels are of one of Pillow's `modes`.

    Size and mode are read from the file's head before memory is taken, and Pillow refuses
    truncated data, where OpenCV before version 5 fills up with grey.

    Returns:
        (H, W) for the 16-bit modes, else (H, W, 3) uint8 RGB without transparency.

    Raises:
        CodecError: A wrong size or mode, or damaged data.
    """
    try:
        with PillowImage.open(io.BytesIO(payload.data), formats=(codec.upper(),)) as image:
            check_size(image.size, expected, where)
            check_choice("compressed pixels are of another kind", image.mode, modes, where)
            image.load()
            image.info.pop("transparency", None)
            return np.asarray(image if image.mode in _UNCHANGED else image.convert("RGB"))
    except _PILLOW_ERRORS as error:
        raise CodecError(
            f"{codec} data cannot be decompressed",
            where=where,
            found=f"{payload.size} bytes: {str(error).split(' <')[0]}",
            allowed=f"a whole {codec} file",
            fix="check the camera driver and the link to it",
        ) from error


def compressed_payload(message: Any, where: str) -> tuple[str, Pixels]:
    """Return ("jpeg" or "png", data) of a CompressedImage in colour or grey.

    Raises:
        CodecError: Another format, or one whose colours are a guess.
    """
    found = str(read_field(message, "format", where))
    match = _COMPRESSED.fullmatch(found)
    if match is None or _colour_is_a_guess(match["source"] or "", match["target"]):
        raise CodecError(
            "image is of an unknown compression",
            where=where,
            found=repr(found[:80]),
            allowed="'jpeg', 'png', '<encoding>; jpeg compressed bgr8' or the same with png",
            fix="use image_transport's compressed topic, or the raw one",
        )
    return match["codec"].lower().replace("jpg", "jpeg"), read_bytes(message, "data", where)


def _colour_is_a_guess(source: str, target: str | None) -> bool:
    """Whether red and blue may be exchanged in the file.

    compressed_image_transport writes "compressed bgr8" for colours and takes all else to be
    exchanged; other software writes "compressed rgb8" into files that are not.
    """
    if target:
        return target not in ("bgr8", "bgra8", "mono8")
    return source.startswith(("rgb", "bgr"))


def compressed_depth_payload(message: Any, where: str) -> Pixels:
    """Return the PNG of a CompressedImage with 16-bit depth.

    Raises:
        CodecError: Another format.
    """
    found = str(read_field(message, "format", where))
    match = _COMPRESSED_DEPTH.fullmatch(found)
    if match is None:
        raise CodecError(
            "depth is of an unknown compression",
            where=where,
            found=repr(found[:80]),
            allowed="'16UC1; compressedDepth png', '16UC1; png compressed' or 'png'",
            fix="set the depth camera's compression to png, or use the raw topic",
        )
    return read_bytes(message, "data", where)[_DEPTH_HEADER_BYTES if match["header"] else 0 :]


def check_size(found: tuple[int, int], expected: Size, where: str) -> None:
    """Refuse a width and height that are not the expected ones, not positive, or too large.

    Raises:
        CodecError: It says so.
    """
    width, height = found
    fits = all(want in (None, have) for have, want in zip(found, expected, strict=True))
    if not fits or min(found) < 1 or width * height > MAX_PIXELS:
        allowed = "x".join("any" if want is None else str(want) for want in expected)
        raise CodecError(
            "image has a wrong size",
            where=where,
            found=f"{width}x{height}",
            allowed=f"{allowed}, at most {MAX_PIXELS} pixels",
            fix="set the camera's resolution, or its width and height in the contract",
        )
