"""Who asks: the key in a request's headers, under the names that clients of every dialect use.

What always holds: where keys are needed, nothing but health, the page and the description of the API is answered
without one; no secret is kept, logged or said again.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from bethink.errors import BethinkError, Unauthorized
from bethink.server.accounts import LOCAL, Accounts, Principal
from bethink.server.accounts.secret import parse_secret
from bethink.server.accounts.sessions import Sessions
from bethink.server.door.guard import ErrorBody, send_json
from bethink.server.record import Record
from bethink.server.running.service import error_headers

COOKIE = "bethink_session"
OPEN = frozenset(("/api/login", "/api/logout"))
GUARDED = ("/v1/", "/api/", "/metrics")
"""Paths under these need a key where keys are needed."""
PASSED_ON = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""What proxies and tunnels add."""


class KeyMissing(Unauthorized):
    code = "key_missing"


@dataclass(frozen=True, slots=True)
class Keys:
    """`is_needed` False: on loopback, whoever shows no key of ours is the one person of this machine. Stock clients
    insist on sending some key, so what is none of ours says nothing there. What a proxy passed on came from anywhere,
    and needs a key. `sessions` are the page's logins."""

    accounts: Accounts | None = None
    is_needed: bool = False
    sessions: Sessions | None = None

    def identify(self, headers: Headers) -> Principal:
        """Raises: Unauthorized."""
        given = secret_of(headers)
        accounts = self.accounts
        if accounts is not None and given and (self.is_needed or parse_secret(given) is not None):
            return accounts.identify(given)
        if accounts is not None and (key_id := self._logged_in(headers)) is not None:
            return accounts.principal(key_id)
        if self.is_needed or any(name in headers for name in PASSED_ON):
            why = "a key is needed" if self.is_needed else "a proxy passed this request on, so that it needs a key"
            raise KeyMissing(why, "log in, or send it as `authorization: Bearer KEY`")
        return LOCAL if accounts is None else accounts.local()

    def _logged_in(self, headers: Headers) -> str | None:
        """The key that a cookie stands for."""
        token = session_of(headers) if self.sessions is not None else ""
        return self.sessions.key_of(token) if self.sessions is not None and token else None


def session_of(headers: Headers) -> str:
    """What the page's cookie holds, or nothing."""
    return cookie_parser(headers.get("cookie", "")).get(COOKIE, "")


def secret_of(headers: Headers) -> str:
    """The key, or nothing: OpenAI's header, then Anthropic's, then Azure's."""
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return rest.strip()
    return headers.get("x-api-key", "").strip() or headers.get("api-key", "").strip()


@dataclass(slots=True)
class KeyCheck:
    """The layer of the application that identifies who asks; the record knows them from here on."""

    app: ASGIApp
    keys: Keys
    error_body: ErrorBody

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and is_guarded(scope["path"]):
            record: Record = scope["state"]["record"]
            try:
                record.principal = self.keys.identify(Headers(scope=scope))
            except BethinkError as error:
                record.error = error.code
                body = self.error_body(scope["path"], error)
                await send_json(send, body, status=error.http_status, headers=error_headers(error))
                return
        await self.app(scope, receive, send)


def is_guarded(path: str) -> bool:
    return path.startswith(GUARDED) and path not in OPEN
