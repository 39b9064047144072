"""Pictures are laid out, resized and cropped exactly as the reference does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vla_core.images import (
    as_uint8_hwc,
    center_crop,
    resize_with_pad,
    resize_with_pad_lerobot,
    standardize,
    stretch,
)

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


@pytest.mark.parametrize("size", [(480, 640), (37, 53), (448, 448), (7, 5), (300, 301), (97, 224)])
def test_lerobot_resize_equals_torch_interpolation(size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    image = np.random.default_rng(0).integers(256, size=(*size, 3), dtype=np.uint8)
    ratio = max(side / 224 for side in size)
    inner = [int(side / ratio) for side in size]
    scaled = torch.nn.functional.interpolate(
        torch.tensor(image).permute(2, 0, 1)[None] / 255, size=inner, mode="bilinear"
    )[0].permute(1, 2, 0)
    expected = np.full((224, 224, 3), -1.0, np.float32)
    top, left = ((224 - side) // 2 for side in inner)
    expected[top : top + inner[0], left : left + inner[1]] = scaled.numpy() * 2 - 1
    result = resize_with_pad_lerobot(image, 224, 224)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_lerobot_resize_leaves_the_right_size_and_pads_as_told() -> None:
    white = np.full((4, 8, 3), 255, np.uint8)
    np.testing.assert_array_equal(resize_with_pad_lerobot(white, 4, 8), np.ones((4, 8, 3)))
    old = resize_with_pad_lerobot(white, 8, 8, padding=-3.0)
    np.testing.assert_array_equal(old[:, 0, 0], [-3, -3, 1, 1, 1, 1, -3, -3])


def test_stretch_fills_the_box_and_keeps_uint8() -> None:
    image = np.zeros((2, 4, 3), np.uint8)
    image[:, 2:] = 200
    stretched = stretch(image, 4, 4)
    assert stretched.dtype == np.uint8
    np.testing.assert_array_equal(stretched[..., 0], [[0, 0, 200, 200]] * 4)


def test_standardize_subtracts_the_mean_of_each_channel() -> None:
    image = np.array([[[10, 20, 30]]], np.uint8)
    scaled = standardize(image, (10.0, 10.0, 10.0), (5.0, 5.0, 10.0))
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, [[[0.0, 2.0, 2.0]]])


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
