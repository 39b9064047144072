"""ALOHA's own recordings: one HDF5 file per episode, of two arms and sometimes a mobile base.

| dataset | shape | |
|---|---|---|
| `observations/qpos` | (T, 14), (T, 16) | rad; grippers from 0 (closed) to 1; left arm first |
| `observations/qvel`, `observations/effort` | as qpos | optional |
| `observations/images/<camera>` | (T, H, W, 3), (T, N) or (T,) | RGB, or a JPEG in each row |
| `observations/images_depth/<camera>` | (T, H, W) uint16 | optional, mm |
| `action` | (T, 14), (T, 16) | what the leader arms asked for |
| `base_action` | (T, 2) | optional: velocities of the base, m/s and rad/s |
| `compress_len` | (cameras, T) | optional: bytes of each JPEG, zeros behind them |

Nothing says which camera a row of `compress_len` belongs to (it is the order of a list in the
recorder, while HDF5 lists names alphabetically). So the end of a JPEG is found in the row itself,
and the lengths of each instant are compared as a set.

The recorder of Mobile ALOHA gives RGB to an encoder that takes BGR: red and blue are exchanged in
its JPEGs, which `swap_red_blue` undoes. openpi's example takes JPEGs as they are, and so does this
by default.

openpi's example names the right arm first; the recorder puts the left one first, as here.

Source: tonyzhaozh/aloha and MarkFzp/mobile-aloha, aloha_scripts/record_episodes.py;
openpi, examples/aloha_real/convert_aloha_data_to_lerobot.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vla_core.dataset.episode import Feature
from vla_recorder.importers.hdf5_file import FLOATS, find, group, open_hdf5, table
from vla_recorder.importers.recording import (
    Found,
    Frame,
    ImportFileError,
    Pixels,
    ReadOptions,
    Recording,
    colours,
    finite,
    picture,
    task_text,
    vector,
    video,
)

FPS = 50.0  # Source: aloha_scripts/constants.py, DT = 0.02.
JOINTS = (
    *("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate", "gripper"),
)
ARMS = tuple(f"{side}_{joint}" for side in ("left", "right") for joint in JOINTS)
BASE = ("base_linear_velocity", "base_angular_velocity")
_IMAGES, _DEPTHS = "observations/images", "observations/images_depth"
_MEASURED = {
    "observation.state": "qpos",
    "observation.velocity": "qvel",
    "observation.effort": "effort",
}
_ENDS = (b"\xff\xd9", b"IEND\xaeB`\x82")  # of JPEG and PNG


def is_aloha(root: Any) -> bool:
    """Whether a file is such an episode."""
    return find(root, "observations/qpos") is not None


def recordings(file: Path, root: Any, options: ReadOptions) -> Found:
    """The one episode of a file.

    Args:
        file: Where it lies.
        root: The same, open.
        options: What the file does not say.

    Raises:
        ImportFileError: It lacks data, or they are of another kind.
    """
    task = task_text("", options, str(file))
    tables = _tables(root, options)
    yield Recording(
        name=str(file),
        robot_type="mobile_aloha" if BASE[0] in _action_names(tables) else "aloha",
        fps=FPS,
        features=_features(tables, str(file)),
        frames=lambda: _frames(file, options, task),
        extra={"source": file.name} | _simulated(root, str(file)),
    )


def _tables(root: Any, options: ReadOptions) -> dict[str, Any]:
    """All datasets by feature (`base`, `lengths` are none), of one length."""
    found = {"action": table(root, "action")}
    for key, name in _MEASURED.items():
        if key == "observation.state" or find(root, f"observations/{name}") is not None:
            found[key] = table(root, f"observations/{name}")
    if options.base and find(root, "base_action") is not None:
        found["base"] = table(root, "base_action")
    for camera in group(root, _IMAGES):
        found[f"observation.images.{camera}"] = _camera(root, f"{_IMAGES}/{camera}")
    if find(root, _DEPTHS) is not None:
        for camera in group(root, _DEPTHS):
            path = f"{_DEPTHS}/{camera}"
            found[f"observation.depth.{camera}"] = table(root, path, dtypes=("u2",), dims=(3,))
    rows = {key: len(dataset) for key, dataset in found.items()}
    if len(set(rows.values())) != 1:
        raise ImportFileError(
            "data of different lengths", where=root.file.filename, found=rows, allowed="one length"
        )
    if find(root, "compress_len") is not None:
        found["lengths"] = table(root, "compress_len", dtypes=(*FLOATS, "i4", "i8", "u4"))
    return found


def _camera(root: Any, path: str) -> Any:
    """Pixels, or compressed pictures as rows of bytes or as byte strings."""
    found = table(root, path, dtypes=("u1", "S"), dims=(1, 2, 4))
    rgb = found.shape[3:] in ((), (3,))
    if (found.dtype.kind == "S") != (found.ndim == 1) or not rgb:
        raise ImportFileError(
            "pictures of another kind",
            where=f"{root.file.filename}, {path}",
            found=f"{found.dtype} of shape {found.shape}",
            allowed="uint8 RGB, or a JPEG in each row",
        )
    return found


def _features(tables: dict[str, Any], where: str) -> dict[str, Feature]:
    features = {"observation.state": vector(_names(tables["observation.state"], where))}
    for key in ("observation.velocity", "observation.effort"):
        if key in tables:
            features[key] = vector(_names(tables[key], where))
    features["action"] = vector(_action_names(tables, where))
    for key, dataset in tables.items():
        if key.startswith("observation.depth."):
            shape = (*dataset.shape[1:], 1)
            names = ("height", "width", "channels")
            features[key] = Feature(dtype="image", shape=shape, names=names)
        elif key.startswith("observation.images."):
            shape = dataset.shape[1:3] if dataset.ndim == 4 else _size(dataset)
            features[key] = video(*shape)
    return features


def _action_names(tables: dict[str, Any], where: str = "") -> tuple[str, ...]:
    names = _names(tables["action"], where)
    if "base" not in tables:
        return names
    if names == ARMS and tables["base"].shape[1] == len(BASE):
        return (*names, *BASE)
    raise ImportFileError(
        "a base that does not fit the action",
        where=where,
        found=f"action {tables['action'].shape}, base_action {tables['base'].shape}",
        allowed="14 and 2 columns",
        fix="leave it out: --no-base",
    )


def _names(dataset: Any, where: str) -> tuple[str, ...]:
    for names in (ARMS, (*ARMS, *BASE)):
        if dataset.shape[1] == len(names):
            return names
    raise ImportFileError(
        "another robot than ALOHA",
        where=f"{where}, {dataset.name}",
        found=f"{dataset.shape[1]} columns",
        allowed="14: two arms of six joints and a gripper; 16: and a base",
    )


def _frames(file: Path, options: ReadOptions, task: str) -> Iterator[Frame]:
    with open_hdf5(file) as root:
        tables = _tables(root, options)
        lengths = tables.pop("lengths", None)
        features = _features(tables, str(file))
        for t in range(len(tables["action"])):
            where = f"{file}, row {t}"
            stored = {key: _stored(dataset, t, where) for key, dataset in tables.items()}
            if lengths is not None:
                _check_lengths(stored, lengths, t, where)
            if "base" in stored:
                stored["action"] = np.concatenate([stored["action"], stored["base"]])
            row, pictures = {}, {}
            for key, feature in features.items():
                if feature.dtype == "video":
                    pictures[key] = _pixels(stored[key], feature, options, where)
                elif feature.dtype == "image":
                    pictures[key] = stored[key]
                else:
                    row[key] = finite(stored[key], f"{where}, {key}")
            yield Frame(row=row, pictures=pictures, task=task)


def _stored(dataset: Any, t: int, where: str) -> Any:
    """A row as it lies in the file, bytes of a compressed picture without the zeros behind it."""
    if dataset.ndim == 4 or (dataset.dtype != np.uint8 and dataset.dtype.kind != "S"):
        return dataset[t]
    data = bytes(dataset[t]).rstrip(b"\0")
    if not data.endswith(_ENDS):
        raise ImportFileError(
            "a compressed picture is cut off",
            where=f"{where}, {dataset.name}",
            found=f"{len(data)} bytes without the mark of its end",
            fix="record the episode again, or leave the file out",
        )
    return data


def _pixels(stored: Any, feature: Feature, options: ReadOptions, where: str) -> Pixels:
    height, width, _ = feature.shape
    rgb = picture(stored, (height, width), where) if isinstance(stored, bytes) else stored
    return colours(rgb, options)


def _size(dataset: Any) -> tuple[int, ...]:
    """(H, W) of the first of the compressed pictures of a camera."""
    where = f"{dataset.file.filename}, {dataset.name}, row 0"
    return picture(_stored(dataset, 0, where), None, where).shape[:2]


def _check_lengths(stored: dict[str, Any], lengths: Any, t: int, where: str) -> None:
    """Compares the pictures of an instant with what the recorder says that they take."""
    stated = sorted(lengths[:, t].tolist()) if t < lengths.shape[1] else None
    found = sorted(len(data) for data in stored.values() if isinstance(data, bytes))
    if stated != found:
        raise ImportFileError(
            "compressed pictures are of other lengths than the file states",
            where=where,
            found=found,
            allowed=stated,
        )


def _simulated(root: Any, where: str) -> dict[str, Any]:
    """The attribute `sim`, where the recorder has set it."""
    if "sim" not in root.attrs:
        return {}
    value = root.attrs["sim"]
    if not isinstance(value, bool | np.bool_):
        raise ImportFileError(
            "the attribute sim is no truth value", where=where, found=type(value).__name__
        )
    return {"sim": bool(value)}
