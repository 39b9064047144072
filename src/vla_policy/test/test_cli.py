"""The commands of the package, on real checkpoints in small."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import golden_model_case as golden
import numpy as np
import pytest

from vla_core.stats import load_norm_stats, save_norm_stats
from vla_policy.cli import convert_checkpoint, infer, inspect, make_random_checkpoint
from vla_policy.cli import list as list_command
from vla_policy.cli.case_file import load_case
from vla_policy.cli.recorded_case import compare

CASES = ("pi0", "pi05", "jax/pi0", "jax/pi05", "jax/lora", "jax/pi0_fast")


@pytest.fixture(scope="module")
def random_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("random") / "checkpoint"
    assert make_random_checkpoint.main(["--output", str(directory), "--robot", "ur5"]) == 0
    return directory


def inputs_alone(case: Path, directory: Path) -> Path:
    """A copy of a case without its recorded outputs: a case that nobody has seen."""
    arrays = {name: a for name, a in load_case(case).items() if name.startswith("in/")}
    np.savez(directory / "case.npz", **arrays)  # type: ignore[arg-type]
    return directory / "case.npz"


@pytest.mark.parametrize("name", CASES)
def test_infer_gives_the_recorded_outputs_for_inputs_alone(name: str, tmp_path: Path) -> None:
    directory, out = golden.GOLDEN / name, tmp_path / "out.npz"
    case = inputs_alone(directory / "case.npz", tmp_path)
    arguments = ["--checkpoint", str(directory), "--case", str(case), "--out", str(out)]
    assert infer.main([*arguments, "--precision", "float32", "--device", "cpu"]) == 0
    with np.load(out, allow_pickle=False) as results:
        errors = compare(dict(results), load_case(directory / "case.npz"))
    expected = {"tokens", "logits", "loss", "stop/tokens", "stop/logits"}
    if name != "jax/pi0_fast":
        expected = {"sample_actions_10", "sample_actions_5", "velocity", "loss"}
    assert set(errors) == {f"out/{output}" for output in expected}
    assert max(errors.values()) < 1e-4, errors


def test_infer_in_bfloat16_is_as_near_as_the_reference_in_bfloat16(tmp_path: Path) -> None:
    directory, out = golden.GOLDEN / "pi05", tmp_path / "out.npz"
    arguments = ["--checkpoint", str(directory), "--case", str(directory / "case.npz")]
    assert infer.main([*arguments, "--out", str(out), "--precision", "bfloat16"]) == 0
    case = load_case(directory / "case.npz")
    with np.load(out, allow_pickle=False) as results:
        errors = compare(dict(results), case)
    reference = {n: case[n.replace("out", "out_bf16", 1)] for n in errors}
    own = compare(reference, case)
    assert all(errors[name] < max(3 * own[name], 1e-2) for name in errors), (errors, own)


def assert_one_message(capsys: pytest.CaptureFixture[str], message: str) -> None:
    written = capsys.readouterr()
    assert written.out == ""
    last = written.err.strip().splitlines()[-1]
    assert re.search(message, last), last


def test_infer_runs_an_example_and_times_it(
    random_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--checkpoint", str(random_checkpoint), "--example", "ur5", "--repeat", "2"]
    assert infer.main(arguments) == 0
    shown = capsys.readouterr().out
    assert "chunk (50, 7) of shoulder_pan_joint" in shown
    assert "latency of 2: p50" in shown


def test_infer_refuses_an_example_of_another_robot(
    random_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--checkpoint", str(random_checkpoint), "--example", "aloha"]
    assert infer.main(arguments) == 1
    assert_one_message(
        capsys, "another robot than the example.*found: adapter ur5.*--robot ur5, or aloha"
    )
    assert infer.main([*arguments, "--robot", "aloha"]) == 1
    assert_one_message(capsys, "statistics do not fit robot aloha.*found: 7.*14")


def test_infer_refuses_a_recipe_of_another_robot_than_the_example(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--checkpoint", str(golden.GOLDEN / "pi0"), "--example", "ur5"]
    assert infer.main([*arguments, "--recipe", "pi0_aloha_pen_uncap"]) == 1
    assert_one_message(capsys, "another robot than the example.*found: adapter aloha")


@pytest.mark.parametrize(
    ("options", "ignored"),
    [
        (["--example", "ur5", "--out", "x.npz"], "not with --example: --out"),
        (["--contract", "x", "--robot", "ur5"], "not with --contract: --robot"),
        (["--case", "x", "--prompt", "fold", "--num-steps", "10"], "--num-steps, --prompt"),
    ],
)
def test_infer_takes_no_option_that_it_would_ignore(
    options: list[str], ignored: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        infer.main(["--checkpoint", "x", *options])
    assert ended.value.code == 2
    assert ignored in capsys.readouterr().err


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        ("pi05_droidd", "no checkpoint directory, and no recipe.*did you mean pi05_droid,"),
        ("zzzzzz", "no checkpoint directory, and no recipe.*ros2 run vla_policy list"),
        ("hold:", "this policy has no checkpoint; where: checkpoint; found: hold:"),
        ("replay:folder#0", "this policy has no checkpoint"),
    ],
)
def test_a_checkpoint_that_is_none_is_told_with_what_may_be_meant(
    checkpoint: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect.main(["--checkpoint", checkpoint]) == 1
    assert_one_message(capsys, message)
    assert infer.main(["--checkpoint", checkpoint, "--example", "droid"]) == 1
    assert_one_message(capsys, message)


def test_infer_times_a_model_that_lacks_what_a_robot_needs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--checkpoint", str(golden.GOLDEN / "pi05"), "--example", "libero"]
    assert infer.main([*arguments, "--repeat", "1"]) == 0
    shown = capsys.readouterr().out
    assert "random inputs in the model's own space" in shown
    assert "pi05 gives float32 (1, 50, 32)" in shown


def test_infer_runs_on_a_contract(
    random_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contract = golden.GOLDEN.parents[1] / "config/robots/ur5e.yaml"
    arguments = ["--checkpoint", str(random_checkpoint), "--contract", str(contract)]
    assert infer.main([*arguments, "--repeat", "1"]) == 0
    assert "chunk (50, 7) of shoulder_pan_joint" in capsys.readouterr().out


def test_inspect_says_what_a_checkpoint_is(
    random_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inspect.main(["--checkpoint", str(random_checkpoint), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["model"] == "pi0"
    assert facts["statistics"] == {"ur5e": {"state": "7 dimensions", "actions": "7 dimensions"}}
    assert facts["missing"] == []
    assert inspect.main(["--checkpoint", str(random_checkpoint)]) == 0
    assert "parameters         760,800\n" in capsys.readouterr().out


def test_inspect_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect.main(["--checkpoint", str(golden.GOLDEN / "pi0"), "--json"]) == 0
    missing = json.loads(capsys.readouterr().out)["missing"]
    assert [entry.split(" ")[0] for entry in missing] == ["normalisation", "tokenizer.model"]


def test_inspect_says_what_cannot_be_used(
    random_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "checkpoint"
    shutil.copytree(random_checkpoint, damaged)
    (damaged / "tokenizer.model").write_bytes(b"junk")
    file = damaged / "assets" / "ur5e" / "norm_stats.json"
    save_norm_stats(file, {"state": load_norm_stats(file)["state"]})
    assert inspect.main(["--checkpoint", str(damaged), "--json"]) == 0
    missing = json.loads(capsys.readouterr().out)["missing"]
    assert missing == [
        "statistics ur5e: no actions.mean, actions.std",
        f"the tokenizer cannot be read: {damaged / 'tokenizer.model'}",
    ]


def test_inspect_refuses_a_recipe_of_another_model(capsys: pytest.CaptureFixture[str]) -> None:
    directory = str(golden.GOLDEN / "jax/pi0")
    assert inspect.main(["--checkpoint", directory, "--recipe", "pi05_droid"]) == 1
    assert_one_message(capsys, "action_horizon is 50 in the checkpoint and 15 in the recipe")


def test_list_names_recipes_robots_and_formats(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, shown in (
        ([], "pi05_libero"),
        (["--robots"], "droid_velocity"),
        (["--formats"], "openpi-jax"),
    ):
        assert list_command.main(arguments) == 0
        assert shown in capsys.readouterr().out


def test_conversion_there_and_back_gives_the_same_bytes(tmp_path: Path) -> None:
    source = golden.GOLDEN / "jax/pi0"
    there, back, again = (str(tmp_path / name) for name in ("there", "back", "again"))
    convert = convert_checkpoint.main
    assert convert([str(source), there, "--format", "openpi-pytorch"]) == 0
    assert convert([there, back, "--format", "openpi-jax"]) == 0
    assert convert([back, again, "--format", "openpi-pytorch"]) == 0
    first, second = (
        {file.relative_to(d): file.read_bytes() for file in Path(d).rglob("*") if file.is_file()}
        for d in (there, again)
    )
    assert first == second


def test_conversion_to_bfloat16_halves_the_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "half"
    arguments = [str(golden.GOLDEN / "pi0"), str(out), "--precision", "bfloat16"]
    assert convert_checkpoint.main(arguments) == 0
    whole, half = ((d / "model.safetensors").stat().st_size for d in (golden.GOLDEN / "pi0", out))
    assert half < 0.6 * whole
    capsys.readouterr()
    assert convert_checkpoint.main(arguments) == 1  # it is there already
    assert_one_message(capsys, "never written over")
