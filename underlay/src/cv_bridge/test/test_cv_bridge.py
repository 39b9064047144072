"""Images survive the way into a message and back, and conversions mean what their names say."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from cv_bridge import CvBridge, CvBridgeError

BRIDGE = CvBridge()
RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
DTYPES = [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.float32, np.float64]
IMAGES = st.sampled_from(DTYPES).flatmap(
    lambda dtype: arrays(dtype, st.one_of(*(st.tuples(*[st.integers(1, 4)] * n) for n in (2, 3))))
)


@given(IMAGES, st.booleans())
def test_passthrough_round_trip_keeps_every_pixel(image, is_bigendian):
    message = BRIDGE.cv2_to_imgmsg(image.astype(image.dtype.newbyteorder("<>"[is_bigendian])))
    found = BRIDGE.imgmsg_to_cv2(message)
    assert message.is_bigendian == (is_bigendian and image.itemsize > 1)
    assert found.dtype == image.dtype
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, image[..., 0] if image.shape[2:] == (1,) else image)


@pytest.mark.parametrize(("encoding", "channels", "dtype"), [
    ("mono8", 1, "uint8"), ("rgb8", 3, "uint8"), ("bgra16", 4, "uint16"), ("16UC1", 1, "uint16"),
    ("32FC1", 1, "float32"), ("yuv422", 2, "uint8"), ("bayer_rggb16", 1, "uint16"),
    ("8UC5", 5, "uint8"), ("64F", 1, "float64"),
])  # fmt: skip
def test_encoding_names_mean_their_pixel_type(encoding, channels, dtype):
    assert BRIDGE.encoding_to_dtype_with_channels(encoding) == (dtype, channels)


@given(st.integers(0, 9), st.sampled_from([np.uint8, np.uint16]), st.booleans())
def test_row_padding_is_skipped_whatever_its_length(padding, dtype, is_bigendian):
    pixels = (
        np.arange(24).reshape(2, 4, 3).astype(np.dtype(dtype).newbyteorder("<>"[is_bigendian]))
    )
    encoding = "bgr8" if dtype is np.uint8 else "bgr16"
    message = Image(height=2, width=4, encoding=encoding, is_bigendian=is_bigendian)
    message.step = pixels[0].nbytes + padding
    message.data = b"".join(row.tobytes() + b"\xff" * padding for row in pixels)
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message), pixels)


def test_colour_order_follows_the_names():
    message = BRIDGE.cv2_to_imgmsg(RGB, "rgb8", Header(frame_id="wrist"))
    assert (message.encoding, message.step, message.header.frame_id) == ("rgb8", 24, "wrist")
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message, "bgr8"), RGB[..., ::-1])
    rgba = BRIDGE.imgmsg_to_cv2(message, "rgba8")
    np.testing.assert_array_equal(rgba, np.dstack([RGB, np.full((6, 8), 255, np.uint8)]))
    luma = RGB @ [0.299, 0.587, 0.114]  # Source: ITU-R BT.601
    assert np.abs(BRIDGE.imgmsg_to_cv2(message, "mono8") - luma).max() <= 1


def test_8_and_16_bit_images_scale_to_each_others_full_range():
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    wide = BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(grey, "mono8"), "mono16")
    np.testing.assert_array_equal(wide, grey.astype(np.uint16) * 257)
    back = BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(wide, "mono16"), "mono8")
    np.testing.assert_array_equal(back, grey)


def test_depth_only_conversion_saturates_and_has_no_nan():
    metres = np.array([[0.4, 1.6, -3.0, 1e9, np.nan]], np.float32)
    depth = BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(metres, "32FC1"), "16UC1")
    np.testing.assert_array_equal(depth, np.array([[0, 2, 0, 65535, 0]], np.uint16))


def test_yuv422_becomes_grey_and_colour():
    uyvy = np.full((2, 4, 2), 128, np.uint8)
    uyvy[..., 1] = 200
    message = BRIDGE.cv2_to_imgmsg(uyvy, "yuv422")
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message, "mono8"), np.full((2, 4), 200))
    colour = BRIDGE.imgmsg_to_cv2(message, "bgr8")
    assert colour.shape == (2, 4, 3)
    assert np.ptp(colour) == 0


def test_bayer_red_pixel_becomes_red():
    mosaic = np.zeros((8, 8), np.uint8)
    mosaic[::2, ::2] = 255
    rgb = BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(mosaic, "bayer_rggb8"), "rgb8")
    np.testing.assert_array_equal(rgb[4, 4], [255, 0, 0])


@pytest.mark.parametrize(("encoding", "desired"), [
    ("8UC3", "bgr8"), ("rgb8", "mono7"), ("rgb8", "32FC1"), ("16UC1", "mono8"), ("rgb8", "yuv422"),
    ("bayer_rggb8", "bayer_rggb16"), ("bayer_rggb8", "bgra8"), ("yuv422", "yuv422_yuy2"),
])  # fmt: skip
def test_meaningless_conversion_is_refused(encoding, desired):
    dtype, channels = BRIDGE.encoding_to_dtype_with_channels(encoding)
    image = np.zeros((4, 4, channels), dtype)
    with pytest.raises(CvBridgeError, match=r"\["):
        BRIDGE.imgmsg_to_cv2(BRIDGE.cv2_to_imgmsg(image, encoding), desired)


def test_malformed_images_are_refused():
    message = BRIDGE.cv2_to_imgmsg(RGB, "rgb8")
    for field, value in (("step", 23), ("height", 7), ("encoding", "nv21"), ("data", b"")):
        bad = Image(height=6, width=8, encoding="rgb8", step=24, data=message.data)
        setattr(bad, field, value)
        with pytest.raises(CvBridgeError):
            BRIDGE.imgmsg_to_cv2(bad)
    with pytest.raises(CvBridgeError, match="incompatible type 8UC3"):
        BRIDGE.cv2_to_imgmsg(RGB, "mono8")
    with pytest.raises(CvBridgeError, match="int64"):
        BRIDGE.cv2_to_imgmsg(RGB.astype(np.int64))
    with pytest.raises(TypeError, match="not a numpy array"):
        BRIDGE.cv2_to_imgmsg([1, 2])


def test_png_round_trip_is_exact_and_jpeg_close():
    message = BRIDGE.cv2_to_compressed_imgmsg(RGB, "png")
    assert message.format == "png"
    np.testing.assert_array_equal(BRIDGE.compressed_imgmsg_to_cv2(message), RGB)
    np.testing.assert_array_equal(BRIDGE.compressed_imgmsg_to_cv2(message, "rgb8"), RGB[..., ::-1])
    smooth = cv2.resize(RGB[:2, :2], (64, 64))
    found = BRIDGE.compressed_imgmsg_to_cv2(BRIDGE.cv2_to_compressed_imgmsg(smooth))
    assert np.abs(found.astype(int) - smooth).mean() < 5


def test_grey_and_16_bit_files_become_what_was_asked_for():
    grey = BRIDGE.cv2_to_compressed_imgmsg(np.full((2, 3), 7, np.uint8), "png")
    np.testing.assert_array_equal(
        BRIDGE.compressed_imgmsg_to_cv2(grey, "bgr8"), np.full((2, 3, 3), 7)
    )
    depth = BRIDGE.cv2_to_compressed_imgmsg(np.full((2, 3), 514, np.uint16), "png")
    np.testing.assert_array_equal(
        BRIDGE.compressed_imgmsg_to_cv2(depth, "mono8"), np.full((2, 3), 2)
    )


def test_undecodable_files_and_unknown_formats_are_refused():
    for data in (b"", b"no image"):
        with pytest.raises(CvBridgeError, match="Cannot decode"):
            BRIDGE.compressed_imgmsg_to_cv2(CompressedImage(format="jpg", data=data))
    with pytest.raises(CvBridgeError, match="nope"):
        BRIDGE.cv2_to_compressed_imgmsg(RGB, "nope")
