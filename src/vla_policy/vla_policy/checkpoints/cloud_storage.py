"""Public objects of Google Cloud Storage, ``gs://bucket/path``, read without an account.

A copy is cached as ``$VLA_CACHE/gs/<bucket>/<path>@<version>`` (default ``~/.cache/vla-ros2``),
where the version is a hash of the listing: a directory of that name is whole, for it is filled
under another one.

Source: https://cloud.google.com/storage/docs/json_api/v1 (objects: list, get).
"""

from __future__ import annotations

import base64
import glob
import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from huggingface_hub import get_session

from vla_core.errors import CheckpointError
from vla_policy.checkpoints.download import (
    RemoteFile,
    checked_name,
    checkpoint_files,
    download,
    explained,
    one_process,
    timeout,
)

PALIGEMMA_TOKENIZER = "gs://big_vision/paligemma_tokenizer.model"
_PALIGEMMA_SHA256 = "8986bb4f423f07f8c7f70d0dbe3526fb2316056c17bae71b1ea975e77a168fc6"
_MOST_OBJECTS = 10_000
_FIELDS = "name,size,generation,md5Hash,crc32c"
_NOT_AN_OBJECT = (401, 403, 404)  # 403, too, where an account may not list

_log = logging.getLogger(__name__)


def paligemma_tokenizer() -> Path:
    """PaliGemma's SentencePiece model, which released openpi checkpoints do not carry."""
    path = local_copy(PALIGEMMA_TOKENIZER)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != _PALIGEMMA_SHA256:
        raise CheckpointError(
            "another tokenizer than PaliGemma's",
            where=str(path),
            found=f"sha256 {found}",
            allowed=f"sha256 {_PALIGEMMA_SHA256}",
            fix="remove it, and fetch it by other means to where $VLA_TOKENIZER says",
        )
    return path


def local_copy(address: str) -> Path:
    """A local copy of a directory, or of one object, fetched where needed.

    Without a network the newest cached copy is taken, with a warning.

    Raises:
        CheckpointError: It can neither be fetched nor is cached.
    """
    bucket, _, path = address.removeprefix("gs://").strip("/").partition("/")
    if not path or checked_name(bucket, address) == "..":
        raise CheckpointError(
            "no address of a checkpoint",
            where=address,
            allowed="gs://bucket/folder",
            fix="name the folder in the bucket",
        )
    home = _cache() / bucket / checked_name(path, address)
    try:
        with explained(address):
            objects = _objects(bucket, path)
    except CheckpointError as error:
        copies = home.parent.glob(f"{glob.escape(home.name)}@*")
        newest = max(copies, key=lambda copy: copy.stat().st_mtime_ns, default=None)
        if newest is None:
            raise
        _log.warning("checkpoint=%s source=cache path=%s reason=%s", address, newest, error.found)
        return _content(newest, home.name)
    files = {name: objects[name] for name in checkpoint_files(objects, address)}
    copy = home.with_name(f"{home.name}@{_version(files)}")
    filling = home.with_name(f".{copy.name}.partial")
    if not copy.is_dir():
        with explained(address), one_process(home.with_name(f".{copy.name}.lock"), address):
            if not copy.is_dir():
                download({filling / name: file for name, file in files.items()}, address)
                filling.rename(copy)
    _log.info("checkpoint=%s path=%s files=%d", address, copy, len(files))
    return _content(copy, home.name)


def _cache() -> Path:
    named = os.environ.get("VLA_CACHE")
    return (Path(named) if named else Path.home() / ".cache" / "vla-ros2").expanduser() / "gs"


def _content(copy: Path, name: str) -> Path:
    """The directory, or the one object in it that was asked for."""
    return copy / name if (copy / name).is_file() else copy


def _service() -> str:
    """Where the API is; Google's own tools read the same variable."""
    host = os.environ.get("STORAGE_EMULATOR_HOST") or "https://storage.googleapis.com"
    return (host if "://" in host else f"http://{host}").rstrip("/") + "/storage/v1/b"


def _objects(bucket: str, path: str) -> dict[str, RemoteFile]:
    """The object of a name, or those of a directory by their names relative to it."""
    url = f"{_service()}/{quote(bucket, safe='')}/o"
    session = get_session()
    single = session.get(
        f"{url}/{quote(path, safe='')}", params={"fields": _FIELDS}, timeout=timeout()
    )
    if single.status_code not in _NOT_AN_OBJECT:
        return {PurePosixPath(path).name: _file(url, single.raise_for_status().json())}
    objects: dict[str, RemoteFile] = {}
    asked = {"prefix": f"{path}/", "fields": f"items({_FIELDS}),nextPageToken"}
    while True:
        page = session.get(url, params=asked, timeout=timeout()).raise_for_status().json()
        for item in page.get("items", ()):
            if not item["name"].endswith("/"):  # made by browsers in place of folders
                objects[item["name"].removeprefix(asked["prefix"])] = _file(url, item)
        if len(objects) > _MOST_OBJECTS:
            raise ValueError(f"more than {_MOST_OBJECTS} objects: not one checkpoint")
        if not (token := page.get("nextPageToken")):
            return objects
        asked["pageToken"] = token


def _file(url: str, item: Mapping[str, Any]) -> RemoteFile:
    composed = "md5Hash" not in item  # of parts that were uploaded side by side
    return RemoteFile(
        url=f"{url}/{quote(item['name'], safe='')}?alt=media&generation={item['generation']}",
        size=int(item["size"]),
        algorithm="crc32c" if composed else "md5",
        digest=base64.b64decode(item["crc32c" if composed else "md5Hash"]).hex(),
    )


def _version(files: Mapping[str, RemoteFile]) -> str:
    lines = sorted(f"{name} {file.size} {file.digest}" for name, file in files.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
