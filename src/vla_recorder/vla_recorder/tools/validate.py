"""Whether a dataset is whole, and whether what it says of itself is true.

Streaming: one episode's table and one picture at a time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from vla_core.contract import Contract
from vla_core.dataset.episode import Clip, Episode
from vla_core.dataset.info import MAX_JSON_BYTES, damaged
from vla_core.dataset.read import Dataset, open_dataset
from vla_core.dataset.video import decode, packet_times
from vla_core.errors import VlaError
from vla_core.json_file import read_object
from vla_recorder.tools import number_checks, picture_checks, statistics_checks
from vla_recorder.tools.columns import (
    action_of,
    camera_features,
    dimension_names,
    number_features,
    numbers,
    state_of,
    stored_picture,
)
from vla_recorder.tools.contract_file import read_contract
from vla_recorder.tools.feature_checks import check_contract, check_features
from vla_recorder.tools.index_checks import COLUMNS, IndexWatch
from vla_recorder.tools.number_checks import Motion, Numbers
from vla_recorder.tools.report import EXIT_CODES, FAIL, WARN, Report
from vla_recorder.tools.statistics_checks import StatedNumbers
from vla_recorder.tools.video_checks import check_file

_BATCH = 65536  # rows
AGAIN = "copy it again, or convert its bags again"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of this verb."""
    parser.add_argument("dataset", type=Path, metavar="DIR")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--quick", action="store_true", help="count the frames of the videos, decode none"
    )


def run(options: argparse.Namespace) -> int:
    """The verb: 0 fine, 1 broken, 3 usable with warnings."""
    report = validate(options.dataset, pictures=not options.quick)
    if options.json:
        print(json.dumps(report.as_json(), indent=2, ensure_ascii=False))
    else:
        print(report.text(options.dataset.resolve().name))
    return EXIT_CODES[report.level]


def validate(root: Path, *, pictures: bool = True) -> Report:
    """All checks; damage is a finding, never an exception.

    Args:
        root: The folder that holds ``meta/``.
        pictures: Whether keyframes are decoded.
    """
    report = Report()
    try:
        report.looked_at("metadata")
        dataset = open_dataset(root)
        contract = read_contract(root)
        checks = _Checks(report, dataset, contract, pictures)
        checks.metadata()
        checks.tables()
        checks.files()
        for number in tqdm(
            range(len(dataset.episodes)), desc="validate", unit="episode", disable=None
        ):
            checks.episode(number)
        checks.whole()
    except VlaError as error:
        report.add(FAIL, "metadata", "", str(error), advice=AGAIN)
    return report


class _Checks:
    """The checks of one dataset, and what they remember between episodes."""

    def __init__(
        self, report: Report, dataset: Dataset, contract: Contract | None, pictures: bool
    ) -> None:
        self._report, self._dataset, self._contract = report, dataset, contract
        self._pictures = pictures
        self._info = dataset.info
        self._rates = {c.name: c.rate_hz for c in contract.cameras} if contract else {}
        stated = read_stats(dataset)
        self._whole = {
            name: StatedNumbers(stated.get(name, {}))
            for name in number_features(self._info.features)
        }
        self._digests: dict[bytes, int] = {}
        self._unreadable: set[Path] = set()
        self._lengths: list[int] = []
        self._video_rows: Counter[Path] = Counter()
        for episode in dataset.episodes:
            self._lengths.append(episode.length)
            for clip in episode.clips.values():
                self._video_rows[clip.file] += clip.frames

    def metadata(self) -> None:
        """What the dataset says of itself."""
        report, info, lengths = self._report, self._info, self._lengths
        if info.total_frames != sum(lengths):
            found = f"{info.total_frames}, but the episodes have {sum(lengths)}"
            report.add(FAIL, "metadata", "total_frames", found)
        if not lengths:
            report.add(FAIL, "metadata", "episodes", "the dataset is empty")
        for task in self._dataset.tasks.values():
            if not task.strip():
                report.add(WARN, "tasks", "", "a task without a text", advice="policies read it")
        check_features(report, info)
        if self._contract:
            check_contract(report, info, self._contract)

    def tables(self) -> None:
        """The index columns of all data files, in their order."""
        watch = IndexWatch(self._report, self._info.fps, self._dataset.tasks.keys())
        for file in sorted(self._dataset.root.glob("data/**/*.parquet"), key=_in_order):
            try:
                for piece in _pieces(file):
                    watch.see(piece)
            except (pa.ArrowException, OSError, ValueError) as error:
                where = str(file.relative_to(self._dataset.root))
                self._report.add(FAIL, "index", where, str(error), advice=AGAIN)
        watch.finish(self._lengths)

    def files(self) -> None:
        """Every video file once, and those that nobody needs."""
        for file, count in self._video_rows.items():
            where = str(file.relative_to(self._dataset.root))
            shared = self._info.version == "v3.0"
            try:
                check_file(self._report, where, file, count, self._info.fps, shared=shared)
            except VlaError as error:
                self._unreadable.add(file)
                self._report.add(FAIL, "frames", where, str(error), advice=AGAIN)
        for file in sorted(
            set(self._dataset.root.glob("videos/**/*.mp4")) - self._video_rows.keys()
        ):
            where = str(file.relative_to(self._dataset.root))
            self._report.add(WARN, "frames", where, "a video that no episode uses")

    def episode(self, number: int) -> None:
        episode = self._dataset.episodes[number]
        try:
            table = episode.read()
        except VlaError as error:
            self._report.add(FAIL, "readable", "", str(error), advice=AGAIN, episode=number)
            return
        self._report.looked_at("readable", "rows", table.num_rows)
        self._known(number, episode.extra)
        sides = self._numbers(number, episode, table)
        self._sides(number, sides)
        motion = next(iter(sides.values()), np.zeros((episode.length, 1)))
        for camera in camera_features(self._info.features):
            self._camera(number, episode, table, camera, Motion.of(motion))

    def _known(self, number: int, extra: Mapping[str, Any]) -> None:
        """What a person, or the conversion, said of an episode."""
        self._report.looked_at("labels")
        if bad := extra.get("bad"):
            found = f"labelled bad: {bad}"
            self._report.add(WARN, "labels", "", found, advice="dataset filter", episode=number)
        self._report.looked_at("losses")
        if lost := extra.get("lost_ticks"):
            found = f"{lost} ticks were lost in conversion: {extra.get('lost_by_stream') or ''}"
            self._report.add(WARN, "losses", "ticks", found, episode=number)
        if damaged := extra.get("damaged"):
            found = f"damaged messages in its bag: {damaged}"
            self._report.add(WARN, "losses", "messages", found, episode=number)

    def _numbers(self, number: int, episode: Episode, table: pa.Table) -> dict[str, Numbers]:
        """Every column of numbers; those of state and action are given back if they are finite."""
        features, kept = self._info.features, {}
        digest = hashlib.sha256()
        for name in number_features(features):
            values = numbers(table, name, features[name])
            digest.update(values.tobytes())
            if not number_checks.check_finite(self._report, number, name, values):
                continue
            stated = StatedNumbers(episode.stats.get(name, {}))
            stated.see(values)
            stated.check(self._report, number, name)
            self._whole[name].see(values)
            if name in (state_of(features), action_of(features)):
                kept[name] = values
        self._report.looked_at("doubled")
        first = self._digests.setdefault(digest.digest(), number)
        if first != number and kept:
            self._report.add(
                WARN, "doubled", "", f"the same numbers as episode {first}",
                advice="the episode is there twice: dataset delete", episode=number,
            )  # fmt: skip
        return kept

    def _sides(self, number: int, sides: dict[str, Numbers]) -> None:
        """State against action, and both against the contract."""
        features, report, fps = self._info.features, self._report, self._info.fps
        state, action = state_of(features), action_of(features)
        if self._contract:
            joints = self._contract.joints
            for name, values in sides.items():
                named = features[name].names or ()
                if len(named) == values.shape[1] and joints.keys() >= set(named):
                    known = [joints[joint] for joint in named]
                    number_checks.check_limits(report, number, name, values, known)
                    if name == action:
                        number_checks.check_rates(report, number, name, values, known, fps)
        if not (state in sides and action in sides and state and action):
            return
        measured, motion = sides[state], Motion.of(sides[action])
        names = features[state].names or tuple(map(str, range(measured.shape[1])))
        for stream, columns in number_checks.stream_columns(self._contract, names).items():
            where = f"{state}, {stream}" if stream else state
            number_checks.check_frozen(report, number, where, measured[:, columns], motion, fps)
            number_checks.check_repeated(report, number, where, measured[:, columns], motion)

    def _camera(
        self, number: int, episode: Episode, table: pa.Table, camera: str, motion: Motion
    ) -> None:
        if not self._pictures:
            return
        feature, watch = self._info.features[camera], picture_checks.PictureWatch()
        clip = episode.clips.get(camera)
        if clip is not None and clip.file in self._unreadable:
            return
        try:
            rows = _keyframes(clip) if clip else np.arange(table.num_rows)
            if clip is not None:
                for picture in decode(clip, keyframes_only=True):
                    watch.see(picture)
            for row in range(table.num_rows if clip is None else 0):
                stored = stored_picture(table, camera, row)
                watch.see(_grey(stored), lossless=stored)
        except VlaError as error:
            self._report.add(FAIL, "pictures", camera, str(error), advice=AGAIN, episode=number)
            return
        sizes = {size for size in watch.sizes if size != (*feature.shape[:2], size[2])}
        if sizes:
            found = f"pictures of {sorted(sizes)}, expected {list(feature.shape)}"
            self._report.add(FAIL, "pictures", camera, found, episode=number)
        rate_hz = self._rates.get(camera.rsplit(".", 1)[-1])
        picture_checks.check_pictures(
            self._report, number, camera, watch,
            rows=rows, motion=motion, fps=self._info.fps, rate_hz=rate_hz,
        )  # fmt: skip
        if feature.shape[2] == 3:
            statistics_checks.check_pictures(
                self._report, number, camera, episode.stats.get(camera, {}), watch.mean, watch.std
            )

    def whole(self) -> None:
        """What only all episodes together show."""
        features = self._info.features
        for name, watch in self._whole.items():
            if watch.count and self._info.version == "v3.0":
                watch.check(self._report, None, name)
            if not watch.count or name not in (state_of(features), action_of(features)):
                continue
            self._report.looked_at("constant")
            if still := np.flatnonzero(watch.low == watch.high).tolist():
                names = dimension_names(features[name])
                self._report.add(
                    WARN, "constant", name, f"never changes: {', '.join(names[d] for d in still)}",
                    advice="nothing was recorded there, or it is not used",
                )  # fmt: skip


def read_stats(dataset: Dataset) -> dict[str, Any]:
    """What v3.0 states of all episodes together; nothing in v2."""
    file = dataset.root / "meta" / "stats.json"
    if dataset.info.version != "v3.0" or not file.exists():
        return {}
    try:
        found = read_object(file, MAX_JSON_BYTES)
    except ValueError as error:
        raise damaged(file, error, "a JSON object") from error
    return {name: stats for name, stats in found.items() if isinstance(stats, dict)}


def _keyframes(clip: Clip) -> np.ndarray:
    return np.flatnonzero(packet_times(clip).keys)


def _grey(picture: np.ndarray[Any, Any]) -> picture_checks.Picture:
    """Depth (H, W) as (H, W, 1), from black to grey; colours as they are."""
    if picture.ndim == 3:
        return picture.astype(np.uint8)
    depth = picture.astype(np.float64)[..., None]
    return (depth * (200.0 / max(float(depth.max()), 1.0))).astype(np.uint8)


def _pieces(file: Path) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(file) as parquet:
        missing = [name for name in COLUMNS if name not in parquet.schema_arrow.names]
        if missing:
            raise ValueError(f"no columns {', '.join(missing)}")
        for batch in parquet.iter_batches(_BATCH, columns=list(COLUMNS)):
            if any(column.null_count for column in batch.columns):
                raise ValueError("empty places in the index columns")
            yield {name: batch[name].to_numpy(zero_copy_only=False) for name in COLUMNS}


def _in_order(file: Path) -> list[int | str]:
    """``chunk-1000`` comes after ``chunk-999``."""
    return [
        int(piece) if piece.isdigit() else piece
        for part in file.parts[-2:]
        for piece in part.replace(".", "-").replace("_", "-").split("-")
    ]
