"""Pictures are laid out, resized and cropped exactly as the reference does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vla_core.images import as_uint8_hwc, center_crop, resize_with_pad

GOLDEN = Path(__file__).resolve().parents[3] / "test/golden/transforms"
RESIZE = np.load(GOLDEN / "resize.npz")
TROSSEN = np.load(GOLDEN / "trossen.npz")
SIZES = [
    case for case in json.loads((GOLDEN / "resize.json").read_text())["cases"] if "out" in case
]


@pytest.mark.parametrize("case", SIZES, ids=lambda case: case["name"])
def test_resize_equals_the_reference_bit_for_bit(case: dict) -> None:
    image, expected = RESIZE[f"{case['name']}/in"], RESIZE[f"{case['name']}/out"]
    pairs = zip(image, expected, strict=True) if image.ndim == 4 else [(image, expected)]
    for single, wanted in pairs:
        np.testing.assert_array_equal(resize_with_pad(single, *case["out"]), wanted)


def test_vga_image_is_letterboxed_with_28_black_rows() -> None:
    image = np.full((480, 640, 3), 200, np.uint8)
    resized = resize_with_pad(image, 224, 224)
    rows = np.flatnonzero(resized.any(axis=(1, 2)))
    assert (rows[0], rows[-1]) == (28, 195)


def test_extreme_aspect_ratio_keeps_one_row() -> None:
    assert (
        resize_with_pad(np.full((1, 1000, 3), 255, np.uint8), 224, 224).any(axis=(1, 2)).sum() == 1
    )


def test_float_image_becomes_uint8_by_truncation() -> None:
    np.testing.assert_array_equal(as_uint8_hwc(RESIZE["to_uint8/in"]), RESIZE["to_uint8/out"])


def test_channel_first_image_becomes_channel_last() -> None:
    image = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    np.testing.assert_array_equal(as_uint8_hwc(image), image.transpose(1, 2, 0))


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("center_crop_min/{}/images.cam_left_wrist", None),
        ("center_crop_size/{}/images.cam_high", 15),
        ("center_crop_hwc/{}/image.left_wrist_0_rgb", 11),
    ],
)
def test_center_crop_equals_the_reference(name: str, size: int | None) -> None:
    image, expected = (as_uint8_hwc(TROSSEN[name.format(side)]) for side in ("in", "out"))
    np.testing.assert_array_equal(center_crop(image, size), expected)
