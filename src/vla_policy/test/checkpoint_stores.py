"""A small Hub and a small Cloud Storage on the loopback, which fail on request."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from vla_core.crc32c import Crc32c

COMMIT = "c0" * 20
TOKEN = "hf_secret_of_the_test"
PAGE = 2  # objects in one answer


class Stores(ThreadingHTTPServer):
    """One server that answers as both; the attributes choose its faults.

    Args:
        files: Of the repository owner/name, by name.
        objects: Of the bucket, by name.
        lfs: Names of Hub files that are listed with a SHA-256 and served from another origin.
        composed: Names of Cloud Storage objects without an MD5.
        cut_after: Bytes of a body after which the connection is closed.
        stall_after: Bytes of a body after which nothing more comes.
        silent: Whether no request is answered.
        damaged: Whether bodies differ from their listing in one byte.
        status: Answer everything with it.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.objects: dict[str, bytes] = {}
        self.lfs: set[str] = set()
        self.composed: set[str] = set()
        self.commit = COMMIT
        self.cut_after: int | None = None
        self.stall_after: int | None = None
        self.silent = self.damaged = self.without_ranges = False
        self.status = 0
        self.bodies: list[tuple[str, str, str | None]] = []  # path, range, authorization
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def other_url(self) -> str:
        """The same server as another origin."""
        return f"http://localhost:{self.server_port}"

    def close(self) -> None:
        self.ended.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed are meant to be."""


@cache
def _crc32c(data: bytes) -> str:
    check = Crc32c()
    check.update(data)
    return base64.b64encode(bytes.fromhex(check.hexdigest())).decode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Stores

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        stores = self.server
        if stores.silent:
            stores.ended.wait()
            return
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if stores.status:
            self._answer(stores.status, b"{}")
        elif match := re.fullmatch(r"/api/models/owner/name(/revision/(.*))?", path):
            self._model(unquote(match[2] or "main"))
        elif match := re.fullmatch(f"/owner/name/resolve/{stores.commit}/(.*)", path):
            name = unquote(match[1])
            if name in stores.lfs:
                headers = {"Location": f"{stores.other_url}/signed/{quote(name)}"}
                self._answer(302, b"", headers)
            else:
                self._body(name, stores.files)
        elif path.startswith("/signed/"):
            self._body(unquote(path.removeprefix("/signed/")), stores.files)
        elif path == "/storage/v1/b/bucket/o":
            self._objects(query)
        elif path.startswith("/storage/v1/b/bucket/o/"):
            name = unquote(path.removeprefix("/storage/v1/b/bucket/o/"))
            if name not in stores.objects:
                self._answer(404, b"{}")
            elif "alt" in query:
                self._body(name, stores.objects)
            else:
                self._answer(200, json.dumps(self._object(name)).encode())
        else:
            self._answer(404, b"{}")

    def _model(self, revision: str) -> None:
        if revision not in ("main", self.server.commit):
            self._answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            return
        siblings = []
        for name, data in self.server.files.items():
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            entry: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": blob}
            if name in self.server.lfs:
                sha256 = hashlib.sha256(data).hexdigest()
                entry["lfs"] = {"size": len(data), "sha256": sha256, "pointerSize": 130}
            siblings.append(entry)
        answer = {"id": "owner/name", "sha": self.server.commit, "siblings": siblings}
        self._answer(200, json.dumps(answer).encode())

    def _objects(self, query: dict[str, list[str]]) -> None:
        names = sorted(n for n in self.server.objects if n.startswith(query["prefix"][0]))
        start = int(query.get("pageToken", ["0"])[0])
        page: dict[str, Any] = {"items": [self._object(n) for n in names[start : start + PAGE]]}
        if start + PAGE < len(names):
            page["nextPageToken"] = str(start + PAGE)
        self._answer(200, json.dumps(page).encode())

    def _object(self, name: str) -> dict[str, str]:
        data = self.server.objects[name]
        entry = {"name": name, "size": str(len(data)), "generation": "7", "crc32c": _crc32c(data)}
        if name not in self.server.composed:
            entry["md5Hash"] = base64.b64encode(hashlib.md5(data).digest()).decode()
        return entry

    def _body(self, name: str, files: dict[str, bytes]) -> None:
        stores = self.server
        asked = self.headers.get("Range", "bytes=0-")
        stores.bodies.append((name, asked, self.headers.get("Authorization")))
        data = bytearray(files[name])
        if stores.damaged:
            data[len(data) // 2] ^= 1
        start = 0 if stores.without_ranges else int(asked.removeprefix("bytes=").rstrip("-"))
        part = bytes(data[start:])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        ends = [n for n in (stores.cut_after, stores.stall_after) if n and n < len(part)]
        self.wfile.write(part[: min([*ends, len(part)])])
        if ends and stores.stall_after:
            stores.ended.wait()
        self.close_connection = bool(ends)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)
