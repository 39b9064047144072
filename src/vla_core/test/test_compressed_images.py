"""Compressed images: colours, format strings, damaged and hostile files."""

from __future__ import annotations

import array
import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

from vla_core.errors import CodecError
from vla_core.image_codecs import COMPRESSED_IMAGE, decode_depth, decode_image

Image8 = npt.NDArray[np.uint8]

# Two rows of four pixels; no two channels, rows or columns are alike.
RGB = np.array(
    [
        [[250, 10, 60], [20, 240, 90], [30, 70, 230], [200, 150, 5]],
        [[1, 2, 3], [99, 88, 77], [255, 0, 128], [0, 255, 64]],
    ],
    np.uint8,
)
BLOCKS = np.repeat(np.repeat(RGB, 16, 0), 16, 1)  # (32, 64, 3): flat blocks survive JPEG
HOLDERS = [bytes, lambda b: array.array("B", b), lambda b: np.frombuffer(b, np.uint8), bytearray]


def decode(message: Any, **expected: Any) -> Image8:
    return decode_image(message, type_name=COMPRESSED_IMAGE, where="/camera", **expected)


def depth(message: Any, **expected: Any) -> npt.NDArray[Any]:
    return decode_depth(message, type_name=COMPRESSED_IMAGE, where="/depth", **expected)


def compressed(
    data: bytes | bytearray, form: str, hold: Callable[[bytes], Any] = bytes
) -> SimpleNamespace:
    return SimpleNamespace(format=form, data=hold(bytes(data)))


def packed(pixels: npt.NDArray[Any], extension: str) -> bytes:
    done, data = cv2.imencode(
        extension, pixels, [cv2.IMWRITE_JPEG_QUALITY, 98] if extension == ".jpg" else []
    )
    assert done
    return data.tobytes()


JPEG = packed(BLOCKS[:, :, ::-1], ".jpg")
PNG = packed(BLOCKS[:, :, ::-1], ".png")


@pytest.mark.parametrize("hold", HOLDERS)
@pytest.mark.parametrize(
    "form",
    ["jpeg", "jpg", "JPEG", "rgb8; jpeg compressed bgr8", "bgr8;jpeg compressed bgr8", "jpeg "],
)
def test_jpeg_is_decoded_to_rgb(form: str, hold: Callable[[bytes], Any]) -> None:
    image = decode(compressed(JPEG, form, hold), encoding="jpeg")
    assert (image.shape, image.dtype) == (BLOCKS.shape, np.dtype(np.uint8))
    assert np.abs(image[8::16, 8::16].astype(int) - RGB).max() <= 12
    assert image.flags.c_contiguous
    assert not image.flags.writeable


@pytest.mark.parametrize("form", ["png", "rgb8; png compressed bgr8"])
def test_png_is_decoded_to_exact_rgb(form: str) -> None:
    image = decode(compressed(PNG, form), encoding="png", width=64, height=32)
    np.testing.assert_array_equal(image, BLOCKS)


def test_grey_and_transparent_files_become_rgb() -> None:
    grey = decode(compressed(packed(BLOCKS[:, :, 0], ".png"), "mono8; png compressed mono8"))
    np.testing.assert_array_equal(grey, np.repeat(BLOCKS[:, :, :1], 3, 2))
    clear = np.concatenate([BLOCKS[:, :, ::-1], np.zeros_like(BLOCKS[:, :, :1])], 2)
    np.testing.assert_array_equal(decode(compressed(packed(clear, ".png"), "png")), BLOCKS)


def test_palette_with_transparent_colours_loses_them_without_a_warning() -> None:
    file = io.BytesIO()
    PillowImage.fromarray(BLOCKS).quantize(8).save(file, "PNG", transparency=b"\0\1\2")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = decode(compressed(file.getvalue(), "png"))
    np.testing.assert_array_equal(image, BLOCKS)


def test_rotation_note_of_a_jpeg_does_not_turn_the_image() -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    turned = JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + JPEG[2:]
    np.testing.assert_array_equal(
        decode(compressed(turned, "jpeg")),
        decode(compressed(JPEG, "jpeg")),
    )


@pytest.mark.parametrize(
    "form",
    [
        *("", "webp", "h264", "jpeg2000", "rgb8", "jpeg, png", "16UC1; compressedDepth png"),
        # Some software exchanges red and blue in such files, some does not.
        *("rgb8; jpeg compressed rgb8", "rgb8; jpeg compressed ", "bgr8; jpeg"),
    ],
)
def test_format_that_is_unknown_or_leaves_colours_to_guess_is_refused(form: str) -> None:
    with pytest.raises(CodecError, match=r"where: /camera.*allowed: 'jpeg', 'png'"):
        decode(compressed(JPEG, form))


@pytest.mark.parametrize(
    ("data", "form"),
    [(JPEG, "png"), (PNG, "jpeg"), (b"", "jpeg"), (b"", "png")],
    ids=["jpeg as png", "png as jpeg", "no jpeg", "no png"],
)
def test_file_that_is_not_what_its_format_says_is_refused(data: bytes, form: str) -> None:
    with pytest.raises(CodecError, match=f"{form} data cannot be decompressed"):
        decode(compressed(data, form))


@pytest.mark.parametrize(("data", "form"), [(JPEG, "jpeg"), (PNG, "png")], ids=["jpeg", "png"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_truncated_file_is_refused_not_filled_with_grey(
    data: bytes, form: str, part: float
) -> None:
    with pytest.raises(CodecError, match="decompressed"):
        decode(compressed(data[: int(len(data) * part)], form))


def test_compression_and_size_other_than_the_contract_are_refused() -> None:
    with pytest.raises(CodecError, match="found: 'jpeg'; allowed: png"):
        decode(compressed(JPEG, "jpeg"), encoding="png")
    with pytest.raises(CodecError, match="found: 64x32; allowed: 32x64"):
        decode(compressed(JPEG, "jpeg"), width=32, height=64)


def empty_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [4097, 12_000, 30_000])
def test_decompression_bomb_is_refused_by_its_head(side: int) -> None:
    # No pixels follow the head, so a decoder that starts on them reports damaged data instead.
    with pytest.raises(CodecError, match=r"wrong size|Image size .* exceeds limit"):
        decode(compressed(empty_png(side, side), "png"))


@settings(max_examples=200)
@given(st.data(), st.sampled_from([(JPEG, "jpeg"), (PNG, "png")]))
def test_damaged_files_never_raise_anything_but_a_codec_error(
    draw: st.DataObject, file: tuple[bytes, str]
) -> None:
    data = bytearray(file[0])
    for _ in range(draw.draw(st.integers(1, 8))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    message = compressed(data, file[1])
    with contextlib.suppress(CodecError):
        assert decode(message).dtype == np.uint8


@given(st.binary(max_size=120), st.sampled_from(["jpeg", "png"]))
def test_random_bytes_are_no_image(data: bytes, form: str) -> None:
    head = {"jpeg": JPEG[:20], "png": PNG[:33]}[form]
    for junk in (data, head + data):
        with pytest.raises(CodecError):
            decode(compressed(junk, form))


MILLIMETRES = np.array([[0, 1, 258, 65535], [1000, 2000, 3000, 4000]], np.uint16)


@pytest.mark.parametrize(
    ("form", "head"),
    [
        ("16UC1; compressedDepth png", 12),
        ("16UC1; compressedDepth", 12),
        ("16UC1; png compressed ", 0),
        ("png", 0),
    ],
)
def test_compressed_depth_keeps_its_millimetres(form: str, head: int) -> None:
    message = compressed(bytes(head) + packed(MILLIMETRES, ".png"), form)
    image = depth(message, encoding="png", width=4, height=2)
    np.testing.assert_array_equal(image, MILLIMETRES)
    assert image.dtype == np.uint16


@pytest.mark.parametrize(
    ("data", "form", "words"),
    [
        (packed(MILLIMETRES, ".png"), "32FC1; compressedDepth png", "unknown compression"),
        (packed(MILLIMETRES, ".png"), "16UC1; compressedDepth rvl", "unknown compression"),
        (packed(MILLIMETRES, ".png"), "16UC1; compressedDepth png", "cannot be decompressed"),
        (PNG, "png", "'RGB'; allowed: I;16"),
        (JPEG, "jpeg", "unknown compression"),
    ],
    ids=["metres", "rvl", "no header", "colour", "jpeg"],
)
def test_compressed_depth_of_another_kind_is_refused(data: bytes, form: str, words: str) -> None:
    with pytest.raises(CodecError, match=f"{words}.*where: /depth|where: /depth.*{words}"):
        depth(compressed(data, form))


def test_depth_file_is_no_colour_image() -> None:
    with pytest.raises(CodecError, match=r"'I;16'|'I'"):
        decode(compressed(packed(MILLIMETRES, ".png"), "png"))
