"""Checkpoints by address: whole and checked, continued after a kill, cached, and clear errors."""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
from checkpoint_stores import COMMIT, TOKEN, Stores
from huggingface_hub import constants

from vla_core.errors import CheckpointError
from vla_policy.checkpoints import cloud_storage, download, hub, read_checkpoint
from vla_policy.checkpoints.folder import checked_names

HUB, CLOUD = "hf://owner/name", "gs://bucket/checkpoints/pi0"
BOTH = pytest.mark.parametrize("address", [HUB, CLOUD])
WEIGHTS = np.random.default_rng(0).bytes(3 << 20)
WANTED = {
    "model.safetensors": WEIGHTS,
    "config.json": b"{}",
    "assets/robot/norm_stats.json": b'{"norm_stats": {}}',
}
UNWANTED = {
    "optimizer.pt": b"a pickle",
    "assets/robot/stats.pkl": b"a pickle",
    "train.py": b"code",
    "other/model.safetensors": b"another checkpoint",
}
ANSWER_S = 0.3


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    """Both stores with one checkpoint, and empty caches."""
    stores = Stores()
    stores.lfs = {"model.safetensors"}
    put(stores, WANTED | UNWANTED)
    template = stores.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", stores.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("VLA_CACHE", str(tmp_path / "vla"))
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", stores.url)
    monkeypatch.setattr(download, "READ_S", ANSWER_S)
    monkeypatch.setattr(hub, "CONNECT_S", ANSWER_S)
    yield stores
    close(stores)


def close(stores: Stores) -> None:
    stores.close()
    huggingface_hub.close_session()  # which holds connections that still answer


def put(stores: Stores, files: dict[str, bytes]) -> None:
    stores.files |= files
    stores.objects |= {f"checkpoints/pi0/{name}": data for name, data in files.items()}


def content(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}


def starts(stores: Stores) -> list[int]:
    """Where each request for the weights began."""
    return [
        int(asked.removeprefix("bytes=").rstrip("-"))
        for name, asked, _ in stores.bodies
        if name.endswith("model.safetensors")
    ]


def partial_of_weights(tmp_path: Path) -> Path:
    return max(tmp_path.rglob("*.partial"), key=lambda p: p.is_file() and p.stat().st_size)


@BOTH
def test_checkpoint_arrives_whole_without_pickles_and_once(stores: Stores, address: str) -> None:
    directory = hub.local_directory(address)
    assert content(directory) == WANTED
    assert checked_names(directory) == {"model.safetensors", "config.json", "assets"}
    stores.bodies.clear()
    assert hub.local_directory(address) == directory
    assert stores.bodies == []


def test_other_tools_of_the_hub_find_what_was_fetched(stores: Stores) -> None:
    directory = hub.local_directory(HUB)
    cache = constants.HF_HUB_CACHE
    found = huggingface_hub.snapshot_download("owner/name", cache_dir=cache, local_files_only=True)
    assert Path(found) == directory


def test_read_checkpoint_takes_an_address_even_as_a_path(stores: Stores) -> None:
    with pytest.raises(CheckpointError, match=f"snapshots/{COMMIT}"):  # random bytes
        read_checkpoint(Path(HUB))
    assert starts(stores) == [0]


def test_token_goes_to_the_hub_only_and_into_no_log(
    stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        hub.local_directory(HUB)
    sent = {name: authorization for name, _, authorization in stores.bodies}
    assert sent["config.json"] == f"Bearer {TOKEN}"
    assert sent["model.safetensors"] is None  # from another origin
    assert TOKEN not in caplog.text
    shown = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert not [message for message in shown if "signed" in message]
    assert shown[-1] == f"checkpoint={HUB} commit={COMMIT} files=3"


def test_folder_of_a_repository_is_a_checkpoint(stores: Stores) -> None:
    directory = hub.local_directory(f"{HUB}/other@{COMMIT}")
    assert content(directory) == {"model.safetensors": b"another checkpoint"}


@BOTH
def test_checkpoints_in_folders_are_named(stores: Stores, address: str) -> None:
    del stores.files["model.safetensors"], stores.objects["checkpoints/pi0/model.safetensors"]
    with pytest.raises(CheckpointError, match="checkpoints below it: other"):
        hub.local_directory(address)


@BOTH
def test_pickles_alone_are_no_checkpoint(stores: Stores, address: str) -> None:
    stores.files.clear()
    stores.objects.clear()
    put(stores, {"model.pt": b"a pickle", "params/weights.bin": b"a pickle"})
    with pytest.raises(CheckpointError, match="no pickles"):
        hub.local_directory(address)
    assert stores.bodies == []


@BOTH
def test_killed_download_continues_and_two_processes_fetch_once(
    stores: Stores, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "READ_S", 60.0)
    fork = multiprocessing.get_context("fork")
    huggingface_hub.close_session()
    stores.stall_after = 2_000_000
    first = fork.Process(target=hub.local_directory, args=(address,))
    first.start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any(p.is_file() and p.stat().st_size > 1_500_000 for p in tmp_path.rglob("*.partial")):
            break
        first.join(0.02)
    first.kill()
    first.join()
    kept = partial_of_weights(tmp_path).stat().st_size
    assert kept > 1_500_000

    stores.stall_after = None
    stores.bodies.clear()
    others = [fork.Process(target=hub.local_directory, args=(address,)) for _ in range(2)]
    for process in others:
        process.start()
    for process in others:
        process.join(60)
    assert [process.exitcode for process in others] == [0, 0]
    assert starts(stores) == [kept]
    assert content(hub.local_directory(address)) == WANTED


@BOTH
def test_broken_connections_are_taken_up_as_long_as_they_bring_something(
    stores: Stores, address: str
) -> None:
    stores.cut_after = 2 << 20
    assert content(hub.local_directory(address)) == WANTED
    assert starts(stores) == [0, 2 << 20]


@BOTH
def test_truncated_transfer_is_an_error_and_continues_on_the_next_run(
    stores: Stores, address: str
) -> None:
    stores.cut_after = 1000
    with pytest.raises(CheckpointError, match="what was fetched is kept"):
        hub.local_directory(address)
    assert starts(stores) == [0]
    stores.cut_after = None
    assert content(hub.local_directory(address)) == WANTED
    assert starts(stores) == [0, 1000]


def test_store_without_ranges_is_read_from_the_start(stores: Stores) -> None:
    stores.cut_after = 1000
    with pytest.raises(CheckpointError):
        hub.local_directory(HUB)
    stores.cut_after, stores.without_ranges = None, True
    assert content(hub.local_directory(HUB)) == WANTED


@pytest.mark.parametrize("composed", [False, True])
@BOTH
def test_damaged_file_is_removed(stores: Stores, address: str, composed: bool) -> None:
    stores.composed = set(stores.objects) if composed else set()
    stores.damaged = True
    with pytest.raises(CheckpointError, match="arrived damaged"):
        hub.local_directory(address)
    stores.damaged = False
    assert content(hub.local_directory(address)) == WANTED


@BOTH
def test_without_network_the_cached_copy_is_used_else_one_error(
    stores: Stores, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    directory = hub.local_directory(address)
    close(stores)
    assert hub.local_directory(address) == directory
    assert "source=cache" in caplog.text
    with pytest.raises(CheckpointError, match="connect this machine"):
        hub.local_directory(f"{address}_another")


@BOTH
def test_offline_by_request_asks_nobody(
    stores: Stores, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match="unset HF_HUB_OFFLINE"):
        hub.local_directory(address)


@BOTH
def test_cached_copy_that_is_not_whole_is_not_used(stores: Stores, address: str) -> None:
    stores.cut_after = 1000
    with pytest.raises(CheckpointError):
        hub.local_directory(address)
    stores.silent = True
    with pytest.raises(CheckpointError, match="ReadTimeout"):
        hub.local_directory(address)


@BOTH
def test_proxy_that_refuses_is_named(
    stores: Stores, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.status = 403
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, stores.url)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://hub.invalid")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://storage.invalid")
    huggingface_hub.close_session()
    with pytest.raises(CheckpointError, match="403"):
        hub.local_directory(address)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (200, "connect this machine"),  # by somebody else: a log-in page of a network
        (401, "HF_TOKEN"),
        (403, "HF_TOKEN"),
        (404, "check the address"),
        (500, "run it again"),
    ],
)
@BOTH
def test_refusal_is_one_error(stores: Stores, address: str, status: int, advice: str) -> None:
    stores.status = status
    with pytest.raises(CheckpointError, match=advice):
        hub.local_directory(address)


def test_unknown_revision_is_named(stores: Stores) -> None:
    with pytest.raises(CheckpointError, match="branch, tag or commit"):
        hub.local_directory(f"{HUB}@v9")


@BOTH
def test_full_disk_is_seen_before_anything_is_fetched(
    stores: Stores, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(CheckpointError, match="make room"):
        hub.local_directory(address)
    assert stores.bodies == []


@BOTH
@pytest.mark.parametrize("name", ["../outside.json", "a/../../outside.json", "/outside.json"])
def test_names_that_lead_out_are_refused(stores: Stores, address: str, name: str) -> None:
    put(stores, {name: b"{}"})
    with pytest.raises(CheckpointError, match="unsafe file name"):
        hub.local_directory(address)
    assert stores.bodies == []


@pytest.mark.parametrize(
    "address",
    [
        "s3://bucket/x",
        "hf://owner",
        "hf://../..",
        "hf://owner/name/../x",
        "gs://bucket",
        "gs://../x",
    ],
)
def test_what_is_no_address_is_refused(stores: Stores, address: str) -> None:
    with pytest.raises(CheckpointError):
        hub.local_directory(address)
    assert stores.bodies == []


@BOTH
def test_new_version_gets_a_directory_of_its_own(stores: Stores, address: str) -> None:
    old = hub.local_directory(address)
    put(stores, {"config.json": b'{"new": 1}'})
    stores.commit = "d1" * 20
    stores.bodies.clear()
    new = hub.local_directory(address)
    assert content(old) == WANTED
    assert content(new) == WANTED | {"config.json": b'{"new": 1}'}
    close(stores)
    assert hub.local_directory(address) == new


def test_released_tokenizer_is_checked_against_its_known_hash(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.objects["tokenizer.model"] = b"pieces"
    monkeypatch.setattr(cloud_storage, "PALIGEMMA_TOKENIZER", "gs://bucket/tokenizer.model")
    with pytest.raises(CheckpointError, match="another tokenizer"):
        cloud_storage.paligemma_tokenizer()
    known = hashlib.sha256(b"pieces").hexdigest()
    monkeypatch.setattr(cloud_storage, "_PALIGEMMA_SHA256", known)
    assert cloud_storage.paligemma_tokenizer().read_bytes() == b"pieces"
