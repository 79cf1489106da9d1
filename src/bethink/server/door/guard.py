"""What no key can say: which page a browser was on, and under which name it reached us.

Owns three refusals. A server on loopback answers under its own names only, or a web page could point a name of its own
at it (DNS rebinding). What a browser sends from another site is refused, or a page could ask in its visitor's name
(CSRF); sites that were allowed get CORS, nobody else. And a body says that it is JSON, which no form of a page can.

What always holds: a refused request has reached no route. Plain ASGI, so that streams pass through untouched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pydantic_core
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bethink.errors import AccessError, BethinkError, UsageError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FORM = "application/x-www-form-urlencoded"
HEADER_NAMES = re.compile(r"[A-Za-z0-9_, -]{0,2000}")
EXPOSED_HEADERS = "x-request-id, retry-after"
SECURITY: dict[str, str] = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Headers of every answer that does not bring its own."""

ErrorBody = Callable[[str, BethinkError], Mapping[str, Any]]
"""The body of an error, in the words of the dialect that lives at a path."""


class WrongHost(AccessError):
    code = "wrong_host"


class WrongOrigin(AccessError):
    code = "wrong_origin"


class WrongContentType(UsageError):
    code = "wrong_content_type"
    http_status = 415


@dataclass(frozen=True, slots=True)
class Doors:
    """Whom browsers may come from, and under which names. `is_loopback`: we listen where only this machine can reach
    us. `origins` as a browser spells them (`https://chat.example.com`); `*` is everybody."""

    is_loopback: bool = True
    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    form_paths: frozenset[str] = frozenset({"/v1/files", "/api/files"})
    """Where a body may be a form with files."""

    def check(self, scope: Scope, headers: Headers) -> None:
        """Raises: WrongHost, WrongOrigin, WrongContentType."""
        self._check_host(headers)
        origin = headers.get("origin")
        if not self.is_allowed(origin):
            self._check_site(scope["method"], headers, origin)
        self._check_content_type(scope, headers)

    def is_allowed(self, origin: str | None) -> bool:
        """Whether the operator named that site."""
        return origin is not None and ("*" in self.origins or origin.lower() in self.origins)

    def _check_host(self, headers: Headers) -> None:
        if not self.is_loopback and not self.hosts:
            return  # any other address needs a key, which a stranger's page has not
        given = headers.getlist("host")
        name = host_name(given[0]) if len(given) == 1 else ""
        if name not in self.hosts and not (self.is_loopback and name in LOOPBACK):
            raise WrongHost(
                f"this server does not answer under the name {name or 'that was given'!r}",
                "ask it as 127.0.0.1 or localhost, or start it with --allow-host NAME",
            )

    def _check_site(self, method: str, headers: Headers, origin: str | None) -> None:
        if origin is not None:
            if same_place(origin, headers.get("host", "")):
                return
        else:
            site = headers.get("sec-fetch-site", "none")
            is_visit = method in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
            if site in ("none", "same-origin") or is_visit:
                return
        where = "another site" if origin is None else f"the site {origin!r}"
        raise WrongOrigin(
            f"pages of {where} may not use this server", "if they should, start it with --allow-origin ORIGIN"
        )

    def _check_content_type(self, scope: Scope, headers: Headers) -> None:
        if scope["method"] in SAFE_METHODS or not _has_body(headers):
            return
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
            return
        if kind == "multipart/form-data" and scope["path"] in self.form_paths:
            return
        if kind in ("", FORM) and "origin" not in headers and "sec-fetch-site" not in headers:
            return  # what curl says of -d, and clients that say nothing; a browser would have told its origin
        raise WrongContentType(f"the body is {kind or 'of no stated type'!r}", "send content-type: application/json")


def host_name(host: str) -> str:
    """The name in a Host header, without its port; empty where it is no name."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".") if "@" not in host and "/" not in host else ""
    except ValueError:
        return ""


def same_place(origin: str, host: str) -> bool:
    """Whether a page of that origin was served by that host. The scheme is left out: a proxy in front may add TLS."""
    try:
        page = urlsplit(origin)
        port = page.port or {"http": 80, "https": 443}.get(page.scheme)
        ours = urlsplit(f"//{host}")
        return (
            page.scheme in ("http", "https")
            and page.hostname is not None
            and page.hostname == ours.hostname
            and port in ({80, 443} if ours.port is None else {ours.port})
        )
    except ValueError:
        return False


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


@dataclass(slots=True)
class Guard:
    """The outermost layer of the application."""

    app: ASGIApp
    doors: Doors
    error_body: ErrorBody
    on_refused: Callable[[Scope, BethinkError], None] = field(default=lambda _scope, _error: None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        cors = self._cors(origin) if self.doors.is_allowed(origin) else {}
        guarded = _with_headers(send, cors)
        try:
            self.doors.check(scope, headers)
        except BethinkError as error:
            self.on_refused(scope, error)
            await send_json(guarded, self.error_body(scope["path"], error), status=error.http_status)
            return
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            wanted = headers.get("access-control-request-headers", "")
            await _send(guarded, b"", status=204, headers=_preflight(wanted) if cors else {})
            return
        await self.app(scope, receive, guarded)

    def _cors(self, origin: str | None) -> dict[str, str]:
        return {
            "access-control-allow-origin": origin or "",
            "access-control-expose-headers": EXPOSED_HEADERS,
            "vary": "origin",
            "cross-origin-resource-policy": "cross-origin",
        }


def _preflight(wanted: str) -> dict[str, str]:
    """What a page of an allowed site may do: all that our routes do, with the headers that its client sends."""
    return {
        "access-control-allow-methods": "GET, POST, PATCH, DELETE",
        "access-control-allow-headers": wanted if HEADER_NAMES.fullmatch(wanted) else "content-type, authorization",
        "access-control-allow-private-network": "true",
        "access-control-max-age": "600",
    }


def _with_headers(send: Send, cors: Mapping[str, str]) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            _add_headers(message, SECURITY | dict(cors))
        await send(message)

    return guarded


def _add_headers(message: MutableMapping[str, Any], wanted: Mapping[str, str]) -> None:
    pairs: list[tuple[bytes, bytes]] = list(message.get("headers", []))
    there = {name.lower() for name, _ in pairs}
    pairs += [(n.encode(), v.encode("latin-1")) for n, v in wanted.items() if n.encode() not in there]
    message["headers"] = pairs


async def send_json(send: Send, value: object, *, status: int, headers: Mapping[str, str] | None = None) -> None:
    """A whole answer, where there is no route to give it."""
    all_headers = {"content-type": "application/json", **(headers or {})}
    await _send(send, pydantic_core.to_json(value), status=status, headers=all_headers)


async def _send(send: Send, body: bytes, *, status: int, headers: Mapping[str, str]) -> None:
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    if status != 204:
        pairs.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
