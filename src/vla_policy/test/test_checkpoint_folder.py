"""What may lie in a checkpoint directory, and that a new one appears whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import golden_model_case as golden
import pytest

from vla_core.errors import CheckpointError
from vla_policy.checkpoints import (
    CheckpointFormat,
    convert,
    folder,
    read_checkpoint,
    save_checkpoint,
)
from vla_policy.checkpoints.folder import MOST_LEVELS, checked_names, new_directory
from vla_policy.checkpoints.ocdbt_arrays import OcdbtWriter
from vla_policy.cli import convert_checkpoint, make_random_checkpoint
from vla_policy.models.config import Pi0Config
from vla_policy.models.random_init import random_pi0

GIVEN_UP_AFTER_S = 60.0
SOURCE = golden.GOLDEN / "pi0"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of 150 MB: enough for several steps of writing."""
    directory = tmp_path_factory.mktemp("large") / "checkpoint"
    model = random_pi0(Pi0Config.tiny(pi05=True, vocab_size=600_000), 0)
    save_checkpoint(directory, model=model, norm_stats={})
    return directory


def written_bytes(directory: Path) -> int:
    total = 0
    for root, _, files in os.walk(directory):
        for name in files:
            with suppress(FileNotFoundError):  # a lock that became the file
                total += Path(root, name).stat().st_size
    return total


@pytest.mark.parametrize(
    ("after_bytes", "stop"),
    [
        (1, signal.SIGINT),
        (1 << 20, signal.SIGTERM),
        (100 << 20, signal.SIGINT),
    ],
)
def test_a_stopped_conversion_leaves_nothing(
    after_bytes: int, stop: signal.Signals, large: Path, tmp_path: Path
) -> None:
    destination = tmp_path / "new" / "jax"
    command = [sys.executable, "-m", "vla_policy.cli.convert_checkpoint", str(large)]
    process = subprocess.Popen(
        [*command, str(destination), "--format", "openpi-jax"],
        # A shell starts what runs in its background with SIGINT ignored, and children inherit it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + GIVEN_UP_AFTER_S
    while written_bytes(tmp_path) < after_bytes and time.monotonic() < deadline:
        assert process.poll() is None
    process.send_signal(stop)
    process.send_signal(stop)  # from somebody in a hurry
    assert process.wait(GIVEN_UP_AFTER_S) == 128 + stop
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(writer: OcdbtWriter) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(OcdbtWriter, "close", full)
    with pytest.raises(CheckpointError, match=r"cannot be written.*No space left.*make room"):
        convert(read_checkpoint(SOURCE), tmp_path / "a" / "b", CheckpointFormat.OPENPI_JAX)
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_cannot_be_written_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_the_way(writer: OcdbtWriter) -> None:
        shutil.rmtree(writer.path)
        writer.path.write_text("a file")
        close(writer)

    close = OcdbtWriter.close
    monkeypatch.setattr(OcdbtWriter, "close", in_the_way)
    with pytest.raises(CheckpointError, match=r"cannot be written.*found: [^{]{1,300}; allowed"):
        convert(read_checkpoint(SOURCE), tmp_path / "out", CheckpointFormat.OPENPI_JAX)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("destination", "message"),
    [
        ("file/new", "cannot be written.*Not a directory"),
        ("file", "never written over.*found: a file"),
        ("circle/new", "cannot be written"),
        ("~nobody-of-this-name/new", "cannot be written.*home"),
        ("n" * 250, "cannot be written.*too long"),
        ("absent/..", "never written over.*a directory with files"),
        ("source/inside", "never written into the one that it is made from"),
        ("link/inside", "never written into the one that it is made from"),
        ("hf://owner/name", "this machine only"),
    ],
)
def test_a_destination_that_cannot_be_is_refused_at_once(
    destination: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("in the way")
    shutil.copytree(SOURCE, tmp_path / "source")
    (tmp_path / "link").symlink_to("source")
    (tmp_path / "circle").symlink_to("circle")
    before = sorted(tmp_path.rglob("*"))
    assert convert_checkpoint.main(["source", destination]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert re.search(message, line), line
    assert sorted(tmp_path.rglob("*")) == before


def test_a_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert make_random_checkpoint.main(["--output", "~/random"]) == 0
    assert convert_checkpoint.main(["~/random", "~/converted"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["converted", "random"]


def test_new_parents_stay_with_the_directory_and_old_ones_without(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with pytest.raises(ZeroDivisionError), new_directory(tmp_path / "old" / "a" / "b"):
        raise ZeroDivisionError
    assert list(tmp_path.rglob("*")) == [tmp_path / "old"]
    with new_directory(tmp_path / "old" / "a" / "b") as partial:
        (partial / "file").touch()
    assert (tmp_path / "old" / "a" / "b" / "file").exists()


def test_a_deep_tree_is_refused(tmp_path: Path) -> None:
    deepest = tmp_path.joinpath(*["d"] * (MOST_LEVELS - 1))
    deepest.mkdir(parents=True)
    assert checked_names(tmp_path) == {"d"}
    (deepest / "d").mkdir()
    with pytest.raises(CheckpointError, match=f"more than {MOST_LEVELS} levels"):
        checked_names(tmp_path)


def test_a_tree_of_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "MOST_ENTRIES", 5)
    (tmp_path / "inner").mkdir()
    for number in range(4):
        (tmp_path / "inner" / str(number)).touch()
    assert checked_names(tmp_path) == {"inner"}
    (tmp_path / "inner" / "4").touch()
    with pytest.raises(CheckpointError, match="over 5 entries"):
        checked_names(tmp_path)


def test_links_out_in_a_circle_and_to_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    link = tmp_path / "inner" / "link"
    for target, message in (("/etc", "a link to"), ("link", "link"), ("../none", "no regular")):
        link.symlink_to(target)
        with pytest.raises(CheckpointError, match=message):
            checked_names(tmp_path)
        link.unlink()
    link.symlink_to("..")  # within
    assert checked_names(tmp_path) == {"inner"}
