"""`/api/login`, `/api/logout` and `/api/password`: a key or a password is shown once, and a cookie that no script can
read stands for it.

What always holds: no answer, error or log line has a password in it; as many tries as `attempts` allows.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from pydantic import Field, SecretStr
from starlette.requests import Request as Http
from starlette.responses import Response

from bethink.errors import UsageError
from bethink.server.accounts import Accounts, Principal
from bethink.server.accounts.hashing import LONGEST
from bethink.server.accounts.sessions import LASTS_S
from bethink.server.accounts.values import MAX_NAME
from bethink.server.asking.knobs import Strict
from bethink.server.door.keys import COOKIE, session_of
from bethink.server.page.page import Page
from bethink.server.record import Record
from bethink.server.routes.page.answering import body_of, page_of
from bethink.server.running.service import json_response

Secret = Annotated[SecretStr, Field(min_length=1, max_length=2 * LONGEST)]


class NoLogins(UsageError):
    code = "no_logins"
    http_status = 501


class LoginBody(Strict):
    """A key, or a user's name and password; `workspace` only where users of several have that name."""

    key: Secret | None = None
    user: Annotated[str, Field(max_length=MAX_NAME)] = ""
    password: Secret | None = None
    workspace: Annotated[str, Field(max_length=MAX_NAME)] = ""


class PasswordBody(Strict):
    old: Secret
    new: Secret


async def show_ways(http: Http) -> Response:
    """What a login is asked for: told to everybody."""
    accounts = page_of(http).service.admission.accounts
    has_passwords = accounts is not None and await asyncio.to_thread(accounts.passwords.exist)
    return json_response({"ways": ["password", "key"] if has_passwords else ["key"]})


async def log_in(http: Http) -> Response:
    body, page = await body_of(http, LoginBody), page_of(http)
    accounts = _accounts(page)
    if body.password is not None:
        who, token = await _by_password(http, accounts, body.user.strip(), body.password, body.workspace.strip())
    elif body.key is not None:
        who = accounts.identify(body.key.get_secret_value().strip())
        token = await asyncio.to_thread(page.sessions.open, who.key_id)
    else:
        raise UsageError("nothing was shown to log in with", "send a key, or a user and their password")
    response = json_response({"user": who.user or who.key, "workspace": who.workspace, "is_admin": who.has("admin")})
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(LASTS_S),
        path="/",
        secure=http.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return response


async def _by_password(
    http: Http, accounts: Accounts, user: str, password: SecretStr, workspace: str
) -> tuple[Principal, str]:
    page, address = page_of(http), Record.of(http).client
    async with page.checking_passwords:
        opened = await asyncio.to_thread(
            accounts.passwords.open, user, password.get_secret_value(), workspace=workspace, address=address
        )
    who = accounts.principal(opened.key_id)
    return who, await asyncio.to_thread(page.sessions.open, opened.key_id, opened.changed_us)


async def log_out(http: Http) -> Response:
    if token := session_of(http.headers):
        await asyncio.to_thread(page_of(http).sessions.close, token)
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


async def change_password(http: Http) -> Response:
    """One's own. This login goes on, all others with the old password end."""
    body, page, record = await body_of(http, PasswordBody), page_of(http), Record.of(http)
    accounts, who = _accounts(page), record.asker
    async with page.checking_passwords:
        await asyncio.to_thread(
            accounts.passwords.change,
            who.workspace_id,
            who.user or "",
            body.old.get_secret_value(),
            body.new.get_secret_value(),
            keeps=session_of(http.headers),
            address=record.client,
        )
    page.sessions.forget()
    return Response(status_code=204)


def _accounts(page: Page) -> Accounts:
    """Raises: NoLogins."""
    accounts = page.service.admission.accounts
    if accounts is None:
        raise NoLogins("this server knows no keys", "nothing needs a login here")
    return accounts
