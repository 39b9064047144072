"""LIBERO as RLDS: what TensorFlow Datasets wrote, read without TensorFlow.

A folder with `features.json`, `dataset_info.json` and TFRecord files; one record is an episode,
its steps' values chained under flat names (`steps/observation/image`). Pictures are JPEG or PNG,
turned by 180 degrees already. Only the split `train` is read, as openpi does.

Source: openpi, examples/libero/convert_libero_data_to_lerobot.py (the data: the four suites
of modified_libero_rlds, `libero_{spatial,object,goal,10}_no_noops`); tensorflow/datasets,
core/{features,splits,naming}.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vla_core.dataset.episode import Feature
from vla_core.json_file import read_object
from vla_recorder.importers import libero
from vla_recorder.importers.recording import (
    MAX_ROWS,
    Found,
    Frame,
    ImportFileError,
    Loss,
    Pixels,
    ReadOptions,
    Recording,
    colours,
    finite,
    picture,
    task_text,
)
from vla_recorder.importers.tf_example import Values, parse_example
from vla_recorder.importers.tfrecord import Record, records

HEAD, SPLITS = "features.json", "dataset_info.json"
_MAX_JSON_BYTES = 16 << 20
_NAME = re.compile(r"\w[\w.\-]{0,199}")
_PATTERN = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
_VECTORS = {
    libero.STATE: "steps/observation/state",
    libero.JOINTS: "steps/observation/joint_state",
    libero.ACTION: "steps/action",
}
_CAMERAS = {
    libero.IMAGE: "steps/observation/image",
    libero.WRIST_IMAGE: "steps/observation/wrist_image",
}
_TASK = "steps/language_instruction"


def recordings(folder: Path, options: ReadOptions) -> Found:
    """The episodes of a dataset's version folder, in the order of its files.

    Raises:
        ImportFileError: It is not LIBERO, or nothing that this reads.
    """
    features = _features(_object(folder / HEAD), folder / HEAD)
    name, shards = _shards(_object(folder / SPLITS), folder / SPLITS)
    suite = libero.suite(folder.absolute().parent.name) or libero.suite(name)
    for number, episodes in enumerate(shards):
        file = folder / f"{name}-train.tfrecord-{number:05d}-of-{len(shards):05d}"
        found = 0
        try:
            for record in records(file):
                found += 1
                where = f"{file}, record {record.number}"
                yield Recording(
                    name=where,
                    robot_type=libero.ROBOT,
                    fps=libero.FPS,
                    features=features,
                    frames=partial(_frames, record, features, options, where),
                    extra={"source": f"{file.name}#{record.number}"} | suite,
                )
            if found != episodes:
                yield Loss(
                    where=str(file),
                    what=f"{found} records, {SPLITS} says {episodes}",
                    episodes=max(0, episodes - found),
                )
        except (ImportFileError, OSError) as error:
            yield Loss(where=str(file), what=str(error), episodes=max(0, episodes - found))


def _frames(
    record: Record, features: Mapping[str, Feature], options: ReadOptions, where: str
) -> Iterator[Frame]:
    values = parse_example(record.read(), where)
    vectors = {
        key: _rows(values, path, features[key].shape[0], where)
        for key, path in _VECTORS.items()
        if key in features
    }
    pictures = {key: _strings(values, path, where) for key, path in _CAMERAS.items()}
    tasks = _strings(values, _TASK, where)
    lengths = {key: len(found) for key, found in (vectors | pictures | {_TASK: tasks}).items()}
    if len(set(lengths.values())) != 1:
        raise ImportFileError(
            "data of different lengths", where=where, found=lengths, allowed="one length"
        )
    for t, task in enumerate(tasks):
        at = f"{where}, step {t}"
        yield Frame(
            row={key: finite(found[t], at) for key, found in vectors.items()},
            pictures={
                key: _pixels(found[t], features[key], options, at)
                for key, found in pictures.items()
            },
            task=task_text(_text(task, at), options, at),
        )


def _rows(values: Mapping[str, Values], path: str, columns: int, where: str) -> Any:
    """(T, columns) float32 of a chained feature."""
    found = values.get(path)
    if isinstance(found, np.ndarray) and not len(found) % columns:
        return found.reshape(-1, columns)
    raise _lacking(f"{where}, {path}", found, f"floats, {columns} a step")


def _strings(values: Mapping[str, Values], path: str, where: str) -> Any:
    """T byte strings."""
    found = values.get(path)
    if isinstance(found, list) and found:
        return found
    raise _lacking(f"{where}, {path}", found, "a byte string a step")


def _lacking(where: str, found: Values | None, allowed: str) -> ImportFileError:
    kind = "nothing" if found is None else f"{len(found)} values"
    return ImportFileError("an episode lacks data", where=where, found=kind, allowed=allowed)


def _pixels(data: memoryview, feature: Feature, options: ReadOptions, where: str) -> Pixels:
    height, width, _ = feature.shape
    return colours(picture(data, (height, width), where), options)


def _text(data: memoryview, where: str) -> str:
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise ImportFileError("a text is not UTF-8", where=where, found=error) from error


def _features(document: Mapping[str, Any], file: Path) -> dict[str, Feature]:
    """What `features.json` describes, judged to be LIBERO's."""
    sizes = {}
    for key, path in _CAMERAS.items():
        shape = _shape(document, path, "image", file)
        if len(shape) != 3 or shape[2] != 3 or not all(0 < side <= 4096 for side in shape):
            raise _not_libero(file, path, shape, "pictures of one size and three colours")
        sizes[key] = shape[:2]
    joints = _leaf(document, _VECTORS[libero.JOINTS]) is not None
    features = libero.features(sizes, joints=joints)
    for key, path in _VECTORS.items():
        if key in features:
            shape = _shape(document, path, "tensor", file)
            if shape != features[key].shape:
                raise _not_libero(file, path, shape, features[key].shape)
    if _leaf(document, _TASK) is None:
        raise _not_libero(file, _TASK, "nothing", "a text")
    return features


def _shape(document: Mapping[str, Any], path: str, kind: str, file: Path) -> tuple[int, ...]:
    leaf = _leaf(document, path)
    try:
        return tuple(int(size) for size in leaf[kind]["shape"]["dimensions"])
    except (KeyError, TypeError, ValueError) as error:
        raise _not_libero(file, path, "nothing", f"a feature of kind {kind}") from error


def _leaf(document: Any, path: str) -> Any:
    """The description of a feature; None where there is none."""
    node = document
    for part in path.split("/"):
        for key in ("featuresDict", "features", part):
            node = node.get(key) if isinstance(node, dict) else None
        if isinstance(node, dict) and "sequence" in node:
            node = node["sequence"].get("feature") if isinstance(node["sequence"], dict) else None
    return node


def _shards(document: Mapping[str, Any], file: Path) -> tuple[str, list[int]]:
    """The dataset's name, and how many episodes each file of `train` holds."""
    name, splits = document.get("name"), document.get("splits")
    train = [
        split
        for split in (splits if isinstance(splits, list) else [])
        if isinstance(split, dict) and split.get("name") == "train"
    ]
    lengths = train[0].get("shardLengths") if len(train) == 1 else None
    kind = document.get("fileFormat", "tfrecord")
    pattern = train[0].get("filepathTemplate", _PATTERN) if train else _PATTERN
    numbers = isinstance(lengths, list) and all(re.fullmatch(r"\d{1,9}", str(n)) for n in lengths)
    if not (
        isinstance(name, str) and _NAME.fullmatch(name) and numbers and len(lengths) <= MAX_ROWS  # type: ignore[arg-type]
    ) or (kind, pattern) != ("tfrecord", _PATTERN):
        raise ImportFileError(
            "a dataset_info.json that this does not read",
            where=str(file),
            found=f"name {name!r}, format {kind!r}, files {pattern!r}, train {lengths!r}",
            allowed=f"a name, TFRecord files {_PATTERN}, a split train with shardLengths",
        )
    return name, [int(length) for length in lengths]  # type: ignore[union-attr]


def _object(file: Path) -> dict[str, Any]:
    try:
        return read_object(file, _MAX_JSON_BYTES)
    except ValueError as error:
        raise ImportFileError(
            "a folder of TensorFlow Datasets is damaged",
            where=str(file),
            found=error,
            allowed="a JSON object",
            fix="copy the dataset again, with features.json and dataset_info.json",
        ) from error


def _not_libero(file: Path, path: str, found: object, allowed: object) -> ImportFileError:
    return ImportFileError(
        "this RLDS dataset is not LIBERO",
        where=f"{file}, {path}",
        found=found,
        allowed=allowed,
        fix="give one of modified_libero_rlds, written by tensorflow-datasets 4.5 or later",
    )
