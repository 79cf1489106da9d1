"""`/api/login` and `/api/logout`: a key is shown once, and a cookie that no script can read stands for it."""

from __future__ import annotations

import asyncio
from typing import Annotated

from pydantic import Field
from starlette.requests import Request as Http
from starlette.responses import Response

from bethink.errors import UsageError
from bethink.server.accounts.sessions import LASTS_S
from bethink.server.asking.knobs import Strict
from bethink.server.door.keys import COOKIE, session_of
from bethink.server.routes.page.answering import body_of, page_of
from bethink.server.running.service import json_response


class NoLogins(UsageError):
    code = "no_logins"
    http_status = 501


class LoginBody(Strict):
    key: Annotated[str, Field(min_length=1, max_length=500)]


async def log_in(http: Http) -> Response:
    body, page = await body_of(http, LoginBody), page_of(http)
    accounts = page.service.admission.accounts
    if accounts is None:
        raise NoLogins("this server knows no keys", "nothing needs a login here")
    who = accounts.identify(body.key.strip())
    token = await asyncio.to_thread(page.sessions.open, who.key_id)
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


async def log_out(http: Http) -> Response:
    if token := session_of(http.headers):
        await asyncio.to_thread(page_of(http).sessions.close, token)
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response
