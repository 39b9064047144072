"""Pixels of image messages: order of channels, padding, byte order, hostile sizes."""

import array
import contextlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image

from vla_core.compressed_images import MAX_PIXELS
from vla_core.errors import CodecError
from vla_core.image_codecs import COMPRESSED_IMAGE, IMAGE, decode_depth, decode_image, encode_image

Image8 = npt.NDArray[np.uint8]

# Two rows of four pixels; no two channels, rows or columns are alike.
RGB = np.array(
    [
        [[250, 10, 60], [20, 240, 90], [30, 70, 230], [200, 150, 5]],
        [[1, 2, 3], [99, 88, 77], [255, 0, 128], [0, 255, 64]],
    ],
    np.uint8,
)
ALPHA = np.full((2, 4, 1), 17, np.uint8)
HOLDERS = [bytes, lambda b: array.array("B", b), lambda b: np.frombuffer(b, np.uint8), bytearray]


def raw(
    pixels: npt.NDArray[Any],
    kind: str,
    pixel_bytes: int,
    *,
    size: tuple[int, int] = (4, 2),
    padding: int = 0,
    big: int = 0,
    hold: Callable[[bytes], Any] = bytes,
    **changes: Any,
) -> SimpleNamespace:
    """A message with `padding` bytes of 0xEE behind each row, which no decoder may show."""
    width, height = size
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(height, width * pixel_bytes)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xEE)
    fields = {
        "width": width,
        "height": height,
        "encoding": kind,
        "step": rows.shape[1],
        "is_bigendian": big,
        "data": hold(rows.tobytes()),
    }
    return SimpleNamespace(**(fields | changes))


def decode(message: Any, type_name: str = IMAGE, **expected: Any) -> Image8:
    return decode_image(message, type_name=type_name, where="/camera", **expected)


def depth(message: Any, type_name: str = IMAGE, **expected: Any) -> npt.NDArray[Any]:
    return decode_depth(message, type_name=type_name, where="/depth", **expected)


@pytest.mark.parametrize("hold", HOLDERS)
@pytest.mark.parametrize("padding", [0, 1, 5])
@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("rgb8", RGB),
        ("bgr8", RGB[:, :, ::-1]),
        ("rgba8", np.concatenate([RGB, ALPHA], 2)),
        ("bgra8", np.concatenate([RGB[:, :, ::-1], ALPHA], 2)),
    ],
)
def test_colours_keep_their_channel_whatever_order_padding_and_holder(
    encoding: str, pixels: Image8, padding: int, hold: Callable[[bytes], Any]
) -> None:
    message = raw(pixels, encoding, pixels.shape[2], padding=padding, hold=hold)
    before = bytes(message.data)
    image = decode(message, encoding=encoding, width=4, height=2)
    np.testing.assert_array_equal(image, RGB)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert not image.flags.writeable
    assert bytes(message.data) == before


@pytest.mark.parametrize("padding", [0, 3])
def test_grey_fills_all_three_channels(padding: int) -> None:
    image = decode(raw(RGB[:, :, 0], "mono8", 1, padding=padding))
    np.testing.assert_array_equal(image, np.repeat(RGB[:, :, :1], 3, 2))


def test_rgb_without_padding_is_a_view_and_padded_is_not() -> None:
    message = raw(RGB, "rgb8", 3, hold=lambda b: np.frombuffer(b, np.uint8))
    assert np.shares_memory(decode(message), message.data)
    message = raw(RGB, "rgb8", 3, padding=2, hold=lambda b: np.frombuffer(b, np.uint8))
    assert not np.shares_memory(decode(message), message.data)


# Red, green and blue of video levels in BT.601. Source: ITU-R BT.601-7, 8-bit code values.
YUV = [((81, 90, 240), (255, 0, 0)), ((145, 54, 34), (0, 255, 0)), ((41, 240, 110), (0, 0, 255))]


@pytest.mark.parametrize("padding", [0, 4])
@pytest.mark.parametrize(
    ("encoding", "order"),
    [("yuv422", "uyvy"), ("uyvy", "uyvy"), ("yuv422_yuy2", "yuyv"), ("yuyv", "yuyv")],
)
@pytest.mark.parametrize(("yuv", "rgb"), YUV)
def test_yuv422_primaries_become_rgb(
    encoding: str, order: str, yuv: tuple[int, ...], rgb: tuple[int, ...], padding: int
) -> None:
    pair = [yuv["yuv".index(letter)] for letter in order]
    data = np.tile(np.array(pair, np.uint8), (2, 2))
    image = decode(raw(data, encoding, 2, padding=padding), encoding=None)
    assert image.shape == (2, 4, 3)
    assert np.abs(image.astype(int) - rgb).max() <= 2


def test_yuv422_keeps_the_brightness_of_each_pixel_in_its_place() -> None:
    data = np.array([[128, 40, 128, 200]], np.uint8)
    image = decode(raw(data, "yuv422", 2, size=(2, 1)), encoding="yuv422")
    assert image[0, 0, 0] < 60 < 180 < image[0, 1, 0]
    image = decode(raw(data, "uyvy", 2, size=(2, 1)), encoding="yuv422")
    assert image[0, 0, 0] < 60
    with pytest.raises(CodecError, match="odd width"):
        decode(raw(data[:, :2], "yuv422", 2, size=(1, 1)))


@pytest.mark.parametrize("big", [0, 1])
@pytest.mark.parametrize("padding", [0, 3])
def test_depth_keeps_its_numbers_in_both_byte_orders(big: int, padding: int) -> None:
    order = ">" if big else "<"
    millimetres = np.array([[0, 1, 258, 65535], [1000, 2000, 3000, 4000]], np.uint16)
    message = raw(millimetres.astype(f"{order}u2"), "16UC1", 2, big=big, padding=padding)
    image = depth(message, encoding="16UC1", width=4, height=2)
    np.testing.assert_array_equal(image, millimetres)
    assert (image.dtype, image.flags.c_contiguous) == (np.dtype(np.uint16), True)
    metres = np.array([[0.25, np.nan, np.inf, 1.5], [2, 3, 4, 5]], np.float32)
    image = depth(raw(metres.astype(f"{order}f4"), "32FC1", 4, big=big, padding=padding))
    np.testing.assert_array_equal(image, metres)
    assert (image.dtype, image.flags.c_contiguous) == (np.dtype(np.float32), True)


def test_colour_is_no_depth_and_depth_no_colour() -> None:
    with pytest.raises(CodecError, match="found: 'rgb8'; allowed: 16UC1, 32FC1"):
        depth(raw(RGB, "rgb8", 3))
    with pytest.raises(CodecError, match=r"'16UC1'; allowed: rgb8, bgr8, rgba8, .*yuv422_yuy2"):
        decode(raw(np.zeros((2, 4), np.uint16), "16UC1", 2))


@pytest.mark.parametrize(
    ("changes", "expected", "words"),
    [
        ({"encoding": "bayer_rggb8"}, {}, "allowed: rgb8, bgr8"),
        ({}, {"encoding": "bgr8"}, "found: 'rgb8'; allowed: bgr8"),
        ({}, {"width": 5}, "found: 4x2; allowed: 5xany"),
        ({}, {"height": 3}, "found: 4x2; allowed: anyx3"),
        ({"step": 11}, {}, "step at least 12"),
        ({"step": 13}, {}, "step 13, 24 bytes"),
        ({"height": 3}, {}, "3 rows of step bytes"),
        ({"width": 0}, {}, "0x2"),
        ({"height": 0}, {}, "4x0"),
        ({"width": 2**32 - 1, "height": 2**32 - 1, "step": 2**32 - 1}, {}, f"most {MAX_PIXELS}"),
        ({"width": 1, "height": MAX_PIXELS + 1, "step": 3}, {}, f"most {MAX_PIXELS}"),
        ({"height": 2.0}, {}, "whole number"),
        ({"data": None}, {}, "does not hold bytes"),
        ({"data": "x" * 24}, {}, "does not hold bytes"),
        ({"data": np.zeros(24)}, {}, "does not hold bytes"),
        ({"data": np.zeros((4, 12), np.uint8)}, {}, "does not hold bytes"),
        ({"data": b""}, {}, "0 bytes"),
    ],
)
def test_bad_image_is_refused(
    changes: dict[str, Any], expected: dict[str, Any], words: str
) -> None:
    with pytest.raises(CodecError) as error:
        decode(raw(RGB, "rgb8", 3, **changes), **expected)
    assert words in str(error.value)
    assert "where: /camera" in str(error.value)


def test_other_type_is_refused() -> None:
    with pytest.raises(CodecError, match="CompressedImage"):
        decode(raw(RGB, "rgb8", 3), "sensor_msgs/msg/PointCloud2")
    with pytest.raises(CodecError, match="no field encoding"):
        decode(CompressedImage())


@given(
    st.integers(0, 9), st.integers(0, 9), st.integers(-1, 40), st.binary(max_size=200),
    st.sampled_from(["rgb8", "bgra8", "mono8", "yuv422", "16UC1", "32FC1", "", "jpeg"]),
)  # fmt: skip
def test_random_raw_images_never_raise_anything_but_a_codec_error(
    width: int, height: int, step: int, data: bytes, encoding: str
) -> None:
    message = raw(
        RGB, "rgb8", 3, encoding=encoding, width=width, height=height, step=step, data=data
    )
    for read in (decode, depth):
        with contextlib.suppress(CodecError):
            assert read(message).shape[:2] == (height, width)


BLOCKS = np.repeat(np.repeat(RGB, 16, 0), 16, 1)  # (32, 64, 3): flat blocks survive JPEG


def encode(cls: Any, type_name: str, encoding: str, rgb: Image8 = BLOCKS, **changes: Any) -> Any:
    options: dict[str, Any] = {
        "stamp_ns": 3_000_000_004,
        "frame_id": "cam_high_optical",
        "quality": 95,
    }
    return encode_image(
        cls, type_name=type_name, rgb=rgb, encoding=encoding, **(options | changes)
    )


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8"])
def test_encoded_image_survives_the_wire(encoding: str) -> None:
    message = encode(Image, IMAGE, encoding)
    if encoding == "bgr8":
        assert list(message.data[:3]) == [60, 10, 250]
    sent = deserialize_message(serialize_message(message), Image)
    np.testing.assert_array_equal(decode(sent, encoding=encoding, width=64, height=32), BLOCKS)
    assert (sent.header.frame_id, sent.step) == ("cam_high_optical", 192)
    assert (sent.header.stamp.sec, sent.header.stamp.nanosec) == (3, 4)


def test_encoded_grey_weighs_colours_as_bt601() -> None:
    message = encode(Image, IMAGE, "mono8", RGB)
    assert message.step == 4
    wanted = (RGB @ [0.299, 0.587, 0.114]).round()
    assert np.abs(np.array(message.data).reshape(2, 4) - wanted).max() <= 1


def test_encoded_jpeg_survives_the_wire_and_quality_counts() -> None:
    message = encode(CompressedImage, COMPRESSED_IMAGE, "jpeg")
    sent = deserialize_message(serialize_message(message), CompressedImage)
    image = decode(sent, COMPRESSED_IMAGE, encoding="jpeg", width=64, height=32)
    assert np.abs(image[8::16, 8::16].astype(int) - RGB).max() <= 12
    assert (sent.header.frame_id, sent.header.stamp.sec) == ("cam_high_optical", 3)
    worse = encode(CompressedImage, COMPRESSED_IMAGE, "jpeg", quality=10)
    assert len(worse.data) < len(message.data)


@pytest.mark.parametrize(
    ("type_name", "encoding", "changes"),
    [
        (IMAGE, "jpeg", {}),
        (COMPRESSED_IMAGE, "rgb8", {}),
        ("std_msgs/msg/String", "rgb8", {}),
        (IMAGE, "rgb8", {"rgb": BLOCKS.astype(np.float32)}),
        (IMAGE, "rgb8", {"rgb": BLOCKS[:, :, 0]}),
        (IMAGE, "rgb8", {"rgb": BLOCKS[:0]}),
        (IMAGE, "rgb8", {"stamp_ns": -1}),
        (COMPRESSED_IMAGE, "jpeg", {"quality": 0}),
        (COMPRESSED_IMAGE, "jpeg", {"quality": 101}),
    ],
)
def test_image_that_cannot_be_encoded_is_refused(
    type_name: str, encoding: str, changes: dict[str, Any]
) -> None:
    cls = CompressedImage if type_name == COMPRESSED_IMAGE else Image
    with pytest.raises(CodecError, match="cam_high_optical"):
        encode(cls, type_name, encoding, **changes)
