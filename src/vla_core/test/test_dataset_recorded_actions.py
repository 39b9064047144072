"""Recorded actions, compared with what LeRobot's own reader returned for the same files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vla_core.dataset.info import DatasetError
from vla_core.dataset.recorded_actions import read_actions

GOLDEN = Path(__file__).resolve().parents[3] / "test" / "golden" / "lerobot"
LENGTHS = (14, 16)
VERSIONS = ("v2.1", "v3.0")


@pytest.fixture(params=VERSIONS)
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(GOLDEN / request.param, tmp_path / "dataset"))


def edit_info(dataset: Path, **changes: object) -> None:
    path = dataset / "meta" / "info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_action(dataset: Path, **changes: object) -> None:
    features = json.loads((dataset / "meta" / "info.json").read_text())["features"]
    features["action"] |= changes
    edit_info(dataset, features=features)


def data_file(dataset: Path) -> Path:
    return min(dataset.glob("data/*/*.parquet"))


def rewrite(file: Path, column: str, values: pa.Array) -> None:
    table = pq.read_table(file)
    pq.write_table(table.set_column(table.schema.get_field_index(column), column, values), file)


@pytest.mark.parametrize("version", VERSIONS)
def test_actions_are_those_that_lerobot_reads(version: str) -> None:
    with np.load(GOLDEN / "expected_actions.npz", allow_pickle=False) as expected:
        for index in {name.split("/")[0] for name in expected}:
            episode, frame = (int(expected[f"{index}/{k}_index"]) for k in ("episode", "frame"))
            recorded = read_actions(GOLDEN / version, episode)
            wanted = expected[f"{index}/action"][~expected[f"{index}/action_is_pad"]]
            assert len(recorded.actions) == LENGTHS[episode]
            np.testing.assert_array_equal(recorded.actions[frame:][: len(wanted)], wanted)
            assert recorded.fps == 30
            assert recorded.names[:2] == ("left_waist", "left_shoulder")


def test_an_episode_in_another_file_than_stated_is_found(tmp_path: Path) -> None:
    dataset = Path(shutil.copytree(GOLDEN / "v3.0", tmp_path / "dataset"))
    table = pq.read_table(file := data_file(dataset))
    pq.write_table(table.slice(0, LENGTHS[0]), file)
    pq.write_table(table.slice(LENGTHS[0]), file.with_name("file-001.parquet"))
    expected = read_actions(GOLDEN / "v3.0", 1)
    np.testing.assert_array_equal(read_actions(dataset, 1).actions, expected.actions)


def test_names_inside_one_group_are_read(dataset: Path) -> None:
    features = json.loads((dataset / "meta" / "info.json").read_text())["features"]
    edit_action(dataset, names={"motors": features["action"]["names"]})
    assert read_actions(dataset, 0).names[-1] == "right_gripper"


@pytest.mark.parametrize(
    "names", [None, [], ["a"] * 14, {"a": ["x"], "b": ["y"]}, list(range(14)), ["a", "b"]]
)
def test_nameless_actions_are_refused(dataset: Path, names: object) -> None:
    edit_action(dataset, names=names)
    with pytest.raises(DatasetError, match="no names"):
        read_actions(dataset, 0)


def test_another_number_of_values_is_refused(dataset: Path) -> None:
    edit_action(dataset, names=["a", "b"], shape=[2])
    with pytest.raises(DatasetError, match="another length"):
        read_actions(dataset, 0)


def test_a_dataset_without_actions_is_refused(dataset: Path) -> None:
    features = json.loads((dataset / "meta" / "info.json").read_text())["features"]
    del features["action"]
    edit_info(dataset, features=features)
    with pytest.raises(DatasetError, match="no action"):
        read_actions(dataset, 0)


def test_an_absent_episode_is_refused(dataset: Path) -> None:
    with pytest.raises(DatasetError, match="no such episode"):
        read_actions(dataset, 2)


def test_an_absent_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such file"):
        read_actions(tmp_path, 0)


@pytest.mark.parametrize("changes", [{"codebase_version": "v1.6"}, {"fps": 0}, {"fps": "30"}])
def test_other_formats_and_rates_are_refused(dataset: Path, changes: dict[str, object]) -> None:
    edit_info(dataset, **changes)
    with pytest.raises(DatasetError, match=r"v1\.6|fps"):
        read_actions(dataset, 0)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"\x80\x04N."])
def test_a_file_that_is_no_parquet_is_refused(dataset: Path, content: bytes) -> None:
    data_file(dataset).write_bytes(content)
    with pytest.raises(DatasetError, match="damaged"):
        read_actions(dataset, 0)


def test_a_cut_file_is_refused_wherever_it_is_cut(dataset: Path) -> None:
    content = (file := data_file(dataset)).read_bytes()
    for length in range(0, len(content), 97):
        file.write_bytes(content[:length])
        with pytest.raises(DatasetError):
            read_actions(dataset, 0)


def test_missing_rows_are_refused(dataset: Path) -> None:
    table = pq.read_table(file := data_file(dataset))
    pq.write_table(table.slice(1), file)
    with pytest.raises(DatasetError, match="13 rows"):
        read_actions(dataset, 0)


def test_frames_out_of_order_are_refused(dataset: Path) -> None:
    table = pq.read_table(file := data_file(dataset))
    frames = table["frame_index"].to_numpy().copy()
    frames[:2] = 1, 0
    rewrite(file, "frame_index", pa.array(frames))
    with pytest.raises(DatasetError, match="out of order"):
        read_actions(dataset, 0)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ([0.0] * 13 + [float("nan")], "not finite"),
        ([0.0] * 13 + [None], "empty"),
        ([0.0] * 13, "another length"),
        (None, "another length"),
        (["0"] * 14, "found: string"),
    ],
)
def test_unusable_values_are_refused(dataset: Path, row: list[object], complaint: str) -> None:
    file = data_file(dataset)
    rows = pq.read_table(file).num_rows
    kind = pa.list_(pa.string()) if row and row[0] == "0" else pa.list_(pa.float32())
    rewrite(file, "action", pa.array([row] * rows, kind))
    with pytest.raises(DatasetError, match=complaint):
        read_actions(dataset, 0)


def test_a_column_that_is_missing_is_named(dataset: Path) -> None:
    table = pq.read_table(file := data_file(dataset))
    pq.write_table(table.drop_columns(["action"]), file)
    with pytest.raises(DatasetError, match="'action'"):
        read_actions(dataset, 0)


def test_sizes_are_compared_before_anything_is_unpacked(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vla_core.dataset.tables.MAX_TABLE_BYTES", 100)
    with pytest.raises(DatasetError, match="100 bytes"):
        read_actions(dataset, 0)


def test_a_single_dimension_is_read_from_a_plain_column(dataset: Path) -> None:
    file = data_file(dataset)
    values = np.arange(pq.read_table(file).num_rows, dtype=np.float32)
    rewrite(file, "action", pa.array(values))
    edit_action(dataset, names=["gripper"], shape=[1])
    np.testing.assert_array_equal(read_actions(dataset, 0).actions, values[: LENGTHS[0], None])
