"""Recorded cases of `infer --case`: hostile files, inputs that must be refused, and `--out`."""

from __future__ import annotations

import io
import os
import re
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import golden_model_case as golden
import numpy as np
import pytest

from vla_core.errors import PolicyError
from vla_policy.cli import infer
from vla_policy.cli.case_file import load_case
from vla_policy.cli.recorded_case import compare

Case = dict[str, Any]
Damage = Callable[[Case], object]


def recorded(model: str) -> Case:
    return {**load_case(golden.GOLDEN / model / "case.npz")}


def saved(case: Mapping[str, Any], directory: Path) -> Path:
    np.savez(directory / "case.npz", **case)
    return directory / "case.npz"


def run(model: str | Path, case: Path, *options: str) -> int:
    return infer.main(["--checkpoint", str(golden.GOLDEN / model), "--case", str(case), *options])


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    written = capsys.readouterr()
    assert written.out == ""
    return written.err.strip().splitlines()[-1]


def drop(pattern: str) -> Damage:
    def damage(case: Case) -> None:
        for name in [name for name in case if re.match(pattern, name)]:
            del case[name]

    return damage


def change(name: str, to: Callable[[Any], Any]) -> Damage:
    return lambda case: case.update({name: to(case[name])})


def spoiled(value: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda array: np.where(np.arange(array.size).reshape(array.shape) == 0, value, array)


def no_rows(case: Case) -> None:
    case.update({name: array[:0] for name, array in case.items() if name.startswith("in/")})


def no_columns(case: Case) -> None:
    case.update({name: case[name][:, :0] for name in ("in/tokens", "in/token_mask")})


def long_prompt(case: Case) -> None:
    case.update({n: np.ones((2, 5000), case[n].dtype) for n in ("in/tokens", "in/token_mask")})


CAMERA = "in/image/base_0_rgb"
BAD: dict[str, tuple[str, Damage, str]] = {
    "no tokens": ("pi0", drop("in/tokens"), "a case without inputs"),
    "no noise": ("pi0", drop("in/noise"), "lacks an array.*allowed: in/noise"),
    "no state": ("pi0", drop("in/state"), "lacks an array.*allowed: in/state"),
    "no camera": ("pi0", drop("in/image"), "the case has no camera"),
    "foreign camera": ("pi0", lambda c: c.update({"in/image/cam9": c[CAMERA]}), "cam9"),
    "no picture": ("pi0", change(CAMERA, lambda _: np.zeros(3)), CAMERA),
    "other batch": ("pi0", change("in/tokens", lambda a: a[:1]), "wrong shape"),
    "ids": ("pi0", change("in/tokens", lambda a: a + 10**6), "does not know"),
    "text": ("pi0", change("in/tokens", lambda a: a.astype(str)), "values of type <U"),
    "horizon": ("pi0", change("in/noise", lambda a: a[:, 1:]), "where: in/noise"),
    "times": ("pi0", change("in/time", lambda a: a[:1]), "where: in/time"),
    "no rows": ("pi0", no_rows, "no prompt"),
    "no prompt": ("pi0", no_columns, "no prompt"),
    "long prompt": ("pi0", long_prompt, "too long"),
    "all masked": ("pi0", change("in/token_mask", lambda a: a & False), "no prompt.*0 count"),
    "NaN in state": ("pi0", change("in/state", spoiled(np.nan)), "not finite.*in/state"),
    "NaN in noise": ("pi05", change("in/noise", spoiled(np.nan)), "not finite.*in/noise"),
    "infinite time": ("pi0", change("in/time", spoiled(np.inf)), "not finite.*in/time"),
    "infinite action": ("pi0", change("in/actions", spoiled(-np.inf)), "not finite.*in/actions"),
    "overflow": ("pi0", change("in/actions", spoiled(1e38)), "computes is not finite"),
    "half of training": ("jax/pi0_fast", drop("in/train/tokens"), "allowed: in/train/tokens"),
    "half of stop": ("jax/pi0_fast", drop("in/stop/tokens"), "allowed: in/stop/tokens"),
}


@pytest.mark.parametrize(("model", "damage", "message"), BAD.values(), ids=BAD)
def test_a_bad_case_is_one_message(
    model: str, damage: Damage, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = recorded(model)
    damage(case)
    assert run(model, saved(case, tmp_path)) == 1
    assert re.search(message, last_line(capsys))


def header(text: str) -> bytes:
    """An npy file of version 1.0 without its values."""
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def archive(content: bytes, name: str = "in/tokens.npy") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(name, content)
    return file.getvalue()


EIGHT_TB = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}"
HOSTILE = {
    "empty": b"",
    "no archive": b"no archive",
    "half an archive": b"PK\x03\x04",
    "junk": archive(b"junk"),
    "no type": archive(header(EIGHT_TB.replace("'<f8'", "()"))),
    "8 TB": archive(header(EIGHT_TB)),
    "negative": archive(header(EIGHT_TB.replace("1000", "-1000"))),
    "objects": archive(header(EIGHT_TB.replace("<f8", "|O"))),
    "short": archive(header(EIGHT_TB.replace("1000000000000", "9"))),
    "open bracket": archive(header("{'descr': (")),
    "open brackets": archive(header("(" * 9000)),
    "no header": archive(header("[]")),
    "4 GB of header": archive(b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(1 << 20)),
    "a flipped bit": archive(header(EIGHT_TB) + bytes(100))[:-80] + bytes(80),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_damaged_case_is_one_message(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "case.npz").write_bytes(content)
    assert run("pi0", tmp_path / "case.npz") == 1
    assert "a case cannot be read" in last_line(capsys)


def test_a_flood_of_zeros_costs_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under an unknown name it is not read, under a known one it is refused by its header."""
    monkeypatch.setattr("vla_policy.cli.case_file.MAX_BYTES", 64 << 20)
    zeros = np.zeros((8 << 20) + 1)
    np.savez_compressed(tmp_path / "bomb.npz", **{"in/state": zeros})
    np.savez_compressed(tmp_path / "extra.npz", **{"extra": zeros, "in/tokens": np.ones(1)})
    del zeros
    tracemalloc.start()
    try:
        with pytest.raises(PolicyError, match="too large"):
            load_case(tmp_path / "bomb.npz")
        assert set(load_case(tmp_path / "extra.npz")) == {"in/tokens"}
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def test_the_limit_is_that_of_all_arrays_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved({"in/tokens": np.zeros(60), "in/state": np.zeros(60)}, tmp_path)
    monkeypatch.setattr("vla_policy.cli.case_file.MAX_BYTES", 960)
    assert len(load_case(path)) == 2
    monkeypatch.setattr("vla_policy.cli.case_file.MAX_BYTES", 959)
    with pytest.raises(PolicyError, match="too large"):
        load_case(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "case.npz")
    with pytest.raises(PolicyError, match="no regular file"):
        load_case(tmp_path / "case.npz")


def test_arrays_of_other_byte_and_index_order_give_the_same(tmp_path: Path) -> None:
    case = recorded("pi0")
    turned = {
        name: np.asfortranarray(array.astype(array.dtype.newbyteorder(">")))
        for name, array in case.items()
    }
    for name, array in load_case(saved(turned, tmp_path)).items():
        assert array.dtype == case[name].dtype
        np.testing.assert_array_equal(array, case[name])
    assert run("pi0", tmp_path / "case.npz", "--out", str(tmp_path / "out.npz")) == 0
    with np.load(tmp_path / "out.npz") as results:
        assert max(compare(dict(results), case).values()) < 1e-4


def test_what_a_damaged_model_computes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vla_policy.models.pi0 import Pi0

    sample = Pi0.sample_actions
    monkeypatch.setattr(Pi0, "sample_actions", lambda *given: sample(*given) / 0)
    out = tmp_path / "out.npz"
    assert run("pi0", golden.GOLDEN / "pi0" / "case.npz", "--out", str(out)) == 1
    assert "computes is not finite; where: out/sample_actions_10" in last_line(capsys)
    assert not list(tmp_path.iterdir())


def test_a_recorded_output_that_is_not_finite_is_infinitely_far() -> None:
    errors = compare({"out/loss": np.ones(2)}, {"out/loss": np.array([1.0, np.nan])})
    assert errors == {"out/loss": np.inf}


def test_the_outputs_get_exactly_the_name_that_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results"
    assert run("pi0", golden.GOLDEN / "pi0" / "case.npz", "--out", str(out)) == 0
    assert f"wrote {out}: out/loss" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [out]
    with np.load(out) as results:
        assert "out/velocity" in results


@pytest.mark.parametrize("out", ["nowhere/out.npz", ".", "pipe"])
def test_where_no_outputs_can_be_written_nothing_is_computed(
    out: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr("vla_policy.checkpoints.load.load_model", lambda *_: 1 / 0)
    case = golden.GOLDEN / "pi0" / "case.npz"
    assert run("pi0", case, "--out", str(tmp_path / out)) == 1
    assert "the outputs cannot be written" in last_line(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
