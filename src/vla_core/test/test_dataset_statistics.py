"""Statistics are those that numpy computes from all values, in LeRobot's shapes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vla_core.dataset.columns import numbers
from vla_core.dataset.encoding import Encoding, VideoWriter
from vla_core.dataset.episode import Clip
from vla_core.dataset.read import open_dataset
from vla_core.dataset.statistics import (
    HISTOGRAM,
    QUANTILES,
    PictureSamples,
    aggregate,
    clip_statistics,
    histogram_statistics,
    number_statistics,
    quantiles,
    sample_places,
)
from vla_core.dataset.video import decode

GOLDEN = Path(__file__).resolve().parents[3] / "test" / "golden" / "lerobot"
POINTS = list(QUANTILES.values())


def test_numbers_have_lerobots_statistics() -> None:
    lines = (GOLDEN / "v2.1" / "meta" / "episodes_stats.jsonl").read_text().splitlines()
    dataset = open_dataset(GOLDEN / "v2.1")
    for line, episode in zip(lines, dataset.episodes, strict=True):
        written = json.loads(line)["stats"]
        table = episode.read()
        for name in ("observation.state", "action", "next.done"):
            found = number_statistics(numbers(table[name], dataset.info.features[name]))
            for key, value in written[name].items():
                assert np.shape(found[key]) == np.shape(value)
                np.testing.assert_allclose(found[key], value, rtol=1e-6, atol=1e-7)


@given(
    arrays.arrays(np.float32, (7, 3), elements=st.floats(-1e6, 1e6, width=32)),
    st.integers(1, 6),
)
def test_parts_together_have_the_statistics_of_the_whole(values: np.ndarray, cut: int) -> None:
    before = values.copy()
    parts = [{"x": number_statistics(part)} for part in (values[:cut], values[cut:])]
    found = aggregate(parts)["x"]
    np.testing.assert_array_equal(values, before)
    wide = values.astype(np.float64)
    np.testing.assert_array_equal(found["min"], values.min(axis=0))
    np.testing.assert_array_equal(found["max"], values.max(axis=0))
    np.testing.assert_allclose(found["mean"], wide.mean(axis=0), rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(found["std"], wide.std(axis=0), rtol=1e-6, atol=1e-3)
    assert found["count"].tolist() == [7]
    np.testing.assert_allclose(quantiles(values)["q10"], np.quantile(wide, 0.1, axis=0))


@given(arrays.arrays(np.uint8, (3, 20)))
def test_a_histogram_has_the_statistics_of_its_pixels(pixels: np.ndarray) -> None:
    histogram = np.stack([np.bincount(channel, minlength=256) for channel in pixels])
    found = histogram_statistics(histogram, 1)
    wide = pixels / 255.0
    expected = {
        "min": wide.min(axis=1),
        "max": wide.max(axis=1),
        "mean": wide.mean(axis=1),
        "std": wide.std(axis=1),
        **dict(zip(QUANTILES, np.quantile(wide, POINTS, axis=1), strict=True)),
    }
    for key, value in expected.items():
        assert found[key].shape == (3, 1, 1)
        np.testing.assert_allclose(found[key].ravel(), value, atol=1e-12)


def test_bright_pictures_do_not_overflow() -> None:
    samples = PictureSamples()
    samples.add(np.full((10, 10, 3), 255, np.uint8))
    samples.add(np.zeros((10, 10, 3), np.uint8))
    found = samples.statistics()
    np.testing.assert_allclose(found["std"].ravel(), [0.5] * 3)
    np.testing.assert_allclose(found["mean"].ravel(), [0.5] * 3)


def test_depth_is_counted_in_its_own_unit() -> None:
    rng = np.random.default_rng(0)
    shown = rng.integers(0, 65536, (5, 24, 32), dtype=np.uint16)
    samples = PictureSamples()
    for picture in shown:
        samples.add(picture)
    found = samples.statistics()
    assert found["mean"].shape == (1, 1, 1)
    np.testing.assert_allclose(found["mean"].item(), shown.mean())
    np.testing.assert_allclose(found["std"].item(), shown.std())
    np.testing.assert_allclose(found["q90"].item(), np.quantile(shown, 0.9))


@pytest.mark.parametrize("frames", [1, 99, 100, 150, 464, 1000, 20_000])
def test_as_many_frames_are_sampled_as_lerobot_samples(frames: int) -> None:
    places = sample_places(frames)
    assert len(places) == {1: 1, 99: 99, 1000: 177, 20_000: 1681}.get(frames, 100)
    assert (places[0], places[-1]) == (0, frames - 1)
    assert (np.diff(places) > 0).all()


def test_pictures_of_a_short_episode_are_lerobots_sample() -> None:
    rng = np.random.default_rng(0)
    shown = rng.integers(0, 256, (250, 320, 400, 3), dtype=np.uint8)
    samples = PictureSamples()
    for picture in shown:
        samples.add(picture)
    found = samples.statistics()
    sampled = shown[sample_places(250)][:, ::2, ::2] / 255.0
    np.testing.assert_allclose(found["mean"].ravel(), sampled.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(found["std"].ravel(), sampled.std(axis=(0, 1, 2)))
    assert found["count"].tolist() == [100]


def test_pictures_of_an_endless_episode_need_little_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vla_core.dataset.statistics._MAX_KEPT_BYTES", 200 * 3 * 256 * 4)
    samples = PictureSamples()
    for level in np.linspace(0, 255, 5000).astype(np.uint8):
        samples.add(np.full((8, 8, 3), level, np.uint8))
    assert len(samples._kept) <= 200
    np.testing.assert_allclose(samples.statistics()["mean"].ravel(), [0.5] * 3, atol=0.02)


def test_a_clip_without_statistics_is_counted_from_its_frames(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 64, 48, 30, Encoding()) as writer:
        for level in range(0, 200, 10):
            writer.add(np.full((48, 64, 3), level, np.uint8))
    clip = Clip(file=tmp_path / "a.mp4", first=4, frames=10)
    shown = np.stack(list(decode(clip))) / 255.0
    found = clip_statistics(clip)
    np.testing.assert_allclose(found["mean"].ravel(), shown.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(found["std"].ravel(), shown.std(axis=(0, 1, 2)))


def test_pictures_together_keep_exact_quantiles_only_while_all_are_counted() -> None:
    rng = np.random.default_rng(0)
    shown = rng.integers(0, 256, (2, 10, 10, 3), dtype=np.uint8)
    parts = []
    for picture in shown:
        (samples := PictureSamples()).add(picture)
        parts.append({"camera": samples.statistics()})
    whole = aggregate(parts)["camera"]
    expected = np.quantile(shown / 255.0, POINTS, axis=(0, 1, 2))
    for key, value in zip(QUANTILES, expected, strict=True):
        np.testing.assert_allclose(whole[key].ravel(), value)
    bare = {key: value for key, value in parts[1]["camera"].items() if key != HISTOGRAM}
    mixed = aggregate([parts[0], {"camera": bare}])["camera"]
    assert not QUANTILES.keys() & mixed.keys()
    np.testing.assert_allclose(mixed["std"], whole["std"])
