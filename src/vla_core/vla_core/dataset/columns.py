"""Features as columns of arrow tables, as the ``datasets`` library writes and reads them.

Shape letters: T rows, D dimensions.

Source: https://github.com/huggingface/datasets, features/features.py (3.6: ``Sequence``; from 4.0:
``List``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vla_core.compressed_images import COLOUR_MODES, DEPTH_MODES, decompress
from vla_core.dataset.episode import Feature
from vla_core.dataset.info import NUMBERS, STANDARD, damaged

Array = npt.NDArray[Any]
TASK = "task"
_ARROW = {"float16": "halffloat", "float32": "float", "float64": "double"}
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def columns(features: Mapping[str, Feature]) -> dict[str, Feature]:
    """Those features that have a column: all but videos and the standard ones."""
    return {k: f for k, f in features.items() if f.dtype != "video" and k not in STANDARD}


def arrow_type(feature: Feature) -> pa.DataType:
    """A single number is a plain value, a vector a list of fixed size, a matrix lists in lists."""
    if feature.dtype == "image":
        return IMAGE
    kind = pa.type_for_alias(_ARROW.get(feature.dtype, feature.dtype))
    if feature.shape == (1,):
        return kind
    if len(feature.shape) == 1:
        return pa.list_(kind, feature.shape[0])
    for _ in feature.shape:
        kind = pa.list_(kind)
    return kind


def schema(features: Mapping[str, Feature], *, vector: str) -> pa.Schema:
    """The schema of a data file, standard columns last.

    Args:
        features: All but the standard ones.
        vector: What the ``datasets`` library calls a list: ``Sequence`` or ``List``.
    """
    stored = {**columns(features), **STANDARD}
    described = {name: _described(feature, vector) for name, feature in stored.items()}
    metadata = {"huggingface": json.dumps({"info": {"features": described}})}
    return pa.schema([(name, arrow_type(f)) for name, f in stored.items()], metadata=metadata)


def _described(feature: Feature, vector: str) -> dict[str, Any]:
    if feature.dtype == "image":
        return {"_type": "Image"}
    value = {"dtype": feature.dtype, "_type": "Value"}
    if feature.shape == (1,):
        return value
    if len(feature.shape) == 1:
        return {"feature": value, "length": feature.shape[0], "_type": vector}
    kind = f"Array{len(feature.shape)}D"
    return {"shape": list(feature.shape), "dtype": feature.dtype, "_type": kind}


def column(feature: Feature, rows: Sequence[Any]) -> pa.Array:
    """A column of rows that already have the feature's shape (numbers) or type (all else)."""
    if feature.dtype not in NUMBERS:
        return pa.array(rows, arrow_type(feature))
    stacked = np.asarray(rows, dtype=feature.dtype).reshape(len(rows), *feature.shape)
    return _nested(pa.array(stacked.ravel()), feature)


def _nested(flat: pa.Array, feature: Feature) -> pa.Array:
    """Flat values as the feature's lists."""
    if feature.shape == (1,):
        return flat
    if len(feature.shape) == 1:
        return pa.FixedSizeListArray.from_arrays(flat, feature.shape[0])
    for size in reversed(feature.shape):
        offsets = np.arange(0, len(flat) + 1, size, dtype=np.int32)
        flat = pa.ListArray.from_arrays(pa.array(offsets), flat)
    return flat


def conform(found: pa.ChunkedArray, feature: Feature, where: str) -> pa.ChunkedArray | pa.Array:
    """A column that was read, as the feature's own arrow type.

    Lists of fixed and of variable size are the same; floats may have another width, integers too
    if all fit.

    Raises:
        DatasetError: Other types or shapes, or empty places.
    """
    if feature.dtype == "image":  # not copied: an hour of depth is larger than the memory
        if found.type != IMAGE or found.null_count:
            raise damaged(where, found.type, f"{IMAGE} without empty places")
        return found
    flat, per_row = _flat(found, feature, where)
    wanted = arrow_type(Feature(dtype=feature.dtype, shape=(1,)))
    try:
        if _kind(flat.type) != _kind(wanted):
            raise pa.ArrowInvalid(f"{flat.type}")
        if flat.type != wanted:
            flat = flat.cast(wanted, safe=not pa.types.is_floating(wanted))
    except pa.ArrowException as error:
        raise damaged(where, error, wanted) from error
    if flat.null_count or len(flat) != len(found) * per_row:
        allowed = f"{len(found)} rows of {per_row} without empty places"
        raise damaged(where, f"{len(flat)} values, {flat.null_count} empty", allowed)
    return _nested(flat, feature)


def numbers(found: pa.ChunkedArray | pa.Array, feature: Feature) -> Array:
    """(T, *shape) of a column that conforms; a single number too has its dimension."""
    flat = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    rows = len(flat)
    while pa.types.is_list(flat.type) or pa.types.is_fixed_size_list(flat.type):
        flat = flat.flatten()
    values: Array = flat.to_numpy(zero_copy_only=False)
    return values.reshape(rows, *feature.shape)


def stored_picture(column: pa.ChunkedArray | pa.Array, row: int, where: str) -> Array:
    """Of a column of encoded pictures: (H, W, 3) uint8, or depth (H, W) uint16.

    Raises:
        CodecError: It is no PNG or JPEG.
    """
    data = np.frombuffer(column[row]["bytes"].as_py() or b"", np.uint8)
    codec = "jpeg" if data[:2].tobytes() == b"\xff\xd8" else "png"
    modes = (*COLOUR_MODES, *DEPTH_MODES)
    picture = decompress(data, codec, modes, (None, None), f"{where}, row {row}")
    return picture.astype(np.uint16) if picture.ndim == 2 else picture


def _flat(found: pa.ChunkedArray, feature: Feature, where: str) -> tuple[pa.Array, int]:
    """The values without their lists, whose lengths are compared with the shape."""
    flat = found.combine_chunks()
    if isinstance(flat, pa.ChunkedArray):
        flat = pa.concat_arrays(flat.chunks) if flat.num_chunks else pa.array([], flat.type)
    if isinstance(flat, pa.ExtensionArray):
        flat = flat.storage
    for size in feature.shape:
        kind = flat.type
        if not any(
            test(kind)
            for test in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
        ):
            if feature.shape == (1,):
                break
            raise damaged(where, kind, f"lists of {size}")
        even = pc.all(pc.equal(pc.list_value_length(flat), size), skip_nulls=False).as_py()
        if flat.null_count or even is False:
            raise damaged(where, "vectors of another length", f"{size} values each")
        flat = flat.flatten()
    return flat, math.prod(feature.shape)


def _kind(kind: pa.DataType) -> str:
    for name in ("floating", "boolean", "integer", "string"):
        if getattr(pa.types, f"is_{name}")(kind):
            return name
    return "string" if pa.types.is_large_string(kind) else str(kind)
