"""Cutting, scaling, depth, still cameras, and robots at rest."""

from __future__ import annotations

import struct
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from convert_bags import CONTRACT

from vla_core.contract import parse_contract
from vla_core.images import resize_with_pad
from vla_recorder.convert.errors import ConvertError
from vla_recorder.convert.idle import IdleFilter
from vla_recorder.convert.options import (
    Crop,
    Size,
    parse_crop,
    parse_size,
    parse_tolerance,
)
from vla_recorder.convert.pictures import Fit, Stillness, is_depth, millimetres

CONTRACT_ = parse_contract(CONTRACT)
TOP = CONTRACT_.cameras[0]
NOISE = np.random.default_rng(3).integers(0, 256, (24, 32, 3), np.uint8)


def test_a_crop_is_of_its_camera_and_comes_before_the_size() -> None:
    fit = Fit(crop={"": Crop(16, 12, 4, 2), "wrist": Crop(8, 8, 0, 0)}, resize=None)
    assert (fit("top", NOISE) == NOISE[2:14, 4:20]).all()
    assert fit("wrist", NOISE).shape == (8, 8, 3)
    assert fit.size(TOP) == Size(16, 12)
    scaled = Fit(crop=fit.crop, resize=Size(40, 40))
    part = np.ascontiguousarray(NOISE[2:14, 4:20])
    assert (scaled("top", NOISE) == resize_with_pad(part, 40, 40)).all()
    assert not scaled("top", NOISE).flags.writeable


def test_a_crop_beyond_the_picture_is_refused() -> None:
    with pytest.raises(ConvertError, match="beyond"):
        Fit(crop={"top": Crop(16, 12, 20, 0)}, resize=None).size(TOP)


def test_depth_is_scaled_without_mixing_pixels() -> None:
    depth = np.where(np.arange(24 * 32).reshape(24, 32) % 2, 500, 9000).astype(np.uint16)
    small = Fit(crop={}, resize=Size(16, 16))("top", depth)
    assert small.shape == (16, 16)
    assert set(np.unique(small).tolist()) <= {0, 500, 9000}
    assert (small[:2] == 0).all()
    assert (small[2:14] > 0).all()


def test_metres_become_millimetres_and_what_was_not_measured_zero() -> None:
    metres = np.array([[0.5004, np.nan, np.inf, -1.0, 70.0, 65.535]], np.float32)
    assert millimetres(metres).tolist() == [[500, 0, 0, 0, 65535, 65535]]
    counts = np.array([[1, 65535]], np.uint16)
    assert millimetres(counts) is counts


def test_only_a_message_tells_whether_a_png_is_depth() -> None:
    camera = replace(TOP, type="sensor_msgs/msg/CompressedImage", encoding="png")
    grey = np.zeros((4, 4), np.uint16)
    data = cv2.imencode(".png", grey)[1].tobytes()
    wrapped = struct.pack("<iff", 0, 0.0, 0.0) + data
    assert is_depth(camera, SimpleNamespace(data=np.frombuffer(data, np.uint8)))
    assert is_depth(camera, SimpleNamespace(data=np.frombuffer(wrapped, np.uint8)))
    colour = cv2.imencode(".png", NOISE)[1].tobytes()
    assert not is_depth(camera, SimpleNamespace(data=np.frombuffer(colour, np.uint8)))
    assert not is_depth(TOP, SimpleNamespace(data=b""))
    assert is_depth(replace(TOP, encoding="32FC1"), SimpleNamespace(data=b""))


def test_a_frozen_camera_is_measured_and_single_duplicates_are_not() -> None:
    still = Stillness()
    for index in range(30):
        still.add(NOISE if 10 <= index < 25 else NOISE + np.uint8(index), index * 50_000_000)
    assert still.duplicates == 14
    assert still.frozen_ns == 14 * 50_000_000
    twice = Stillness()
    for index in range(10):
        twice.add(np.full((8, 8, 3), index // 2, np.uint8), index * 50_000_000)
    assert (twice.duplicates, twice.frozen_ns) == (5, 0)


def test_rests_are_left_out_after_their_first_second() -> None:
    idle = IdleFilter(CONTRACT_, fps=10)
    values = [*np.linspace(0, 5, 20), *np.full(40, 5.0), *np.linspace(5, 0, 20)]
    kept = [idle.keeps(np.array([v, v]), np.array([v, v])) for v in values]
    assert kept[:30] == [True] * 30
    assert kept[30:61] == [False] * 31
    assert all(kept[61:])
    assert idle.dropped == 31


def test_options_are_read_strictly() -> None:
    assert parse_crop("wrist=10x20+3+4") == ("wrist", Crop(10, 20, 3, 4))
    assert parse_crop("10x20+0+0") == ("", Crop(10, 20, 0, 0))
    assert parse_size("224x224") == Size(224, 224)
    assert parse_tolerance("arm=0.5") == ("arm", 0.5)
    for parse, text in (
        *((parse_crop, t) for t in ("10x20", "0x4+1+1", "a=b=1x1+0+0x")),
        *((parse_size, t) for t in ("224", "0x5", "5x")),
        *((parse_tolerance, t) for t in ("arm", "arm=", "arm=0", "arm=nan", "=1")),
    ):
        with pytest.raises(ConvertError):
            parse(text)
