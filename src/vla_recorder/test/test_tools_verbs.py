"""Verbs that make datasets: what is in them, what is refused, and that nothing is written over."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tools_dataset as rig

from vla_core.dataset.episode import Feature
from vla_core.dataset.info import DatasetError
from vla_core.dataset.read import Dataset, open_dataset
from vla_core.preflight.findings import Level
from vla_recorder.cli.dataset import VERBS, main
from vla_recorder.tools.choice import parse_episodes, spans
from vla_recorder.tools.split import divide
from vla_recorder.tools.validate import validate

LENGTHS = (20, 30, 24, 26)
TASKS = ("pick the cube", "place it")
EXTRAS = ({"success": True}, {"success": False}, {}, {"bad": "slipped", "success": True})


@pytest.fixture(scope="module", params=["v2.1", "v3.0"])
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rig.make_dataset(
        tmp_path_factory.mktemp("source") / "dataset", version=request.param, lengths=LENGTHS,
        tasks=TASKS, extras=EXTRAS, contract=rig.CONTRACT,
    )  # fmt: skip


def actions(dataset: Dataset, episode: int) -> list[list[float]]:
    found: list[list[float]] = dataset.episodes[episode].read()["action"].to_pylist()
    return found


def check_same(output: Path, source: Path, kept: Sequence[int]) -> None:
    """The output is fine, and its episodes are those of the source, with all that is known."""
    made, given = open_dataset(output), open_dataset(source)
    assert [e.length for e in made.episodes] == [given.episodes[at].length for at in kept]
    for new, old in enumerate(kept):
        assert actions(made, new) == actions(given, old)
        assert made.episodes[new].tasks == given.episodes[old].tasks
        assert made.episodes[new].extra == given.episodes[old].extra
        ours, theirs = made.episodes[new].stats[rig.TOP], given.episodes[old].stats[rig.TOP]
        assert np.allclose(ours["mean"], theirs["mean"])
    assert made.info.extra == given.info.extra
    assert (output / "meta/contract.yaml").read_text() == rig.CONTRACT
    assert {f.check for f in validate(output).findings() if f.level is not Level.PASS} <= {
        "labels"
    }


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_delete_leaves_the_others(source: Path, tmp_path: Path, version: str) -> None:
    output = tmp_path / "out"
    assert main(["delete", str(source), str(output), "--episodes=1", f"--format={version}"]) == 0
    check_same(output, source, [0, 2, 3])
    assert open_dataset(output).info.version == version


def test_the_format_stays_where_none_is_asked_for(source: Path, tmp_path: Path) -> None:
    assert main(["delete", str(source), str(tmp_path / "out"), "--episodes", "0-1"]) == 0
    assert open_dataset(tmp_path / "out").info.version == open_dataset(source).info.version


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (["--label", "success"], [0]),
        (["--label", "failure", "--label", "unlabelled"], [1, 2]),
        (["--label", "bad"], [3]),
        (["--task", "PICK *"], [0, 2]),
        (["--min-s", "1.2", "--max-s", "1.3"], [2, 3]),
        (["--task", "place*", "--label", "bad"], [3]),
    ],
)
def test_filter_keeps_what_fits(
    source: Path, tmp_path: Path, options: list[str], kept: list[int]
) -> None:
    assert main(["filter", str(source), str(tmp_path / "out"), *options]) == 0
    check_same(tmp_path / "out", source, kept)


def test_filter_says_what_it_left_out(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["filter", str(source), str(tmp_path / "out"), "--label", "success"])
    printed = capsys.readouterr().out
    assert "left out, label failure: 1\n" in printed
    assert "left out, label bad: 3\n" in printed


def test_a_filter_that_keeps_nothing_writes_nothing(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["filter", str(source), str(tmp_path / "out"), "--task", "nothing"]) == 1
    assert "no episode is left" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_split_puts_every_episode_into_one_part(source: Path, tmp_path: Path) -> None:
    parts = ["--part", "train=0.5", "--part", "test=rest"]
    assert main(["split", str(source), str(tmp_path / "out"), *parts, "--seed", "3"]) == 0
    divided = divide(["train=0.5", "test=rest"], len(LENGTHS), 3)
    assert sorted(divided["train"] + divided["test"]) == [0, 1, 2, 3]
    for name, kept in divided.items():
        check_same(tmp_path / "out" / name, source, kept)


def test_merge_puts_the_episodes_one_after_another(source: Path, tmp_path: Path) -> None:
    for name, gone in (("a", "2,3"), ("b", "0-2")):
        main(["delete", str(source), str(tmp_path / name), "--episodes", gone])
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    assert main(["merge", a, b, str(tmp_path / "out")]) == 0
    check_same(tmp_path / "out", source, [0, 1, 3])


def test_merge_takes_both_formats(source: Path, tmp_path: Path) -> None:
    other = "v3.0" if open_dataset(source).info.version == "v2.1" else "v2.1"
    main(["delete", str(source), str(tmp_path / "a"), "--episodes=0", "--format", other])
    assert main(["merge", str(source), str(tmp_path / "a"), str(tmp_path / "out")]) == 0
    assert len(open_dataset(tmp_path / "out").episodes) == 7


def small(folder: Path, **changes: object) -> Path:
    return rig.make_dataset(folder, lengths=(8,), **changes)  # type: ignore[arg-type]


def with_action(**changes: object) -> dict[str, Feature]:
    return {**rig.FEATURES, "action": replace(rig.FEATURES["action"], **changes)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"features": with_action(names=("a", "g", "b"))},
            "action: names: another order: dimension 1 is b here, g there",
        ),
        (
            {"features": with_action(names=("a", "b", "c"))},
            "only here g; only there c",
        ),
        (
            {"features": {k: f for k, f in rig.FEATURES.items() if k != rig.WRIST}},
            f"{rig.WRIST}: only here",
        ),
        (
            {"features": with_action(dtype="float64")},
            "action: float32 here, float64 there",
        ),
        ({"contract": rig.CONTRACT}, "contract: sha256 None here"),
    ],
    ids=["order", "names", "camera", "dtype", "contract"],
)  # fmt: skip
def test_merge_refuses_datasets_that_differ_and_says_in_what(
    tmp_path: Path, changes: dict[str, object], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = small(tmp_path / "here"), small(tmp_path / "there", **changes)
    assert main(["merge", str(here), str(there), str(tmp_path / "out")]) == 1
    assert text in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_recordings_of_two_contracts_merge_without_one(tmp_path: Path) -> None:
    here, there = small(tmp_path / "here"), small(tmp_path / "there", contract=rig.CONTRACT)
    out = tmp_path / "out"
    assert main(["merge", str(there), str(here), str(out), "--drop-contract"]) == 0
    assert not (out / "meta/contract.yaml").exists()
    assert "vla_contract_sha256" not in open_dataset(out).info.extra


def test_stats_takes_anew_what_was_wrong(tmp_path: Path) -> None:
    episode = rig.make_episode(tmp_path / "one", 0)
    wrong = {**episode.stats, rig.TOP: episode.stats[rig.WRIST]}
    source, out = tmp_path / "source", tmp_path / "out"
    rig.write_dataset(
        source, [replace(episode, stats=wrong)], version="v3.0", fps=rig.FPS, robot_type=None,
        features=rig.FEATURES,
    )  # fmt: skip
    assert main(["validate", str(source)]) == 3
    assert main(["stats", str(source), str(out)]) == 0
    assert main(["validate", str(out)]) == 0


def test_stats_prints_those_of_the_data(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", str(source), "--json"]) == 0
    stats = json.loads(capsys.readouterr().out)
    all_actions = np.concatenate([rig.numbers(n, rows)[1] for n, rows in enumerate(LENGTHS)])
    assert np.allclose(stats["action"]["mean"], all_actions.mean(axis=0), atol=1e-6)
    assert np.allclose(stats["action"]["std"], all_actions.std(axis=0), atol=1e-6)
    assert main(["stats", str(source)]) == 0
    assert "action (100 rows)" in capsys.readouterr().out


def test_info_counts_without_reading_the_data(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(source), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["episodes"], facts["frames"], facts["duration_s"]) == (4, 100, 5.0)
    assert facts["labels"] == {"success": 1, "failure": 1, "unlabelled": 1, "bad": 1}
    assert facts["tasks"] == {"pick the cube": 2, "place it": 2}
    assert main(["info", str(source)]) == 0
    assert "pick the cube: 2" in capsys.readouterr().out


def with_accounts(folder: Path, bag: str) -> Path:
    """A dataset that was converted from a bag and, to have all, imported from a file."""
    small(folder)
    run = {"bags": [{"name": bag}], "episodes": [{"id": bag}]}
    (folder / "meta/conversion.json").write_text(json.dumps({"runs": [run]}))
    imported = {"episodes": [{"file": bag}], "losses": [{"where": bag, "what": "\u00fcber"}]}
    (folder / "meta/import.json").write_text(json.dumps(imported))
    return folder


@pytest.mark.parametrize(
    ("verb", "options", "at"),
    [
        ("delete", ["--episodes", "0"], ""),
        ("filter", ["--min-s", "0.3"], ""),
        ("split", ["--part", "all=rest"], "all"),
        ("stats", [], ""),
        ("convert", ["--format", "v3.0"], ""),
    ],
)
def test_of_what_a_dataset_was_made_goes_with_its_episodes(
    tmp_path: Path, verb: str, options: list[str], at: str
) -> None:
    source = with_accounts(tmp_path / "source", "monday")
    if verb == "delete":
        assert main(["merge", *[str(source)] * 2, str(tmp_path / "two")]) == 0
        source = tmp_path / "two"
    assert main([verb, str(source), str(tmp_path / "out"), *options]) == 0
    for name in ("meta/conversion.json", "meta/import.json"):
        made = (tmp_path / "out" / at / name).read_text()
        assert made == (source / name).read_text()


def test_merge_puts_accounts_one_after_another(tmp_path: Path) -> None:
    roots = [with_accounts(tmp_path / name, name) for name in ("a", "b")]
    roots.insert(1, small(tmp_path / "c"))  # of nothing that is known
    assert main(["merge", *map(str, roots), str(tmp_path / "out")]) == 0
    conversion, imported = (
        json.loads((tmp_path / "out/meta" / name).read_text())
        for name in ("conversion.json", "import.json")
    )
    assert [run["bags"][0]["name"] for run in conversion["runs"]] == ["a", "b"]
    assert imported == {
        "episodes": [{"file": "a"}, {"file": "b"}],
        "losses": [{"where": name, "what": "\u00fcber"} for name in "ab"],
    }


@pytest.mark.parametrize("content", [b"{", b'{"runs": 1}', b"[]", b"\xff"])
def test_merge_refuses_a_damaged_account(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    source = with_accounts(tmp_path / "a", "a")
    (source / "meta/conversion.json").write_bytes(content)
    assert main(["merge", str(source), str(source), str(tmp_path / "out")]) == 1
    assert "conversion.json" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


MAKERS = {
    "merge": ["{source}", "{source}", "{out}"],
    "split": ["{source}", "{out}", "--part", "all=rest"],
    "delete": ["{source}", "{out}", "--episodes", "0"],
    "filter": ["{source}", "{out}", "--label", "success"],
    "stats": ["{source}", "{out}"],
    "convert": ["{source}", "{out}"],
    "preview": ["{source}", "{out}"],
    "to_rerun": ["{source}", "{out}"],
}


@pytest.mark.parametrize("verb", MAKERS)
def test_no_verb_writes_over_anything(
    source: Path, tmp_path: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "precious").write_text("data")
    given = [part.format(source=source, out=out) for part in MAKERS[verb]]
    assert main([verb, *given]) == 1
    assert "the output exists" in capsys.readouterr().err
    assert (out / "precious").read_text() == "data"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_every_verb_that_makes_something_is_among_them() -> None:
    assert set(VERBS) == {*MAKERS, "validate", "info"}


@pytest.mark.parametrize("given", [[], ["no_such_verb"], ["split", "a", "b"], ["validate"]])
def test_wrong_usage_is_exit_2(given: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(given)
    assert stopped.value.code == 2


@pytest.mark.parametrize("text", ["", "a", "4", "3-2", "1-", "-1", "0,,1", "0;1", "9" * 30])
def test_what_is_no_list_of_episodes_is_refused(text: str) -> None:
    with pytest.raises(DatasetError, match="not a list of episodes"):
        parse_episodes(text, 4)


def test_lists_of_episodes_and_back() -> None:
    assert parse_episodes("3, 0-1,0", 4) == (3, 0, 1)
    assert spans([3, 0, 1, 7, 8, 9]) == "0-1, 3, 7-9"


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (["train=0.5"], "5 episodes in no part"),
        (["train=0.7", "test=0.7"], "in two parts"),
        (["a=0,1", "b=1-3", "c=rest"], "in two parts"),
        (["a=rest", "b=rest"], "in no part"),
        (["a=1.0", "b=rest"], "no episode for b"),
        (["a=0-9", "a=rest"], "different names"),
        (["../a=rest"], "different names"),
        (["a"], "not a list of episodes"),
    ],
)
def test_parts_that_do_not_divide_are_refused(parts: list[str], text: str) -> None:
    with pytest.raises(DatasetError, match=text):
        divide(parts, 10, 0)


def test_a_division_is_the_same_for_the_same_seed() -> None:
    parts = ["train=0.8", "val=0.1", "test=0.1"]
    first = divide(parts, 100, 1)
    assert first == divide(parts, 100, 1) != divide(parts, 100, 2)
    assert [len(numbers) for numbers in first.values()] == [80, 10, 10]
    assert sorted(number for part in first.values() for number in part) == list(range(100))


def test_listed_episodes_are_not_drawn() -> None:
    found = divide(["test=0-4", "train=0.5", "val=rest"], 25, 0)
    assert found["test"] == [0, 1, 2, 3, 4]
    assert len(found["train"]) == len(found["val"]) == 10
    assert not {*found["test"]} & {*found["train"], *found["val"]}
