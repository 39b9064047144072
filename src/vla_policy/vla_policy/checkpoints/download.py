"""Files of a checkpoint that lies elsewhere: which ones, fetched with resume, each one checked.

The client is the one of huggingface_hub: it honours proxies, certificates and HF_HUB_OFFLINE, and
drops the token where a redirection leads to another host. The library's own transfers begin again
after a kill and compare no checksum, so that bodies are received here.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

import httpx2
from filelock import FileLock, Timeout
from huggingface_hub import get_session
from huggingface_hub.errors import OfflineModeIsEnabled, RevisionNotFoundError
from huggingface_hub.utils.tqdm import tqdm

from vla_core.crc32c import Crc32c
from vla_core.errors import CheckpointError
from vla_policy.checkpoints.open import PICKLE_SUFFIXES

CONNECT_S, READ_S = 5.0, 10.0
_BLOCK_BYTES = 1 << 20
_WORTH_ANOTHER_TRY_BYTES = 1 << 20  # that a broken connection must have brought
_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "adapter_model.safetensors",
    "params/_METADATA",
    "params/manifest.ocdbt",
)
_NOT_UNDERSTOOD = (ValueError, LookupError, TypeError, AttributeError)  # a log-in page, for one
_WANTED = "*.safetensors, *.json, *.model, params/**, assets/**, and no pickles"

_log = logging.getLogger(__name__)
logging.getLogger("httpx2").setLevel(logging.WARNING)  # it logs addresses with their signatures


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """One file as its store lists it.

    Args:
        url: Where its bytes are.
        size: In bytes.
        algorithm: ``sha256``, ``md5``, ``crc32c``, or ``git`` (SHA-1 of a Git blob).
        digest: In hexadecimal digits.
    """

    url: str
    size: int
    algorithm: str
    digest: str

    def hash(self) -> _Hash:
        if self.algorithm == "crc32c":
            return Crc32c()
        if self.algorithm == "git":
            return hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        return hashlib.new(self.algorithm, usedforsecurity=False)


def timeout() -> httpx2.Timeout:
    return httpx2.Timeout(READ_S, connect=CONNECT_S)


def checked_name(name: str, where: str) -> str:
    """A path that stays inside the directory it is put in."""
    path = PurePosixPath(name)
    unsafe = path.is_absolute() or ".." in path.parts or "\\" in name or not name.isprintable()
    if unsafe or path.as_posix() != name or name == ".":
        raise CheckpointError(
            "an unsafe file name in a remote checkpoint",
            where=where,
            found=repr(name),
            allowed="relative paths without ..",
            fix="correct the address; if it is right, leave this checkpoint alone",
        )
    return name


def checkpoint_files(names: Iterable[str], where: str) -> list[str]:
    """The names that a checkpoint needs, of those in its directory and below.

    Raises:
        CheckpointError: There are none, or the weights lie deeper.
    """
    names = sorted(names)
    wanted = [checked_name(name, where) for name in names if _is_wanted(name)]
    if set(_WEIGHTS) & set(wanted):
        return wanted
    ends = tuple(f"/{mark}" for mark in _WEIGHTS)
    deeper = {n.removesuffix(e) for n in names for e in ends if n.endswith(e)}
    if wanted and not deeper:  # a tokenizer, for one
        return wanted
    raise CheckpointError(
        "no checkpoint in the remote directory itself",
        where=where,
        found=f"checkpoints below it: {', '.join(sorted(deeper)[:8])}"
        if deeper
        else ", ".join(names[:8]) or "nothing",
        allowed=_WANTED,
        fix="give the folder of one of them: hf://owner/name/folder@revision, gs://bucket/folder"
        if deeper
        else "check the address; convert pickled weights to safetensors where they come from",
    )


def _is_wanted(name: str) -> bool:
    path = PurePosixPath(name)
    if name.endswith(PICKLE_SUFFIXES):
        return False
    if path.parts[0] in ("params", "assets"):
        return True
    if path.suffix == ".safetensors":
        return path.name == name
    return path.suffix in (".json", ".model")


@contextmanager
def explained(where: str) -> Iterator[None]:
    """One CheckpointError for whatever a network, a store or a disk does wrong."""
    try:
        yield
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, *_NOT_UNDERSTOOD) as error:
        status = getattr(getattr(error, "response", None), "status_code", 0)
        shown = "HF_HUB_OFFLINE=1" if isinstance(error, OfflineModeIsEnabled) else error
        raise CheckpointError(
            "a remote checkpoint cannot be fetched",
            where=where,
            found=f"{type(error).__name__}: {f'HTTP {status}' if status else shown}",
            allowed="an answer of its store",
            fix=_advice(error, status),
        ) from error


def _advice(error: Exception, status: int) -> str:
    if isinstance(error, OfflineModeIsEnabled):
        return "unset HF_HUB_OFFLINE and fetch it once with a network, or give a local directory"
    if isinstance(error, RevisionNotFoundError):
        return "give a branch, tag or commit of it: hf://owner/name/folder@revision"
    if status in (401, 403, 404):
        return (
            "check the address; for a private or gated repository accept its terms and set"
            " HF_TOKEN (or: hf auth login); fetch from a private bucket with gcloud storage cp -r"
            " and give the directory"
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES):
        return "make room, or let HF_HOME (hf://) or VLA_CACHE (gs://) name a directory with some"
    return (
        "connect this machine (HTTPS_PROXY is honoured) and run it again: what was fetched is"
        " kept; or copy the checkpoint here and give its directory"
    )


@contextmanager
def one_process(lock: Path, where: str) -> Iterator[None]:
    """Keeps others from fetching the same; ends with the process, however that ends."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    guard = FileLock(lock)
    try:
        guard.acquire(timeout=0)
    except Timeout:
        _log.info("checkpoint=%s waiting=another process fetches it", where)
        guard.acquire()
    try:
        yield
    finally:
        guard.release()


def download(
    files: Mapping[Path, RemoteFile], where: str, headers: Mapping[str, str] | None = None
) -> None:
    """Fetch files to their paths, those that are there left out.

    Raises:
        CheckpointError: The disk has no room, or a file is not what its store lists.
        httpx2.HTTPError: The store could not be reached, or refuses.
    """
    files = {path: file for path, file in files.items() if not path.is_file()}
    if not files:
        return
    for path in files:
        folder = path.parent
        folder.mkdir(parents=True, exist_ok=True)
    size = sum(file.size for file in files.values())
    have = sum(_partial(path).stat().st_size for path in files if _partial(path).exists())
    free = shutil.disk_usage(folder).free
    if size - have > free:
        raise OSError(errno.ENOSPC, f"{size - have} bytes to fetch, {free} free", str(folder))
    _log.info("checkpoint=%s files=%d bytes=%d resumed_bytes=%d", where, len(files), size, have)
    bar = tqdm(total=size, desc=where, unit="B", unit_scale=True, disable=None)  # None: terminals
    with bar:
        for path, file in files.items():
            _fetch(path, file, where, headers or {}, bar.update)


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial")


def _fetch(
    path: Path,
    file: RemoteFile,
    where: str,
    headers: Mapping[str, str],
    progress: Callable[[int], object],
) -> None:
    partial = _partial(path)
    with partial.open("a+b") as out:
        if out.tell() > file.size:
            out.truncate(0)
        out.seek(0)
        check = file.hash()
        while block := out.read(_BLOCK_BYTES):
            check.update(block)
            progress(len(block))
        while (start := out.tell()) < file.size:
            try:
                check = _receive(file, out, check, headers, progress)
            except httpx2.TransportError:
                if out.tell() - start < _WORTH_ANOTHER_TRY_BYTES:
                    raise
        out.flush()
        os.fsync(out.fileno())
        found = f"{out.tell()} bytes, {file.algorithm} {check.hexdigest()}"
    if found != (listed := f"{file.size} bytes, {file.algorithm} {file.digest}"):
        partial.unlink()
        raise CheckpointError(
            "a remote file arrived damaged, and was removed",
            where=f"{where}, {path.name}",
            found=found,
            allowed=listed,
            fix="run it again; if it happens twice, fetch it by other means and compare",
        )
    partial.replace(path)


def _receive(
    file: RemoteFile,
    out: BinaryIO,
    check: _Hash,
    headers: Mapping[str, str],
    progress: Callable[[int], object],
) -> _Hash:
    """Append what one connection brings; the hash of all bytes so far."""
    asked = {**headers, "Accept-Encoding": "identity", "Range": f"bytes={out.tell()}-"}
    with get_session().stream("GET", file.url, headers=asked, timeout=timeout()) as response:
        response.raise_for_status()
        if response.status_code != 206 and out.tell():  # the store sends all of it once more
            out.seek(0)
            out.truncate()
            check = file.hash()
        for block in response.iter_raw():
            out.write(block)
            check.update(block)
            progress(len(block))
            if out.tell() > file.size:
                return check
    if out.tell() < file.size:
        raise httpx2.RemoteProtocolError(f"the body ended after {out.tell()} of {file.size} bytes")
    return check
