"""The checkpoint's side of preflight, on random checkpoints and made-up measurements."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vla_core.contract import Contract, load_contract
from vla_core.preflight.findings import Finding, Level
from vla_core.preflight.measured import Measured, SourceMeasured
from vla_core.stats import NormStats, load_norm_stats, save_norm_stats
from vla_policy.cli.make_random_checkpoint import REST, main
from vla_policy.cli.preflight_checkpoint import judge_state, read_side

ROBOTS = Path(__file__).parents[2] / "vla_bringup" / "config" / "robots"
CONTRACTS = {
    "aloha": load_contract(ROBOTS / "aloha.yaml"),
    "ur5": load_contract(ROBOTS / "ur5e.yaml"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint for each of the two robots."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for robot in CONTRACTS:
        assert main(["--output", str(folder / robot), "--robot", robot]) == 0
    return {robot: folder / robot for robot in CONTRACTS}


def measured(contract: Contract, state: dict[str, float]) -> Measured:
    sources = {
        stream.name: SourceMeasured(
            joints={name: np.full(3, state[name]) for name in stream.joints if name in state}
        )
        for stream in contract.streams
    }
    return Measured(began_ns=0, ended_ns=1, sources=sources, commands={})


def at_rest(robot: str) -> dict[str, float]:
    contract = CONTRACTS[robot]
    others = dict.fromkeys(contract.measured_names, 0.4)
    return others | dict(zip(contract.state, REST[robot].state, strict=True))


def judged(robot: str, checkpoint: Path | str, state: dict[str, float]) -> list[Finding]:
    contract = CONTRACTS[robot]
    findings, side = read_side(str(checkpoint), contract, recipe="", asset_id="")
    return [*findings, *judge_state(side, contract, measured(contract, state))]


def bad(findings: list[Finding]) -> list[Finding]:
    found = [f for f in findings if f.level is not Level.PASS]
    assert all(f.advice for f in found)
    return found


@pytest.mark.parametrize("robot", list(CONTRACTS))
def test_the_robot_of_the_checkpoint_at_rest_passes(made: dict[str, Path], robot: str) -> None:
    findings = judged(robot, made[robot], at_rest(robot))
    assert not bad(findings)
    assert {"checkpoint", "robot", "statistics"} == {f.check for f in findings}
    assert any("openpi-pytorch" in f.found for f in findings)


def test_a_joint_far_from_training_is_found_in_the_models_space_by_contract_name(
    made: dict[str, Path],
) -> None:
    """ALOHA's shoulders turn the other way in the model's frame; the name is the contract's."""
    state = at_rest("aloha") | {"right_shoulder": 1.2}
    found = bad(judged("aloha", made["aloha"], state))
    assert [f.level for f in found] == [Level.WARN]
    assert found[0].found.startswith("right_shoulder is -1.2,")


def test_degrees_fail(made: dict[str, Path]) -> None:
    state = at_rest("ur5")
    names = [name for name in state if name.endswith("_joint")]
    state |= {name: float(np.rad2deg(state[name])) for name in names}
    found = bad(judged("ur5", made["ur5"], state))
    assert found
    assert {f.level for f in found} == {Level.FAIL}
    assert "elbow_joint" in " ".join(f.found for f in found)


def test_the_checkpoint_of_another_robot_fails_before_any_message(made: dict[str, Path]) -> None:
    findings, side = read_side(str(made["aloha"]), CONTRACTS["ur5"], recipe="", asset_id="")
    assert side is None
    assert [f.level for f in bad(findings)] == [Level.FAIL]


def _spoiled(made: dict[str, Path], tmp_path: Path, **changes: float) -> Path:
    """A copy of the ur5 checkpoint with another gripper in its statistics."""
    folder = tmp_path / "spoiled"
    (folder / "assets" / "ur5e").mkdir(parents=True)
    for file in made["ur5"].iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    (source,) = (made["ur5"] / "assets").rglob("norm_stats.json")
    stats = load_norm_stats(source)
    fields = {name: getattr(stats["state"], name).copy() for name in ("mean", "std", "q01", "q99")}
    for name, value in changes.items():
        fields[name][6] = value
    spoiled: dict[str, NormStats] = stats | {"state": replace(stats["state"], **fields)}
    save_norm_stats(folder / "assets" / source.parent.name / "norm_stats.json", spoiled)
    return folder


def test_statistics_of_a_gripper_in_millimetres_fail(
    made: dict[str, Path], tmp_path: Path
) -> None:
    folder = _spoiled(made, tmp_path, mean=40.0, std=20.0, q01=0.0, q99=80.0)
    found = bad(judged("ur5", folder, at_rest("ur5")))
    assert [f.level for f in found] == [Level.FAIL]
    assert found[0].found.startswith("gripper: the training mean 40")


def test_missing_statistics_fail(made: dict[str, Path], tmp_path: Path) -> None:
    folder = _spoiled(made, tmp_path)
    for file in (folder / "assets").rglob("norm_stats.json"):
        file.unlink()
    findings = judged("ur5", folder, at_rest("ur5"))
    assert Level.FAIL in {f.level for f in bad(findings)}


def test_an_unmeasured_joint_is_told_instead_of_guessed(made: dict[str, Path]) -> None:
    state = at_rest("ur5")
    del state["elbow_joint"]
    (found,) = bad(judged("ur5", made["ur5"], state))
    assert found.level is Level.WARN
    assert "elbow_joint" in found.found


@pytest.mark.parametrize("checkpoint", ["hold:", "replay:somewhere#3"])
def test_policies_without_a_model_pass_and_say_what_is_skipped(checkpoint: str) -> None:
    (finding,) = judged("ur5", checkpoint, at_rest("ur5"))
    assert (finding.level, finding.where) == (Level.PASS, checkpoint)
    assert "skipped" in finding.found


@pytest.mark.parametrize("checkpoint", ["hf://owner/name", "ws://host:8000", "pi0_aloha_towel"])
def test_what_is_not_here_warns_that_nothing_was_compared(checkpoint: str) -> None:
    (finding,) = judged("aloha", checkpoint, at_rest("aloha"))
    assert finding.level is Level.WARN
    assert "not compared" in finding.found


def test_no_such_directory_fails_with_what_to_do(tmp_path: Path) -> None:
    (finding,) = judged("ur5", tmp_path / "nothing", at_rest("ur5"))
    assert finding.level is Level.FAIL
    assert "make_random_checkpoint" in finding.advice


def test_a_damaged_directory_fails_instead_of_ending_the_check(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    (finding,) = judged("ur5", tmp_path, at_rest("ur5"))
    assert finding.level is Level.FAIL
    assert "configuration file cannot be read" in finding.found
