"""tf.train.Example and SequenceExample, read without TensorFlow or protobuf.

Of a record's features only the lists of byte strings and of floats are unpacked; what is kept are
views of the record.

Source: https://protobuf.dev/programming-guides/encoding/ and tensorflow,
tensorflow/core/example/{example,feature}.proto.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from vla_recorder.importers.recording import MAX_ROWS, ImportFileError

Floats = npt.NDArray[np.float32]
Values = list[memoryview] | Floats

_MAX_FEATURES = 1000
_BYTES_LIST, _FLOAT_LIST = 1, 2  # fields of tf.train.Feature
_FIXED_BYTES = {1: 8, 5: 4}  # by wire type


def parse_example(data: memoryview, where: str) -> dict[str, Values]:
    """The features of a record by name.

    Args:
        data: A serialised Example, or SequenceExample; the values of a feature list's steps are
            chained, as an Example of TFDS has them.
        where: Place for the error.

    Raises:
        ImportFileError: It is no such message, or has more parts than any episode.
    """
    found: dict[str, Values] = {}
    for number, part in _fields(data, where):
        if number in (1, 2):  # features (context), feature_lists
            for _, entry in _only(part, (1,), where):
                name, value = _entry(entry, where)
                if name in found or len(found) >= _MAX_FEATURES:
                    raise _bad(where, f"the feature {name} twice, or too many features")
                features = [value] if number == 1 else [f for _, f in _only(value, (1,), where)]
                found[name] = _values(features, f"{where}, {name}")
    return found


def _entry(data: memoryview, where: str) -> tuple[str, memoryview]:
    """Key and value of a map's entry."""
    parts = dict(_only(data, (1, 2), where))
    try:
        return str(parts.get(1, memoryview(b"")), "utf-8"), parts.get(2, memoryview(b""))
    except UnicodeDecodeError as error:
        raise _bad(where, error) from error


def _values(features: list[memoryview], where: str) -> Values:
    """All values of one or more tf.train.Feature, which are of one kind; [] of whole numbers."""
    strings: list[memoryview] = []
    floats: list[Floats] = []
    for feature in features:
        for kind, values in _only(feature, (_BYTES_LIST, _FLOAT_LIST), where):
            for _, value in _only(values, (1,), where):
                if kind == _BYTES_LIST:
                    strings.append(value)
                elif len(value) % 4:
                    raise _bad(where, f"{len(value)} bytes of floats")
                else:
                    floats.append(np.frombuffer(value, "<f4"))
                if len(strings) + len(floats) > MAX_ROWS:
                    raise _bad(where, f"more than {MAX_ROWS} values")
    if strings and floats:
        raise _bad(where, "byte strings and floats in one feature")
    return np.concatenate(floats) if floats else strings


def _only(
    data: memoryview, numbers: tuple[int, ...], where: str
) -> Iterator[tuple[int, memoryview]]:
    return (field for field in _fields(data, where) if field[0] in numbers)


def _fields(data: memoryview, where: str) -> Iterator[tuple[int, memoryview]]:
    """Number and content of each field that has bytes; varints are passed over."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at, where)
        wire = key & 7
        if wire == 0:
            _, at = _varint(data, at, where)
            continue
        if wire == 2:
            size, at = _varint(data, at, where)
        elif wire in _FIXED_BYTES:
            size = _FIXED_BYTES[wire]
        else:
            raise _bad(where, f"wire type {wire}")
        if at + size > len(data):
            raise _bad(where, f"{size} bytes, {len(data) - at} left")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int, where: str) -> tuple[int, int]:
    """The number at a place, and the place behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise _bad(where, "a number without an end")


def _bad(where: str, found: object) -> ImportFileError:
    return ImportFileError(
        "a record is no tf.train.Example", where=where, found=found, fix="check the source"
    )
