"""validate sees damage of every kind, in both versions of the format, and only damage."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tools_dataset as rig

from vla_core.dataset.encoding import Encoding, VideoWriter
from vla_core.preflight.findings import Level
from vla_recorder.cli.dataset import main
from vla_recorder.tools.validate import validate

VERSIONS = ("v2.1", "v3.0")
TEMPLATES = "videos/**/*.mp4"


@pytest.fixture(scope="module", params=VERSIONS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "dataset"
    return rig.make_dataset(folder, version=request.param, contract=rig.CONTRACT)


@pytest.fixture
def dataset(whole: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "dataset"))


def found(root: Path, level: Level, check: str) -> str:
    """What was found of this kind; fails where nothing was."""
    findings = validate(root).findings()
    texts = [f"{f.where}: {f.found}" for f in findings if (f.level, f.check) == (level, check)]
    assert texts, findings
    return "\n".join(texts)


def edit_table(file: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(file, partitioning=None)), file)


def first_table(root: Path) -> Path:
    return sorted(root.glob("data/**/*.parquet"))[0]


def with_value(column: str, row: int, value: object) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        values = table[column].to_pylist()
        values[row] = value
        at, kind = table.column_names.index(column), table.schema.field(column)
        return table.set_column(at, kind, pa.array(values, kind.type))

    return change


def edit_info(root: Path, change: Callable[[dict], None]) -> None:
    file = root / "meta" / "info.json"
    info = json.loads(file.read_text())
    change(info)
    file.write_text(json.dumps(info))


def rewrite_video(file: Path, frames: int, *, fps: float = rig.FPS, height: int = 96) -> None:
    file.unlink()
    pictures = np.random.default_rng(0).integers(0, 255, (frames, height, 128, 3), dtype=np.uint8)
    writer = VideoWriter(file, 128, height, fps, Encoding(preset="ultrafast"))
    for picture in pictures:
        writer.add(picture)
    writer.close()


def test_a_whole_dataset_is_fine(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(whole)]) == 0
    assert "dataset: fine (240 video frames, 120 rows, 120 pictures decoded)" in (
        capsys.readouterr().out
    )


def test_without_decoding_the_frames_are_counted_still(dataset: Path) -> None:
    report = validate(dataset, pictures=False)
    assert report.level is Level.PASS
    assert "pictures" not in report.checks
    assert report.facts["video frames"] == 240


def test_damage_is_exit_1_and_json(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit_table(first_table(dataset), with_value("timestamp", 7, 0.4))
    assert main(["validate", str(dataset), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["result"] == "FAIL"
    assert report["findings"][0]["check"] == "timestamps"


def test_no_dataset_is_a_failure(tmp_path: Path) -> None:
    assert "no such file" in found(tmp_path, Level.FAIL, "metadata")


@pytest.mark.parametrize(
    ("column", "value", "check"),
    [
        ("timestamp", 0.4, "timestamps"),
        ("index", 3, "index"),
        ("frame_index", 3, "index"),
        ("task_index", 5, "tasks"),
        ("action", [0.1, float("nan"), 0.2], "numbers"),
        ("observation.state", [float("inf"), 0.1, 0.2], "numbers"),
    ],
)
def test_one_wrong_value_in_a_table(dataset: Path, column: str, value: object, check: str) -> None:
    edit_table(first_table(dataset), with_value(column, 7, value))
    assert "row 7" in found(dataset, Level.FAIL, check) or check == "tasks"


def test_a_missing_row(dataset: Path) -> None:
    edit_table(first_table(dataset), lambda t: pa.concat_tables([t.slice(0, 9), t.slice(10)]))
    assert "39 rows, but meta/ states 40" in found(dataset, Level.FAIL, "lengths")
    found(dataset, Level.FAIL, "readable")


def test_vectors_of_another_length(dataset: Path) -> None:
    def shorter(table: pa.Table) -> pa.Table:
        values = [row[:2] for row in table["action"].to_pylist()]
        kind = pa.list_(pa.float32(), 2)
        return table.set_column(
            table.column_names.index("action"), "action", pa.array(values, kind)
        )

    edit_table(first_table(dataset), shorter)
    assert "another length" in found(dataset, Level.FAIL, "readable")


def test_a_table_that_is_none(dataset: Path) -> None:
    first_table(dataset).write_bytes(b"PAR1" + bytes(100))
    found(dataset, Level.FAIL, "index")


@pytest.mark.parametrize("key", ["total_frames", "total_episodes"])
def test_totals_that_are_not_true(dataset: Path, key: str) -> None:
    edit_info(dataset, lambda info: info.update({key: info[key] + 1}))
    found(dataset, Level.FAIL, "metadata")


@pytest.mark.parametrize("frames", [39, 20])
def test_a_video_with_fewer_frames_than_rows(dataset: Path, frames: int) -> None:
    rewrite_video(sorted(dataset.glob(TEMPLATES))[0], frames)
    assert f"{frames} frames for" in found(dataset, Level.FAIL, "frames")


def test_a_video_with_more_frames_than_rows(dataset: Path) -> None:
    shared = (dataset / "meta" / "stats.json").exists()
    rewrite_video(sorted(dataset.glob(TEMPLATES))[0], 130)
    assert "130 frames for" in found(dataset, Level.WARN if shared else Level.FAIL, "frames")


def test_a_truncated_video(dataset: Path) -> None:
    file = sorted(dataset.glob(TEMPLATES))[0]
    data = file.read_bytes()
    file.unlink()
    file.write_bytes(data[: len(data) // 2])
    found(dataset, Level.FAIL, "frames")


def test_a_video_that_is_not_there(dataset: Path) -> None:
    sorted(dataset.glob(TEMPLATES))[0].unlink()
    found(dataset, Level.FAIL, "frames")


def test_bits_that_flipped_inside_a_video(dataset: Path) -> None:
    file = sorted(dataset.glob(TEMPLATES))[0]
    data = bytearray(file.read_bytes())
    start = data.index(b"mdat") + 2000  # beyond the first picture
    data[start : start + 2000] = bytes(2000)
    file.unlink()
    file.write_bytes(data)
    found(dataset, Level.FAIL, "pictures")


def test_a_video_of_another_rate(dataset: Path) -> None:
    rows = 120 if (dataset / "meta" / "stats.json").exists() else 40
    rewrite_video(sorted(dataset.glob(TEMPLATES))[0], rows, fps=25.0)
    assert "25 frames per second, expected 20" in found(dataset, Level.FAIL, "video times")


def test_a_video_that_nobody_needs(dataset: Path) -> None:
    file = sorted(dataset.glob(TEMPLATES))[0]
    shutil.copyfile(file, file.with_name("episode_000099.mp4"))
    assert "no episode uses" in found(dataset, Level.WARN, "frames")


def test_pictures_of_another_size(dataset: Path) -> None:
    rows = 120 if (dataset / "meta" / "stats.json").exists() else 40
    rewrite_video(sorted(dataset.glob(TEMPLATES))[0], rows, height=64)
    assert "(64, 128, 3)" in found(dataset, Level.FAIL, "pictures")


def test_names_that_do_not_fit(dataset: Path) -> None:
    edit_info(dataset, lambda i: i["features"]["action"].update(names=["a", "a", "g"]))
    assert "3 names, 2 of them different" in found(dataset, Level.FAIL, "features")
    assert "the contract has a, b, g" in found(dataset, Level.FAIL, "contract")


def test_dimensions_without_names_are_a_warning(dataset: Path) -> None:
    edit_info(dataset, lambda info: info["features"]["action"].update(names=None))
    found(dataset, Level.WARN, "features")


def test_another_contract_than_that_of_the_recording(dataset: Path) -> None:
    file = dataset / "meta" / "contract.yaml"
    file.write_text(file.read_text().replace("rate_hz: 100", "rate_hz: 101"))
    assert "vla_contract_sha256" in found(dataset, Level.FAIL, "contract")


def test_a_contract_that_cannot_be_read(dataset: Path) -> None:
    (dataset / "meta" / "contract.yaml").write_text("schema: 2")
    assert "CONTRACT" in found(dataset, Level.FAIL, "metadata")


def edit_statistics(root: Path, name: str, change: Callable[[dict], None]) -> None:
    """Of the first episode in v2.1, of the dataset in v3.0."""
    file = root / "meta" / "stats.json"
    if file.exists():
        stats = json.loads(file.read_text())
        change(stats[name])
        file.write_text(json.dumps(stats))
        return
    file = root / "meta" / "episodes_stats.jsonl"
    first, *rest = file.read_text().splitlines()
    line = json.loads(first)
    change(line["stats"][name])
    file.write_text("\n".join([json.dumps(line), *rest]) + "\n")


@pytest.mark.parametrize("key", ["min", "max", "mean", "std"])
def test_statistics_that_are_not_those_of_the_data(dataset: Path, key: str) -> None:
    def change(stats: dict) -> None:
        stats[key][1] += 0.05

    edit_statistics(dataset, "action", change)
    assert f"action, {key}: " in found(dataset, Level.FAIL, "statistics")


def test_an_extra_row_in_the_metadata_is_seen(dataset: Path) -> None:
    for file in (
        *dataset.glob("meta/episodes.jsonl"),
        *dataset.glob("meta/episodes/**/*.parquet"),
    ):
        if file.suffix == ".jsonl":
            file.write_text(file.read_text() + file.read_text().splitlines()[0] + "\n")
        else:
            edit_table(file, lambda table: pa.concat_tables([table, table.slice(0, 1)]))
    found(dataset, Level.FAIL, "metadata")


# What the recording itself did wrong: one dataset of one episode each.


def hold_state(_: int, row: int, state: np.ndarray, *__: object) -> None:
    if 10 <= row < 30:
        state[:2] = (0.5, 0.25)  # of the arm; the hand goes on


def hold_camera(_: int, row: int, *rest: object) -> None:
    pictures = rest[2]
    assert isinstance(pictures, dict)
    if 10 <= row < 34:
        pictures[rig.TOP] = rig.picture(np.zeros(3), 60)


def slow_camera(episode: int, row: int, *rest: object) -> None:
    pictures = rest[2]
    assert isinstance(pictures, dict)
    state, _ = rig.numbers(episode, 40)
    pictures[rig.TOP] = rig.picture(state[row // 6 * 6], 60)


def black_camera(_: int, row: int, *rest: object) -> None:
    pictures = rest[2]
    assert isinstance(pictures, dict)
    if row < 4:
        pictures[rig.WRIST] = np.zeros_like(pictures[rig.WRIST])


def degrees(_: int, __: int, state: np.ndarray, action: np.ndarray, *___: object) -> None:
    state[:] = np.degrees(state)
    action[:] = np.degrees(action)


def beyond(_: int, row: int, __: np.ndarray, action: np.ndarray, *___: object) -> None:
    action[1] += 1.5 * (row == 20)


def still_gripper(_: int, __: int, state: np.ndarray, action: np.ndarray, *___: object) -> None:
    state[2] = action[2] = 0.5


def held_rows(episode: int, row: int, state: np.ndarray, *_: object) -> None:
    states, _ = rig.numbers(episode, 40)
    state[:] = states[row // 2 * 2]


@pytest.mark.parametrize(
    ("damage", "level", "check", "text"),
    [
        (hold_state, Level.WARN, "frozen", "observation.state, arm: "),
        (hold_camera, Level.WARN, "frozen", f"{rig.TOP}: "),
        (slow_camera, Level.WARN, "repeated", f"{rig.TOP}: "),
        (black_camera, Level.WARN, "pictures", "2 of 20 pictures are black"),
        (degrees, Level.FAIL, "limits", "action, a: "),
        (beyond, Level.WARN, "limits", "action, b: "),
        (beyond, Level.WARN, "speed", "action, b: "),
        (still_gripper, Level.WARN, "constant", "never changes: g"),
        (held_rows, Level.WARN, "repeated", "observation.state, arm: "),
    ],
)
def test_what_a_recording_did_wrong(
    tmp_path: Path, damage: rig.Damage, level: Level, check: str, text: str
) -> None:
    root = rig.make_dataset(tmp_path / "d", lengths=(40,), contract=rig.CONTRACT, damage=damage)
    assert text in found(root, level, check)


def test_an_episode_that_is_there_twice(tmp_path: Path) -> None:
    one = rig.make_episode(tmp_path / "one", 0)
    root = tmp_path / "d"
    rig.write_dataset(
        root, [one, one], version="v2.1", fps=rig.FPS, robot_type=None, features=rig.FEATURES
    )
    assert "the same numbers as episode 0" in found(root, Level.WARN, "doubled")


def test_labels_and_losses_are_warnings_with_exit_3(tmp_path: Path) -> None:
    extras = [{"bad": "gripper stuck"}, {"lost_ticks": 7, "lost_by_stream": {"top": 7}}, {}]
    root = rig.make_dataset(tmp_path / "d", extras=extras)
    assert main(["validate", str(root)]) == 3
    assert "gripper stuck" in found(root, Level.WARN, "labels")
    assert "episode 1: 7 ticks" in found(root, Level.WARN, "losses")


def test_statistics_of_pictures_of_other_pictures(tmp_path: Path) -> None:
    episode = rig.make_episode(tmp_path / "one", 0)
    stats = dict(episode.stats)
    stats[rig.TOP] = {k: v for k, v in stats[rig.WRIST].items() if k != "histogram"}
    root = tmp_path / "d"
    rig.write_dataset(
        root, [replace(episode, stats=stats)], version="v2.1", fps=rig.FPS, robot_type=None,
        features=rig.FEATURES,
    )  # fmt: skip
    found(root, Level.WARN, "statistics")


@pytest.mark.parametrize("version", VERSIONS)
def test_pictures_in_the_table_are_all_decoded(tmp_path: Path, version: str) -> None:
    depth = replace(rig.VIDEO, dtype="image", shape=(rig.HEIGHT, rig.WIDTH, 1))
    features = {k: f for k, f in rig.FEATURES.items() if k != rig.WRIST} | {rig.DEPTH: depth}
    root = rig.make_dataset(tmp_path / "d", version=version, features=features, lengths=(40,))
    assert validate(root).level is Level.PASS
    edit_table(first_table(root), with_value(rig.DEPTH, 5, {"bytes": b"\x89PNG", "path": "x"}))
    assert f"{rig.DEPTH}, row 5" in found(root, Level.FAIL, "pictures")
