"""Where a dataset may appear: nothing that a person keeps is ever replaced or removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from convert_bags import SECOND, T0, Lab, files_of, recording

from vla_recorder.cli.convert import main


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def convert(lab: Lab, bag: Path, output: str | Path, *options: str) -> int:
    where = ["--contract", str(lab.file), "--output", str(output), "--workers", "1"]
    return main([str(bag), *where, *options])


def test_an_output_that_is_no_dataset_is_left_alone(lab: Lab) -> None:
    lab.output.mkdir()
    (lab.output / "thesis.txt").write_text("mine")
    bag = lab.bag(recording(0.5))
    for option in (
        (),
        ("--append",),
        ("--resume",),
        ("--overwrite",),
        ("--overwrite", "--resume"),
    ):
        assert lab.convert(bag, *option) == 1
        assert (lab.output / "thesis.txt").read_text() == "mine"
    assert not lab.output.with_name("out.work").exists()


@pytest.mark.parametrize("option", ["--overwrite", "--resume", "--append"])
def test_an_output_that_holds_a_bag_is_left_alone(lab: Lab, option: str, capsys: Any) -> None:
    day = lab.folder / "day"
    (day / "meta").mkdir(parents=True)
    (day / "meta/info.json").write_text("{}")  # as a dataset has it
    bag = lab.bag(recording(0.5), "day/bag")
    before = files_of(day)
    for output in (day, bag):
        assert convert(lab, bag, output, option) == 1
        assert "would replace what it is made of" in capsys.readouterr().err
    assert files_of(day) == before


@pytest.mark.parametrize("name", ["notes.txt", "episodes/mine.txt"])
def test_a_folder_that_only_has_the_name_needed_meanwhile_is_left_alone(
    lab: Lab, name: str, capsys: Any
) -> None:
    bag = lab.bag(recording(0.5))
    mine = lab.folder / "out.work" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    for option in ((), ("--overwrite",), ("--resume",)):
        assert lab.convert(bag, *option) == 1
        assert "holds something else" in capsys.readouterr().err
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("output", [".", "/", "", ".."])
def test_an_output_without_a_name_of_its_own_is_refused_in_words(
    lab: Lab, output: str, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = lab.bag(recording(0.5))
    inside = lab.folder / "empty"
    inside.mkdir()
    monkeypatch.chdir(inside)
    assert convert(lab, bag, output, "--overwrite") == 1
    assert "name of its own" in capsys.readouterr().err
    assert inside.exists()


def test_an_empty_folder_becomes_the_dataset(lab: Lab) -> None:
    lab.output.mkdir()
    assert lab.convert(lab.bag(recording(0.5))) == 0
    assert lab.convert(lab.bag(recording(0.5, T0 + 99 * SECOND), "two"), "--append") == 0


def test_what_a_killed_conversion_left_is_taken_or_removed(lab: Lab) -> None:
    work = lab.folder / "out.work"
    (work / "dataset.partial" / "meta").mkdir(parents=True)
    (work / "lock").touch()
    assert lab.convert(lab.bag(recording(0.5)), "--resume") == 0
    assert not work.exists()
