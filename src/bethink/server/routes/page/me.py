"""`/api/me`: what a page needs to know first."""

from __future__ import annotations

import asyncio

from starlette.requests import Request as Http
from starlette.responses import Response

from bethink import __version__
from bethink.server.record import Record
from bethink.server.routes.page.answering import page_of
from bethink.server.routes.page.person import person_of
from bethink.server.running.service import json_response


async def show_me(http: Http) -> Response:
    person, pool = person_of(http), page_of(http).service.pool
    accounts, who = page_of(http).service.admission.accounts, Record.of(http).asker
    known = [name for name in await asyncio.to_thread(pool.known) if who.may_use(name)]
    default = pool.default if who.may_use(pool.default) else next(iter(known), "")
    has_password = accounts is not None and await asyncio.to_thread(
        accounts.passwords.has_one, who.workspace_id, who.user
    )
    return json_response(
        {
            "user": person.name,
            "workspace": person.workspace,
            "is_local": person.is_local,
            "is_admin": person.is_admin,
            "has_password": has_password,
            "version": __version__,
            "default_model": default,
            "models": [{"name": name, "is_loaded": name in pool.loaded} for name in known],
        }
    )
