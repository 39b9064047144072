"""The actions of one recorded episode, from a LeRobot dataset on this machine.

Formats v2.1 (a parquet file for each episode) and v3.0 (many episodes in a file). Only JSON and
parquet columns are read, and only from the places that the format prescribes.

Shape letters: T recorded frames, A action dimension.

Source: https://github.com/huggingface/lerobot, src/lerobot/datasets (0.3.3: v2.1, 0.4.4: v3.0).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vla_core.errors import VlaError
from vla_core.json_file import parse_object
from vla_core.types import FloatArray

MAX_JSON_BYTES = 64 << 20
MAX_TABLE_BYTES = 4 << 30  # of the columns that are read, unpacked
MAX_FPS = 1000
VERSIONS = ("v2.1", "v3.0")
WHEREABOUTS_V3 = ("data/chunk_index", "data/file_index")


class DatasetError(VlaError):
    """A dataset that cannot be read, or that contradicts itself."""

    code = "DATASET"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedActions:
    """One episode.

    Attributes:
        fps: Frames per second.
        names: The A names of the action, in the dataset's order.
        actions: (T, A) float64, as recorded; finite.
    """

    fps: float
    names: tuple[str, ...]
    actions: FloatArray


def read_actions(root: Path, episode: int) -> RecordedActions:
    """The actions of one episode.

    Args:
        root: The folder that holds ``meta/info.json``.
        episode: Its index, from 0.

    Raises:
        DatasetError: No such dataset or episode, another format, damaged or nameless actions.
    """
    info_file = root / "meta" / "info.json"
    info = _object(_text(info_file), str(info_file))
    version = info.get("codebase_version")
    if version not in VERSIONS:
        raise DatasetError(
            "a dataset of another format",
            where=str(info_file),
            found=version,
            allowed=", ".join(VERSIONS),
            fix="convert it with LeRobot's own converters",
        )
    names, fps = _names(info, str(info_file)), _fps(info, str(info_file))
    length, files = (
        _files_v3(root, episode) if version == "v3.0" else _file_v2(root, info, episode)
    )
    where = f"{root}, episode {episode}"
    found = 0
    for file in files:
        table = _table(file, ("episode_index", "frame_index", "action"), episode)
        if table.num_rows == length:
            if not np.array_equal(table["frame_index"].to_numpy(), np.arange(length)):
                raise _bad(where, "frame_index out of order", "0, 1, 2 ...")
            actions = _vectors(table["action"].combine_chunks(), len(names), where)
            return RecordedActions(fps=fps, names=names, actions=actions)
        found = max(found, table.num_rows)
    raise _bad(where, f"{found} rows", f"{length}, as the episode's metadata say")


def _file_v2(root: Path, info: Mapping[str, Any], episode: int) -> tuple[int, Iterable[Path]]:
    index = root / "meta" / "episodes.jsonl"
    entries = (_object(line, str(index)) for line in _text(index).splitlines() if line.strip())
    lengths = [entry.get("length") for entry in entries if entry.get("episode_index") == episode]
    size = info.get("chunks_size")
    if not _is_count(size):
        raise _bad(f"{root / 'meta' / 'info.json'}, chunks_size", size, "a number of episodes")
    file = root / f"data/chunk-{episode // size:03d}/episode_{episode:06d}.parquet"
    return _length(root, episode, lengths), [file]


def _files_v3(root: Path, episode: int) -> tuple[int, Iterable[Path]]:
    """Where the episode lies, and after that all other places.

    LeRobot 0.4's converter names the file before the right one for the first episode of a file.
    """
    columns = ("episode_index", "length", *WHEREABOUTS_V3)
    tables = [
        _table(file, columns, episode)
        for file in sorted((root / "meta" / "episodes").glob("chunk-*/file-*.parquet"))
    ]
    rows = [row for table in tables for row in table.to_pylist()]
    length = _length(root, episode, [row["length"] for row in rows])
    chunk, number = (rows[0][column] for column in WHEREABOUTS_V3)
    stated = root / f"data/chunk-{chunk or 0:03d}/file-{number or 0:03d}.parquet"
    others = sorted((root / "data").glob("chunk-*/file-*.parquet"))
    return length, (stated, *(file for file in others if file != stated))


def _length(root: Path, episode: int, lengths: list[Any]) -> int:
    if not lengths:
        raise DatasetError(
            "no such episode",
            where=str(root),
            found=episode,
            allowed="an episode that meta/ lists; the first is 0",
        )
    if len(lengths) > 1 or not _is_count(lengths[0]):
        raise _bad(f"{root / 'meta'}, episode {episode}", lengths, "one length, at least 1")
    return int(lengths[0])


def _table(file: Path, columns: tuple[str, ...], episode: int) -> pa.Table:
    """The rows of one episode. Sizes and types are compared before any of it is unpacked."""
    try:
        with pq.ParquetFile(file) as parquet:
            names = parquet.schema_arrow.names
            missing = [name for name in columns if name not in names]
            ints = [name for name in columns if name != "action" and name not in missing]
            odd = [n for n in ints if not pa.types.is_integer(parquet.schema_arrow.field(n).type)]
            size = _unpacked_bytes(parquet.metadata, columns)
        if missing or odd or size > MAX_TABLE_BYTES:
            raise _bad(
                str(file),
                f"missing {missing}, no whole numbers {odd}, {size} bytes",
                f"columns {', '.join(columns)} of at most {MAX_TABLE_BYTES} bytes",
            )
        return pq.read_table(
            file,
            columns=list(columns),
            filters=[("episode_index", "=", episode)],
            partitioning=None,
        )
    except (pa.ArrowException, OSError) as error:
        raise _bad(str(file), error, "a whole parquet file") from error


def _unpacked_bytes(metadata: Any, columns: tuple[str, ...]) -> int:
    groups = (metadata.row_group(i) for i in range(metadata.num_row_groups))
    parts = (group.column(i) for group in groups for i in range(group.num_columns))
    return sum(p.total_uncompressed_size for p in parts if _column(p) in columns)


def _column(part: Any) -> str:
    """``action.list.element`` belongs to ``action``; dots in other names are their own."""
    path = str(part.path_in_schema)
    return "action" if path.startswith("action.") else path


def _vectors(column: Any, dims: int, where: str) -> FloatArray:
    """(T, dims); a one-dimensional action is stored without a list."""
    rows, kind = len(column), column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        uneven = not pc.all(pc.equal(pc.list_value_length(column), dims), skip_nulls=False).as_py()
        column = column.flatten()
        if uneven:
            raise _bad(f"{where}, action", "vectors of another length", f"{dims} values each")
    if not pa.types.is_floating(column.type) or column.null_count or len(column) != rows * dims:
        raise _bad(f"{where}, action", f"{len(column)} {column.type}", f"{rows} x {dims} floats")
    values = column.to_numpy(zero_copy_only=False).astype(np.float64).reshape(rows, dims)
    if not np.isfinite(values).all():
        raise _bad(f"{where}, action", "values that are not finite", "finite numbers")
    return np.asarray(values)


def _names(info: Mapping[str, Any], where: str) -> tuple[str, ...]:
    features = info.get("features")
    feature = features.get("action") if isinstance(features, dict) else None
    names: Any = feature.get("names") if isinstance(feature, dict) else None
    if isinstance(names, dict) and len(names) == 1:  # {"motors": [...]}
        (names,) = names.values()
    strings = isinstance(names, list) and names and all(isinstance(n, str) for n in names)
    if not strings or len(set(names)) != len(names):
        raise DatasetError(
            "the actions of the dataset have no names",
            where=f"{where}, features.action.names",
            found=names,
            allowed="one name for each dimension, all different",
            fix="write them into info.json if you know them for certain",
        )
    return tuple(names)


def _fps(info: Mapping[str, Any], where: str) -> float:
    fps: Any = info.get("fps")
    if type(fps) not in (int, float) or not 0 < fps <= MAX_FPS:
        raise _bad(f"{where}, fps", fps, f"above 0, at most {MAX_FPS}")
    return float(fps)


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and value >= 1


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise ValueError("no such file")
        if (size := path.stat().st_size) > MAX_JSON_BYTES:
            raise ValueError(f"{size} bytes")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise _bad(str(path), error, f"text of at most {MAX_JSON_BYTES} bytes") from error


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        return parse_object(text)
    except ValueError as error:
        raise _bad(where, error, "a JSON object") from error


def _bad(where: str, found: object, allowed: object) -> DatasetError:
    return DatasetError(
        "a dataset is damaged or incomplete",
        where=where,
        found=found,
        allowed=allowed,
        fix="give the folder that holds meta/info.json; copy or record the dataset again",
    )
