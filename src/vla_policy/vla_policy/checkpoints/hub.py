"""Checkpoints by address: ``hf://owner/name[/folder][@revision]`` and ``gs://bucket/folder``.

Both end as a local directory, which is whole or does not exist. A repository of the Hub goes into
the cache that all its tools share (``HF_HOME``): blobs by their checksum, and per commit a
directory of links to them.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from vla_core.errors import CheckpointError
from vla_policy.checkpoints import cloud_storage
from vla_policy.checkpoints.download import (
    CONNECT_S,
    RemoteFile,
    checked_name,
    checkpoint_files,
    download,
    explained,
    one_process,
)

_ADDRESS = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:/([^@]+?))?/?(?:@([^@]+))?")
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

_log = logging.getLogger(__name__)


def local_directory(address: str | Path) -> Path:
    """The directory with the files of a checkpoint that lies elsewhere, fetched where needed.

    Without a network the cached copy is taken, with a warning.

    Raises:
        CheckpointError: The address is none, or its files can neither be fetched nor are cached.
    """
    text = re.sub("^([a-z]+):/(?=[^/])", r"\1://", str(address))  # a Path joins the slashes
    if text.startswith("gs://"):
        return cloud_storage.local_copy(text)
    if not (match := _ADDRESS.fullmatch(text)):
        raise CheckpointError(
            "no address of a checkpoint",
            where=text,
            allowed="hf://owner/name, hf://owner/name/folder@revision, gs://bucket/folder",
            fix="correct the address, or give a local directory",
        )
    repository, folder, revision = match.groups()
    return _snapshot(
        text,
        repository,
        checked_name(folder, text) if folder else "",
        checked_name(revision, text) if revision else None,
    )


def _snapshot(address: str, repository: str, folder: str, revision: str | None) -> Path:
    storage = Path(constants.HF_HUB_CACHE, f"models--{repository.replace('/', '--')}")
    ref = storage / "refs" / (revision or constants.DEFAULT_REVISION)
    try:
        with explained(address):
            info = HfApi().model_info(
                repository, revision=revision, files_metadata=True, timeout=CONNECT_S
            )
            commit, files = str(info.sha), _listed(repository, info.sha, info.siblings)
    except CheckpointError as error:
        commit = ref.read_text().strip() if ref.is_file() else revision or ""
        directory = storage / "snapshots" / commit / folder
        if not commit or not directory.is_dir():
            raise
        _log.warning(
            "checkpoint=%s source=cache commit=%s reason=%s", address, commit, error.found
        )
        return directory
    below = f"{folder}/" if folder else ""
    names = [name.removeprefix(below) for name in files if name.startswith(below)]
    wanted = {below + name: files[below + name] for name in checkpoint_files(names, address)}
    with explained(address):
        _complete(storage, commit, wanted, address)
        if ref.name != commit and not (ref.is_file() and ref.read_text() == commit):
            with _renamed(ref) as fresh:
                fresh.write_text(commit)
    _log.info("checkpoint=%s commit=%s files=%d", address, commit, len(wanted))
    return storage / "snapshots" / commit / folder


def _complete(storage: Path, commit: str, wanted: Mapping[str, RemoteFile], address: str) -> None:
    """Fetch what a commit's directory lacks; the links come when all blobs are there."""
    links = {storage / "snapshots" / commit / name: file for name, file in wanted.items()}
    if all(link.is_file() for link in links):
        return
    with one_process(storage.parent / ".locks" / storage.name / "checkpoint.lock", address):
        missing = {k: storage / "blobs" / f.digest for k, f in links.items() if not k.is_file()}
        download({missing[k]: links[k] for k in missing}, address, build_hf_headers())
        for link, blob in missing.items():
            with _renamed(link) as fresh:
                fresh.symlink_to(os.path.relpath(blob, link.parent))


@contextmanager
def _renamed(path: Path) -> Iterator[Path]:
    """Another name to make something under: its own one never stands for half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    yield fresh
    fresh.replace(path)


def _listed(
    repository: str, commit: str | None, siblings: list[RepoSibling] | None
) -> dict[str, RemoteFile]:
    if not commit or not siblings or not _DIGEST.fullmatch(commit):
        raise ValueError("the answer is not that of a Hub")
    files = {}
    for sibling in siblings:
        digest = sibling.lfs.sha256 if sibling.lfs else str(sibling.blob_id)
        if sibling.size is None or not _DIGEST.fullmatch(digest):
            raise ValueError(f"no size or checksum of {sibling.rfilename}")
        files[sibling.rfilename] = RemoteFile(
            url=hf_hub_url(repository, sibling.rfilename, revision=commit),
            size=sibling.size,
            algorithm="sha256" if sibling.lfs else "git",
            digest=digest,
        )
    return files
