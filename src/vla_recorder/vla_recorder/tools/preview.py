"""A picture and a page of a dataset: what is in it, and whether it can be trusted."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from vla_core.contract import Contract, Joint
from vla_core.dataset.episode import Episode
from vla_core.dataset.info import DatasetError
from vla_core.dataset.read import Dataset, open_dataset
from vla_core.dataset.video import decode_some
from vla_recorder.tools import preview_plots as plots
from vla_recorder.tools.choice import parse_episodes
from vla_recorder.tools.columns import (
    action_of,
    camera_features,
    dimension_names,
    numbers,
    state_of,
    stored_picture,
)
from vla_recorder.tools.contract_file import read_contract
from vla_recorder.tools.info import facts, label, task_counts
from vla_recorder.tools.number_checks import Numbers
from vla_recorder.tools.output import new_folder
from vla_recorder.tools.picture_checks import Picture
from vla_recorder.tools.preview_page import EpisodePart, Page, html
from vla_recorder.tools.preview_pictures import Strip, contact_sheet, depth_picture, strip_jpeg
from vla_recorder.tools.report import EXIT_CODES
from vla_recorder.tools.skew import skew_of
from vla_recorder.tools.validate import validate

SHEET, PAGE = "contact_sheet.png", "report.html"
_EPISODES, _PICTURES = 6, 8
_SAMPLED = 200_000  # rows


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of this verb."""
    parser.add_argument("dataset", type=Path, metavar="DIR")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="a folder that does not exist")
    parser.add_argument("--episodes", help=f"0,3,10-19 ({_EPISODES} of them, evenly spread)")
    parser.add_argument(
        "--pictures", type=int, default=_PICTURES, choices=range(2, 33), metavar="N",
        help=f"of each camera of an episode ({_PICTURES})",
    )  # fmt: skip
    parser.add_argument(
        "--quick", action="store_true", help="validate without decoding the videos"
    )


def run(options: argparse.Namespace) -> int:
    """The verb; its exit code is that of ``validate``."""
    report = validate(options.dataset, pictures=not options.quick)
    dataset = open_dataset(options.dataset)
    total = len(dataset.episodes)
    if not total:
        raise DatasetError(
            "there is nothing to show", where=str(dataset.root), found="no episode", allowed="one"
        )
    chosen = (
        parse_episodes(options.episodes, total)
        if options.episodes
        else tuple(dict.fromkeys(np.linspace(0, total - 1, min(_EPISODES, total)).astype(int)))
    )
    contract = read_contract(dataset.root)
    joints = contract.joints if contract else {}
    with new_folder(options.output) as folder:
        strips: list[tuple[str, list[Strip]]] = []
        parts: list[EpisodePart] = []
        for number in map(int, chosen):
            part, pictures = _episode(dataset, number, joints, options.pictures)
            parts.append(part)
            if pictures:
                strips.append((f"{part.heading}   ·   {part.note}", pictures))
        title = dataset.root.resolve().name
        if strips:
            contact_sheet(title, strips, folder / SHEET)
        page = Page(
            title=title,
            level=report.level,
            facts=_cards(dataset),
            findings=report.findings(),
            tasks=task_counts(dataset.episodes).most_common(),
            plots=_plots(dataset, contract),
            episodes=parts,
        )
        (folder / PAGE).write_text(html(page), encoding="utf-8")
    print(f"{options.output / PAGE}" + (f", {options.output / SHEET}" if strips else ""))
    return EXIT_CODES[report.level]


def _episode(
    dataset: Dataset, number: int, joints: Mapping[str, Joint], count: int
) -> tuple[EpisodePart, list[Strip]]:
    episode, fps = dataset.episodes[number], dataset.info.fps
    rows = np.unique(np.linspace(0, episode.length - 1, count).astype(int)).tolist()
    strips = [
        Strip(camera=camera, times_s=[row / fps for row in rows], pictures=pictures)
        for camera, pictures in _pictures(dataset, episode, rows).items()
    ]
    found = _curves(dataset, episode, joints)
    part = EpisodePart(
        heading=f"Episode {number}: {'; '.join(episode.tasks)}",
        note=f"{episode.length / fps:.1f} s, {label(episode)}",
        strips={strip.camera: strip_jpeg(strip) for strip in strips},
        span=(f"{rows[0] / fps:.1f} s", f"{rows[-1] / fps:.1f} s"),
        joints=plots.joint_plots(found, fps) if found else None,
    )
    return part, strips


def _pictures(
    dataset: Dataset, episode: Episode, rows: Sequence[int]
) -> dict[str, list[Picture | None]]:
    """By camera, one for each row; damaged ones are None, and ``validate`` says what is wrong."""
    found: dict[str, list[Picture | None]] = {}
    for camera in camera_features(dataset.info.features):
        try:
            found[camera] = list(_pictures_of(episode, camera, rows))
        except DatasetError:
            found[camera] = [None] * len(rows)
    return found


def _pictures_of(episode: Episode, camera: str, rows: Sequence[int]) -> Iterator[Picture]:
    if camera in episode.clips:
        yield from decode_some(episode.clips[camera], rows)
        return
    table = episode.read()
    for row in rows:
        picture = stored_picture(table, camera, row)
        yield depth_picture(picture) if picture.ndim == 2 else picture.astype(np.uint8)


def _curves(dataset: Dataset, episode: Episode, joints: Mapping[str, Joint]) -> list[plots.Curve]:
    features = dataset.info.features
    if (table := _table(episode)) is None:
        return []

    def side(name: str | None) -> dict[str, Numbers]:
        if name is None:
            return {}
        values = numbers(table, name, features[name])
        return dict(zip(dimension_names(features[name]), values.T, strict=True))

    return plots.curves(side(state_of(features)), side(action_of(features)), joints)


def _table(episode: Episode) -> pa.Table | None:
    """None where it is damaged."""
    try:
        return episode.read()
    except DatasetError:
        return None


def _plots(dataset: Dataset, contract: Contract | None) -> dict[str, bytes]:
    episodes, fps = dataset.episodes, dataset.info.fps
    lengths, labels = zip(*((e.length / fps, label(e)) for e in episodes), strict=True)
    found = {"Episodes": plots.length_plot(lengths, labels)}
    for name in (state_of(dataset.info.features), action_of(dataset.info.features)):
        if name and (spans := _spans(dataset, name, contract)):
            unit = "the contract's range" if contract else "what it spans"
            found[f"Range of {name}, in parts of {unit}"] = plots.range_plot(spans)
    if skew := skew_of(episode.extra for episode in episodes):
        found["Age of the samples at their tick"] = plots.skew_plots(skew)
    return found


def _spans(
    dataset: Dataset, name: str, contract: Contract | None
) -> list[tuple[str, Numbers, Joint | None]]:
    """Of every dimension: min, q01, q50, q99, max, of at most ``_SAMPLED`` rows."""
    feature = dataset.info.features[name]
    step = max(1, sum(episode.length for episode in dataset.episodes) // _SAMPLED)
    tables = (_table(episode) for episode in dataset.episodes)
    rows = [numbers(table, name, feature)[::step] for table in tables if table is not None]
    values = np.concatenate(rows) if rows else np.empty((0, 1))
    values = values[np.isfinite(values).all(axis=1)]
    if not len(values):
        return []
    points = np.quantile(values, (0, 0.01, 0.5, 0.99, 1), axis=0).T
    joints = contract.joints if contract else {}
    return [(n, p, joints.get(n)) for n, p in zip(dimension_names(feature), points, strict=True)]


def _cards(dataset: Dataset) -> dict[str, str]:
    """The figures at the head of the page."""
    found = facts(dataset)
    features = dataset.info.features
    minutes, seconds = divmod(round(found["duration_s"]), 60)
    dims = {
        name: str(math.prod(features[name].shape)) if name else "none"
        for name in (state_of(features), action_of(features))
    }
    state, action = dims.values() if len(dims) == 2 else ("none", "none")
    return {
        "episodes": f"{found['episodes']:,}",
        "frames": f"{found['frames']:,}",
        "duration": f"{minutes} min {seconds:02d} s",
        "fps": f"{found['fps']:g}",
        "cameras": str(len(camera_features(features))),
        "state dimensions": state,
        "action dimensions": action,
        "format": found["format"],
        "robot": found["robot"],
        "size": f"{found['bytes'] / 1e6:,.1f} MB",
    }
