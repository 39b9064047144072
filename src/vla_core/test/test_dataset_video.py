"""Videos: what is encoded can be decoded frame by frame, cut and joined; bad files are refused."""

from __future__ import annotations

import threading
from pathlib import Path

import av
import numpy as np
import pytest
from dataset_rig import file_size_limit

from vla_core.dataset.encoding import ENCODERS, Encoding, VideoWriter, available_codecs
from vla_core.dataset.episode import Clip
from vla_core.dataset.info import DatasetError
from vla_core.dataset.joining import join
from vla_core.dataset.video import (
    count_frames,
    decode,
    decode_some,
    facts,
    packet_times,
)

CODECS = ("h264", "hevc", "av1")


def levels(count: int, seed: int = 0) -> list[int]:
    return [(40 * n + 90 * seed) % 240 for n in range(count)]


def encode(file: Path, shown: list[int], encoding: Encoding | None = None) -> Clip:
    with VideoWriter(file, 64, 48, 30, encoding or Encoding()) as writer:
        for level in shown:
            writer.add(np.full((48, 64, 3), level, np.uint8))
    return Clip(file=file, first=0, frames=len(shown))


def seen(clip: Clip) -> list[float]:
    return [float(picture.mean()) for picture in decode(clip)]


def with_b_frames(file: Path, shown: list[int]) -> Clip:
    """As other programs write them: stored in another order than shown."""
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"bf": "3", "g": "12"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for level in shown:
            picture = np.full((48, 64, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return Clip(file=file, first=0, frames=len(shown))


@pytest.mark.parametrize("codec", CODECS)
def test_every_frame_comes_back_in_its_place(codec: str, tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", levels(23), Encoding(codec=codec))
    np.testing.assert_allclose(seen(clip), levels(23), atol=3)
    assert count_frames(clip.file) == 23
    assert facts(clip.file).rate == 30
    assert packet_times(clip).shown.tolist() == [512 * n for n in range(23)]


@pytest.mark.parametrize("codec", CODECS)
def test_joined_and_cut_clips_have_the_same_pixels(codec: str, tmp_path: Path) -> None:
    parts = [
        encode(tmp_path / f"{seed}.mp4", levels(count, seed), Encoding(codec=codec))
        for seed, count in enumerate((7, 10, 1))
    ]
    join(parts, tmp_path / "all.mp4", fps=30)
    pixels = [list(decode(part)) for part in parts]
    first = 0
    for number, part in enumerate(parts):
        piece = Clip(file=tmp_path / "all.mp4", first=first, frames=part.frames)
        np.testing.assert_array_equal(list(decode(piece)), pixels[number])
        join([piece], tmp_path / f"cut_{number}.mp4", fps=30)
        cut = Clip(file=tmp_path / f"cut_{number}.mp4", first=0, frames=part.frames)
        np.testing.assert_array_equal(list(decode(cut)), pixels[number])
        first += part.frames
    assert packet_times(Clip(file=tmp_path / "all.mp4", first=0, frames=18)).shown.tolist() == [
        512 * n for n in range(18)
    ]


def test_frames_that_are_stored_in_another_order_are_joined_too(tmp_path: Path) -> None:
    parts = [with_b_frames(tmp_path / f"{s}.mp4", levels(15, s)) for s in range(2)]
    assert packet_times(parts[0]).delay > 0
    join(parts, tmp_path / "all.mp4", fps=30)
    whole = Clip(file=tmp_path / "all.mp4", first=0, frames=30)
    expected = [picture for part in parts for picture in decode(part)]
    np.testing.assert_array_equal(list(decode(whole)), expected)
    second = Clip(file=tmp_path / "all.mp4", first=15, frames=15)
    np.testing.assert_array_equal(list(decode(second)), expected[15:])


def test_some_frames_are_found_without_the_others(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", levels(90), Encoding(gop=10))
    piece = Clip(file=clip.file, first=3, frames=80)
    wanted = [0, 1, 7, 40, 79]
    found = [float(picture.mean()) for picture in decode_some(piece, wanted)]
    np.testing.assert_allclose(found, [levels(90)[3 + n] for n in wanted], atol=3)


def test_keyframes_alone_are_the_first_of_each_group(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", [9] * 21, Encoding(gop=5))
    assert packet_times(clip).keys.nonzero()[0].tolist() == [0, 5, 10, 15, 20]
    assert len(list(decode(clip, keyframes_only=True))) == 5


def test_a_clip_that_begins_between_keyframes_is_decoded_but_not_cut(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", [9] * 10, Encoding(gop=5))
    piece = Clip(file=clip.file, first=2, frames=4)
    assert len(list(decode(piece))) == 4
    with pytest.raises(DatasetError, match="between two keyframes"):
        join([piece], tmp_path / "b.mp4", fps=30)


def test_clips_of_different_encodings_are_not_joined(tmp_path: Path) -> None:
    parts = [encode(tmp_path / f"{c}.mp4", levels(4), Encoding(codec=c)) for c in CODECS[:2]]
    with pytest.raises(DatasetError, match="another encoding"):
        join(parts, tmp_path / "all.mp4", fps=30)


@pytest.mark.parametrize("codec", CODECS)
def test_the_same_frames_give_the_same_bytes_whatever_else_runs(
    codec: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    shown = rng.integers(0, 256, (12, 48, 64, 3), dtype=np.uint8)

    def run(name: str) -> None:
        with VideoWriter(tmp_path / name, 64, 48, 30, Encoding(codec=codec)) as writer:
            for picture in shown:
                writer.add(picture)

    run("alone")
    threads = [threading.Thread(target=run, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = (tmp_path / "alone").read_bytes()
    assert all((tmp_path / str(n)).read_bytes() == alone for n in range(4))


def test_the_block_about_a_video_is_as_lerobot_writes_it(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", levels(3), Encoding(codec="av1"))
    assert facts(clip.file).info == {
        "video.height": 48,
        "video.width": 64,
        "video.codec": "av1",
        "video.pix_fmt": "yuv420p",
        "video.is_depth_map": False,
        "video.fps": 30,
        "video.channels": 3,
        "has_audio": False,
    }


@pytest.mark.parametrize(
    "encoding",
    [
        Encoding(codec="mpeg1"),
        Encoding(preset="warp"),
        Encoding(pixel_format="yuv999"),
        *(Encoding(codec=c) for c in ENCODERS if c not in available_codecs()),
    ],
    ids=str,
)
def test_an_encoder_that_cannot_be_opened_names_those_that_can(
    encoding: Encoding, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match="allowed: here: h264, hevc, av1"):
        VideoWriter(tmp_path / "a.mp4", 64, 48, 30, encoding)
    assert not list(tmp_path.iterdir())


def test_odd_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="even sizes"):
        VideoWriter(tmp_path / "a.mp4", 63, 48, 30, Encoding())


def test_a_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(DatasetError, match="does not fit"),
        VideoWriter(tmp_path / "a.mp4", 64, 48, 30, Encoding()) as writer,
    ):
        writer.add(np.zeros((24, 64, 3), np.uint8))
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_an_error_and_not_a_hang(tmp_path: Path) -> None:
    shown = np.random.default_rng(0).integers(0, 256, (300, 48, 64, 3), dtype=np.uint8)

    def run() -> None:
        with VideoWriter(tmp_path / "a.mp4", 64, 48, 30, Encoding()) as writer:
            for picture in shown:
                writer.add(picture)

    with file_size_limit(100_000), pytest.raises(DatasetError, match="could not be written"):
        run()
    assert not list(tmp_path.iterdir())


def test_a_clip_longer_than_its_file_is_refused(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", levels(5))
    for first, frames in ((0, 6), (3, 3), (-1, 2), (0, 0)):
        with pytest.raises(DatasetError, match="damaged"):
            list(decode(Clip(file=clip.file, first=first, frames=frames)))


def test_a_cut_file_never_gives_fewer_frames_in_silence(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", levels(20))
    content = clip.file.read_bytes()
    for length in range(0, len(content), 301):
        file = tmp_path / f"{length}.mp4"
        file.write_bytes(content[:length])
        with pytest.raises(DatasetError):
            list(decode(Clip(file=file, first=0, frames=20)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"ffconcat version 1.0\nfile '/etc/passwd'\n",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n",
        b"\x00" * 4096,
    ],
)
def test_what_is_no_mp4_is_refused(content: bytes, tmp_path: Path) -> None:
    (file := tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(DatasetError):
        count_frames(file)


def test_a_video_that_is_absent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="damaged"):
        list(decode(Clip(file=tmp_path / "a.mp4", first=0, frames=1)))
