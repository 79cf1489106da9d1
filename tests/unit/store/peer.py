"""A server on this machine that speaks what Hugging Face, ModelScope and a package index speak, and that can
misbehave.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from bethink.config import PackageIndexes, Settings
from tests.unit.store.small_files import sha256


@dataclass
class Fault:
    """What goes wrong with one answer that carries bytes. `cut_after` closes the connection after so many of them."""

    cut_after: int | None = None
    status: int | None = None
    ignores_range: bool = False
    wrong_bytes: bool = False
    stall_s: float = 0.0


@dataclass
class Asked:
    method: str
    path: str
    first_byte: int | None
    authorization: str | None = None


@dataclass
class Peer:
    """`repos` by `org/repo`, their files by path. `wheels` by file name. `faults` are used up, one for each answer with
    bytes; `hold` (when set) makes those answers wait for `go`."""

    url: str = ""
    repos: dict[str, dict[str, bytes]] = field(default_factory=dict[str, dict[str, bytes]])
    wheels: dict[str, bytes] = field(default_factory=dict[str, bytes])
    faults: list[Fault] = field(default_factory=list[Fault])
    asked: list[Asked] = field(default_factory=list[Asked])
    index_is_html: bool = False
    states_hashes: bool = True
    token: str | None = None
    lies_about: dict[str, str] = field(default_factory=dict[str, str])
    moved: dict[str, str] = field(default_factory=dict[str, str])
    page_size: int = 1000
    hold: bool = False
    go: Event = field(default_factory=Event)
    chunk_s: float = 0.0

    def settings(self, home: Path, **other: Any) -> Settings:
        """Settings under which every hub and index is this peer."""
        indexes = PackageIndexes(urls=(f"{self.url}/simple/",))
        return replace(Settings(home, self.url, None, f"{self.url}/ms", indexes), **other)

    @property
    def fetched(self) -> list[Asked]:
        """The requests for bytes."""
        return [a for a in self.asked if a.method == "GET" and re.match(r"/(cdn|files|ms/.*FilePath)", a.path)]

    def stated_hash(self, path: str, data: bytes) -> str:
        return self.lies_about.get(path, sha256(data))


def start(peer: Peer) -> Callable[[], None]:
    """Serve until the returned function is called."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"peer": peer}))
    server.daemon_threads = True
    peer.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()

    def stop() -> None:
        peer.go.set()
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


class _Handler(BaseHTTPRequestHandler):
    peer: Peer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a test that fails shows `asked`."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        found = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        self.peer.asked.append(
            Asked(self.command, self.path, int(found[1]) if found else None, self.headers.get("Authorization"))
        )
        routes: list[tuple[str, Callable[[re.Match[str], dict[str, list[str]]], None]]] = [
            (r"/api/models/(\w[\w.-]*/[\w.-]+)/tree/([\w.-]+)", self._hf_tree),
            (r"/ms/api/v1/models/([\w.-]+/[\w.-]+)/repo/files", self._ms_files),
            (r"/ms/api/v1/datasets/([\w.-]+/[\w.-]+)/repo/tree", self._ms_files),
            (r"/ms/api/v1/(?:models|datasets)/([\w.-]+/[\w.-]+)/repo", self._ms_bytes),
            (r"/simple/([\w.-]+)/", self._index_page),
            (r"/files/(.+)", lambda m, _: self._bytes(self.peer.wheels.get(m[1]))),
            (r"/cdn/([\w.-]+/[\w.-]+)/(.+)", lambda m, _: self._bytes(self.peer.repos[m[1]][m[2]])),
            (r"/(?:datasets/)?([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)", self._hf_resolve),
        ]
        for pattern, route in routes:
            if match := re.fullmatch(pattern, path):
                route(match, parse_qs(parts.query))
                return
        self._send(404, b"no such page")

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, text in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, value: object, **headers: str) -> None:
        self._send(200, json.dumps(value).encode(), Content_Type="application/json", **headers)

    def _refused(self, repo: str) -> bool:
        is_allowed = self.peer.token is None or self.headers.get("Authorization") == f"Bearer {self.peer.token}"
        if repo not in self.peer.repos or not is_allowed:
            self._send(404 if is_allowed else 401, b"no")
            return True
        return False

    def _hf_tree(self, match: re.Match[str], query: dict[str, list[str]]) -> None:
        repo = match[1]
        if self._refused(repo):
            return
        rows: list[object] = [{"type": "directory", "path": "sub", "oid": "0"}]
        for path, data in self.peer.repos[repo].items():
            row: dict[str, object] = {"type": "file", "path": path, "size": len(data), "oid": "0" * 40}
            if self.peer.states_hashes:
                row["lfs"] = {"oid": self.peer.stated_hash(path, data), "size": len(data), "pointerSize": 134}
            rows.append(row)
        start_at = int(query.get("cursor", ["0"])[0])
        page = rows[start_at : start_at + self.peer.page_size]
        more = start_at + self.peer.page_size < len(rows)
        link = f'<{self.peer.url}{urlsplit(self.path).path}?recursive=true&cursor={start_at + len(page)}>; rel="next"'
        self._json(page, **({"Link": link} if more else {}))

    def _hf_resolve(self, match: re.Match[str], _: dict[str, list[str]]) -> None:
        repo, path = match[1], match[3]
        if new := self.peer.moved.get(repo):
            self._send(307, b"", Location=f"/{new}/resolve/{match[2]}/{path}")
            return
        if self._refused(repo):
            return
        data = self.peer.repos[repo].get(path)
        if data is None:
            self._send(404, b"Entry not found")
            return
        stated = {}
        if self.peer.states_hashes:
            stated = {"x_linked_etag": f'"{self.peer.stated_hash(path, data)}"', "x_linked_size": str(len(data))}
        self._send(302, b"", Location=f"{self.peer.url}/cdn/{repo}/{path}", **stated)

    def _ms_files(self, match: re.Match[str], _: dict[str, list[str]]) -> None:
        if self._refused(match[1]):
            return
        files: list[object] = [{"Name": "sub", "Path": "sub", "Type": "tree", "Size": 0}]
        for path, data in self.peer.repos[match[1]].items():
            row: dict[str, object] = {"Name": path, "Path": path, "Type": "blob", "Size": len(data)}
            files.append(row | ({"Sha256": self.peer.stated_hash(path, data)} if self.peer.states_hashes else {}))
        self._json({"Code": 200, "Data": {"Files": files}, "Success": True})

    def _ms_bytes(self, match: re.Match[str], query: dict[str, list[str]]) -> None:
        self._bytes(self.peer.repos.get(match[1], {}).get(query["FilePath"][0]))

    def _index_page(self, match: re.Match[str], _: dict[str, list[str]]) -> None:
        prefix = match[1].replace("-", "_") + "-"
        found = {name: data for name, data in self.peer.wheels.items() if name.startswith(prefix)}
        if not found:
            self._send(404, b"no such project")
        elif self.peer.index_is_html:
            links = [
                f'<a href="../../files/{n}#sha256={self.peer.stated_hash(n, d)}">{n}</a>' for n, d in found.items()
            ]
            self._send(
                200, f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode(), Content_Type="text/html"
            )
        else:
            files: list[object] = []
            for name, data in found.items():
                hashes = {"sha256": self.peer.stated_hash(name, data)} if self.peer.states_hashes else {}
                files.append({"filename": name, "url": f"../../files/{name}", "hashes": hashes, "size": len(data)})
            page = {"meta": {"api-version": "1.1"}, "name": match[1], "files": files, "versions": []}
            self._send(200, json.dumps(page).encode(), Content_Type="application/vnd.pypi.simple.v1+json")

    def _bytes(self, data: bytes | None) -> None:
        if data is None:
            self._send(404, b"no such file")
            return
        if self.peer.hold:
            self.peer.go.wait(20)
        fault = self.peer.faults.pop(0) if self.peer.faults else Fault()
        time.sleep(fault.stall_s)
        if fault.status:
            self._send(fault.status, b"trouble")
            return
        if fault.wrong_bytes:
            data = bytes(255 - byte for byte in data)
        found = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        first = int(found[1]) if found and not fault.ignores_range else 0
        if found and first >= len(data) and not fault.ignores_range:
            self._send(416, b"", Content_Range=f"bytes */{len(data)}")
            return
        is_part = found and not fault.ignores_range
        self.send_response(206 if is_part else 200)
        if is_part:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - first))
        self.end_headers()
        body = data[first:] if fault.cut_after is None else data[first : first + fault.cut_after]
        self._write_slowly(body)
        if len(body) < len(data) - first:
            self.close_connection = True
            self.connection.shutdown(2)

    def _write_slowly(self, body: bytes) -> None:
        if not self.peer.chunk_s:
            self.wfile.write(body)
            return
        for start_at in range(0, len(body), 1 << 16):
            self.wfile.write(body[start_at : start_at + (1 << 16)])
            time.sleep(self.peer.chunk_s)
