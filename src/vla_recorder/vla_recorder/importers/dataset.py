"""From the episodes of other formats to a dataset, one frame in memory at a time."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from vla_core.contract import Contract
from vla_core.dataset.encoding import Encoding
from vla_core.dataset.episode import Episode, Feature
from vla_core.dataset.files import check_output
from vla_core.dataset.staging import EpisodeWriter
from vla_core.dataset.write import write_dataset
from vla_recorder.importers.recording import ImportFileError, Loss, Recording
from vla_recorder.key_names import check_renaming, openpi_names, renamed
from vla_recorder.tools.contract_file import CONTRACT, HASH_KEY

MANIFEST = "meta/import.json"
Progress = Callable[[Sequence[Recording]], Iterable[Recording]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """How the dataset is made.

    Attributes:
        version: `v2.1` or `v3.0`.
        fps: Frames per second; None: the contract's, else the format's.
        contract: Names the dimensions, and says which cameras are taken; None: the format does.
        encoding: Of videos.
        lossless: Pictures as PNG in the table instead of videos.
        openpi: openpi's names of columns.
        overwrite: Replace a dataset that exists.
    """

    version: str = "v2.1"
    fps: float | None = None
    contract: Contract | None = None
    encoding: Encoding = field(default_factory=Encoding)
    lossless: bool = False
    openpi: bool = False
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What was made of the sources."""

    episodes: int
    frames: int
    losses: tuple[Loss, ...]


def import_dataset(
    found: Iterable[Recording | Loss],
    output: Path,
    options: ImportOptions,
    progress: Progress = iter,
) -> Imported:
    """Writes a dataset of all episodes that are whole.

    Args:
        found: Episodes and what is known to be lost.
        output: Folder of the dataset; `.OUTPUT.importing.*` beside it is used meanwhile.
        options: How.
        progress: Wraps the episodes while they are read.

    Raises:
        ImportFileError: No episode is left, or they are not of one kind.
        DatasetError: The output exists, or cannot be written.
    """
    check_output(output, overwrite=options.overwrite)
    items = list(found)
    losses = [item for item in items if isinstance(item, Loss)]
    recordings = _of_one_kind([item for item in items if isinstance(item, Recording)], losses)
    layout = _layout(recordings[0], options)
    output.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{output.name}.importing.", dir=output.parent))
    try:
        episodes = []
        for number, recording in enumerate(progress(recordings)):
            folder = work / f"{number:06d}"
            try:
                episodes.append(_stage(recording, folder, layout, options.encoding))
            except ImportFileError as error:
                losses.append(Loss(where=recording.name, what=str(error)))
        if not episodes:
            raise _nothing_left(losses)
        _write(output, episodes, layout, losses, options)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    frames = sum(episode.length for episode in episodes)
    return Imported(episodes=len(episodes), frames=frames, losses=tuple(losses))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """What is taken of a frame, by the importer's names, and the names that it gets."""

    robot_type: str
    fps: float
    features: Mapping[str, Feature]
    names: Mapping[str, str]

    def renamed_features(self) -> dict[str, Feature]:
        return renamed(self.features, self.names)


def _of_one_kind(recordings: list[Recording], losses: list[Loss]) -> list[Recording]:
    if not recordings:
        raise _nothing_left(losses)
    first = recordings[0]
    for other in recordings[1:]:
        if (other.robot_type, other.fps, other.features) != (
            first.robot_type,
            first.fps,
            first.features,
        ):
            raise ImportFileError(
                "episodes of different kinds",
                where=f"{first.name} and {other.name}",
                found=f"{_kind(first)} and {_kind(other)}",
                allowed="one robot, with the same columns and cameras in every episode",
                fix="import them one by one",
            )
    return recordings


def _layout(first: Recording, options: ImportOptions) -> _Layout:
    contract, features = options.contract, dict(first.features)
    if contract is not None:
        features = _under_contract(first, contract)
    if options.lossless:
        for key, feature in features.items():
            if feature.dtype == "video":
                features[key] = replace(feature, dtype="image")
    names = openpi_names(features) if options.openpi else {}
    check_renaming(features, names)
    return _Layout(
        robot_type=first.robot_type if contract is None else contract.robot,
        fps=options.fps or (first.fps if contract is None else contract.policy_rate_hz),
        features=features,
        names=names,
    )


def _under_contract(first: Recording, contract: Contract) -> dict[str, Feature]:
    """The contract's cameras, and its names of dimensions.

    Raises:
        ImportFileError: The recordings are of another robot; found and expected are told.
    """
    state, action = contract.state, contract.action_names
    names = {"observation.state": state, "action": action}
    names |= {"observation.velocity": state, "observation.effort": state}
    cameras = {camera.name: (camera.height, camera.width) for camera in contract.cameras}
    features: dict[str, Feature] = {}
    for key, feature in first.features.items():
        kind, _, camera = key.rpartition(".")
        if key in names and feature.shape == (len(names[key]),):
            features[key] = replace(feature, names=names[key])
        elif kind in ("observation.images", "observation.depth"):
            if cameras.get(camera) == feature.shape[:2]:
                features[key] = feature
        elif key not in names:
            features[key] = feature
    images = [f"observation.images.{name}" for name in cameras]
    wanted = ["observation.state", "action", *images]
    if missing := [key for key in wanted if key not in features]:
        raise ImportFileError(
            "the recordings do not fit the contract",
            where=f"{first.name}; {contract.file}",
            found=f"{_kind(first)}; does not fit: {', '.join(missing)}",
            allowed=f"{len(state)} state, {len(action)} action, cameras (H, W) {cameras}",
            fix="give the contract of the robot that was recorded, or none",
        )
    return features


def _stage(recording: Recording, folder: Path, layout: _Layout, encoding: Encoding) -> Episode:
    features = layout.renamed_features()
    with EpisodeWriter(folder, features=features, fps=layout.fps, encoding=encoding) as writer:
        for frame in recording.frames():
            row = {key: frame.row[key] for key in layout.features if key in frame.row}
            pictures = {
                key: frame.pictures[key] for key in layout.features if key in frame.pictures
            }
            writer.add(renamed(row, layout.names), renamed(pictures, layout.names), frame.task)
        return writer.commit(recording.extra)


def _write(
    output: Path,
    episodes: list[Episode],
    layout: _Layout,
    losses: list[Loss],
    options: ImportOptions,
) -> None:
    contract = options.contract
    manifest = {
        "episodes": [{**episode.extra, "frames": episode.length} for episode in episodes],
        "losses": [asdict(loss) for loss in losses],
    }
    files = {MANIFEST: json.dumps(manifest, indent=1, ensure_ascii=False)}
    if contract is not None:
        files[str(CONTRACT)] = Path(contract.file).read_text("utf-8")
    write_dataset(
        output,
        episodes,
        version=options.version,
        fps=layout.fps,
        robot_type=layout.robot_type,
        features=layout.renamed_features(),
        extra={} if contract is None else {HASH_KEY: contract.sha256},
        files=files,
        overwrite=options.overwrite,
    )


def _kind(recording: Recording) -> str:
    shapes = {key: feature.shape for key, feature in recording.features.items()}
    return f"{recording.robot_type} at {recording.fps:g} Hz, {shapes}"


def _nothing_left(losses: list[Loss]) -> ImportFileError:
    return ImportFileError(
        "no episode can be imported",
        found="; ".join(f"{loss.where}: {loss.what}" for loss in losses[:3]) or "no episodes",
    )
