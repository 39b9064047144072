"""Small recordings in other formats, made byte by byte or with h5py.

Pictures change along each axis and with time, so that a turned, mirrored or delayed one is seen.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np

SIZE = 32


def rgb(t: int, camera: int = 0) -> Any:
    """(SIZE, SIZE, 3) uint8, smooth: JPEG and video keep it nearly."""
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    layers = (x * 7, y * 6, np.full_like(x, 40 + 10 * t + 60 * camera))
    return np.stack(layers, axis=-1).astype(np.uint8)


def vectors(rows: int, columns: int, seed: int) -> Any:
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


def compressed(picture: Any, kind: str = ".jpg") -> bytes:
    quality = [cv2.IMWRITE_JPEG_QUALITY, 100] if kind == ".jpg" else []
    return bytes(cv2.imencode(kind, picture[..., ::-1], quality)[1])


def aloha(
    file: Path,
    *,
    rows: int = 5,
    cameras: Sequence[str] = ("cam_high", "cam_left_wrist"),
    jpeg: bool = False,
    base: bool = False,
    measured: Sequence[str] = ("qvel", "effort"),
) -> Path:
    """An episode as ALOHA's recorders write it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(file, "w") as root:
        root.attrs["sim"] = np.bool_(True)
        for number, name in enumerate(("qpos", *measured)):
            root[f"observations/{name}"] = vectors(rows, 14, number).astype(np.float64)
        root["action"] = vectors(rows, 14, 9)
        if base:
            root["base_action"] = vectors(rows, 2, 10)
        if jpeg:
            data = [[compressed(rgb(t, c)) for t in range(rows)] for c in range(len(cameras))]
            longest = max(len(one) for row in data for one in row)
            for camera, row in zip(cameras, data, strict=True):
                padded = [np.frombuffer(one.ljust(longest, b"\0"), np.uint8) for one in row]
                root[f"observations/images/{camera}"] = np.stack(padded)
            root["compress_len"] = np.array([[len(one) for one in row] for row in data], float)
        else:
            for c, camera in enumerate(cameras):
                pictures = np.stack([rgb(t, c) for t in range(rows)])
                root.create_dataset(
                    f"observations/images/{camera}", data=pictures, chunks=(1, SIZE, SIZE, 3)
                )
    return file


def libero(
    file: Path, *, demos: Mapping[int, int], language: str | None = None, convention: str = ""
) -> Path:
    """Demonstrations as LIBERO writes them; `demos`: rows by number."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(file, "w") as root:
        data = root.create_group("data")
        if language is not None:
            data.attrs["problem_info"] = json.dumps({"language_instruction": language})
        if convention:
            data.attrs["macros_image_convention"] = convention
        for number, rows in demos.items():
            demo = data.create_group(f"demo_{number}")
            for seed, (name, columns) in enumerate(
                {"ee_states": 6, "gripper_states": 2, "joint_states": 7}.items()
            ):
                demo[f"obs/{name}"] = vectors(rows, columns, number + seed).astype(np.float64)
            demo["actions"] = vectors(rows, 7, number + 5).astype(np.float64)
            for c, name in enumerate(("agentview_rgb", "eye_in_hand_rgb")):
                demo[f"obs/{name}"] = np.stack([rgb(t, c) for t in range(rows)])
    return file


def crc32c(data: bytes) -> int:
    """Bit by bit, as the polynomial is defined."""
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def tfrecord(records: Sequence[bytes]) -> bytes:
    heads = [struct.pack("<Q", len(record)) for record in records]
    return b"".join(
        head + masked(head) + record + masked(record)
        for head, record in zip(heads, records, strict=True)
    )


def varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def part(number: int, data: bytes) -> bytes:
    """A protobuf field of bytes."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def feature(value: Any) -> bytes:
    """A tf.train.Feature of floats, whole numbers or byte strings."""
    if isinstance(value, np.ndarray):
        return part(2, part(1, value.astype("<f4").tobytes()))
    if isinstance(value[0], bytes):
        return part(1, b"".join(part(1, one) for one in value))
    return part(3, part(1, b"".join(varint(one) for one in value)))


def example(features: Mapping[str, Any]) -> bytes:
    entries = [part(1, name.encode()) + part(2, feature(v)) for name, v in features.items()]
    return part(1, b"".join(part(1, entry) for entry in entries))


def libero_steps(rows: int, seed: int, *, kind: str = ".png") -> dict[str, Any]:
    """The chained features of an RLDS episode of LIBERO."""
    return {
        "steps/observation/image": [compressed(rgb(t), kind) for t in range(rows)],
        "steps/observation/wrist_image": [compressed(rgb(t, 1), kind) for t in range(rows)],
        "steps/observation/state": vectors(rows, 8, seed).reshape(-1),
        "steps/action": vectors(rows, 7, seed + 1).reshape(-1),
        "steps/language_instruction": [f"take the böwl {seed}".encode()] * rows,
        "steps/is_last": [int(t == rows - 1) for t in range(rows)],
        "episode_metadata/file_path": [b"/demo.hdf5"],
    }


def libero_features() -> dict[str, Any]:
    """`features.json` of it."""

    def tensor(kind: str, *sizes: int) -> dict[str, Any]:
        return {kind: {"shape": {"dimensions": [str(size) for size in sizes]}}}

    def group(**features: Any) -> dict[str, Any]:
        return {"featuresDict": {"features": features}}

    steps = group(
        observation=group(
            image=tensor("image", SIZE, SIZE, 3),
            wrist_image=tensor("image", SIZE, SIZE, 3),
            state=tensor("tensor", 8),
        ),
        action=tensor("tensor", 7),
        language_instruction={"text": {}},
    )
    return group(steps={"sequence": {"feature": steps}})


def rlds(folder: Path, shards: Sequence[Sequence[int]], *, kind: str = ".png") -> Path:
    """A version folder of TensorFlow Datasets; `shards`: rows of each episode of each file."""
    folder.mkdir(parents=True)
    for number, lengths in enumerate(shards):
        records = [
            example(libero_steps(rows, 10 * number + place, kind=kind))
            for place, rows in enumerate(lengths)
        ]
        file = folder / f"liber_o10-train.tfrecord-{number:05d}-of-{len(shards):05d}"
        file.write_bytes(tfrecord(records))
    split = {"name": "train", "shardLengths": [str(len(lengths)) for lengths in shards]}
    info = {"name": "liber_o10", "fileFormat": "tfrecord", "splits": [split]}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "features.json").write_text(json.dumps(libero_features()))
    return folder
