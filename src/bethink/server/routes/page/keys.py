"""`/api/keys` and `/api/usage`: for administrators all, for everybody else what they used themselves."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, Field
from starlette.requests import Request as Http
from starlette.responses import Response

from bethink.errors import UnknownAccount, UsageError
from bethink.server.accounts import DEFAULT_SCOPES, Accounts, By, Key, Scope, UsageRow, as_time, as_us
from bethink.server.accounts import Limits as KeyLimits
from bethink.server.accounts.usage import GROUPS
from bethink.server.accounts.values import MAX_COUNT, MAX_NAME, Clock, KeyTerms
from bethink.server.asking.asks import BadField
from bethink.server.asking.knobs import Strict
from bethink.server.conversations.records import moment
from bethink.server.record import Record
from bethink.server.routes.page.answering import body_of, page_of
from bethink.server.running.service import json_response

Most = Annotated[int, Field(ge=1, le=MAX_COUNT)]


class NoAccounts(UsageError):
    code = "no_accounts"
    http_status = 501


class LimitsBody(Strict):
    requests_per_minute: Most | None = None
    tokens_per_minute: Most | None = None
    concurrency: Most | None = None
    tokens_per_month: Most | None = None


class KeyChangeBody(LimitsBody):
    """All four limits as they shall be. `models` and `expires` stay as they are where they are left out; null is all
    models, and for good."""

    models: tuple[str, ...] | None = None
    expires: AwareDatetime | None = None


class KeyBody(Strict):
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    workspace: str = "default"
    user: Annotated[str, Field(min_length=1, max_length=MAX_NAME)] | None = None
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)] = tuple(sorted(DEFAULT_SCOPES))
    models: tuple[str, ...] | None = None
    limits: LimitsBody = LimitsBody()
    expires: AwareDatetime | None = None


async def list_keys(http: Http) -> Response:
    accounts = administered(http)
    found = await asyncio.to_thread(accounts.directory.keys, with_revoked=True)
    used = await asyncio.to_thread(accounts.used_this_month)
    return json_response({"keys": [key_record(key) | {"used_this_month": used.get(key.id, 0)} for key in found]})


async def create_key(http: Http) -> Response:
    """The only time that a key's secret is told."""
    accounts, body = administered(http), await body_of(http, KeyBody)
    made = await asyncio.to_thread(
        accounts.directory.create_key,
        body.name,
        workspace=body.workspace,
        user=body.user,
        scopes=frozenset(body.scopes),
        models=body.models,
        limits=KeyLimits(**body.limits.model_dump()),
        expires_us=None if body.expires is None else as_us(body.expires),
    )
    return json_response({"key": key_record(made.key), "secret": made.secret}, status=201)


async def change_key(http: Http) -> Response:
    accounts, body = administered(http), await body_of(http, KeyChangeBody)
    limits = KeyLimits(**body.model_dump(exclude={"models", "expires"}))
    terms: KeyTerms | None = None
    if body.model_fields_set & {"models", "expires"}:
        now = await asyncio.to_thread(accounts.directory.key, _id(http))
        expires_us = None if body.expires is None else as_us(body.expires)
        terms = KeyTerms(
            body.models if "models" in body.model_fields_set else now.models,
            expires_us if "expires" in body.model_fields_set else now.expires_us,
        )
    changed = await asyncio.to_thread(accounts.directory.change_key, _id(http), limits=limits, terms=terms)
    return json_response({"key": key_record(changed)})


async def revoke_key(http: Http) -> Response:
    """From now on it opens nothing, nor do its logins."""
    accounts = administered(http)
    revoked = await asyncio.to_thread(accounts.directory.revoke_key, _id(http))
    return json_response({"key": key_record(revoked)})


async def show_usage(http: Http) -> Response:
    """Sums `by` day, key, user, model or workspace, `since` a moment, of one `workspace` (its id) or `model`. Who is no
    administrator sees what they used themselves, with all their keys."""
    accounts, who = _accounts(http), Record.of(http).asker
    given = http.query_params.get("by", "day")
    groups: dict[str, By] = {group: group for group in GROUPS if group != "request"}
    by = groups.get(given)
    if by is None:
        raise BadField("by", f"by is {given[:40]!r}", "day, key, user, model or workspace")
    owner_of = None if who.has("admin") else who.key_id
    workspace, model = (http.query_params.get(name) or None for name in ("workspace", "model"))
    since, until = _moment(http, "since"), _moment(http, "until")
    rows = await asyncio.to_thread(
        accounts.usage, by, since, until, workspace=workspace, model=model, owner_of=owner_of
    )
    return json_response({"by": by, "rows": [usage_record(row) for row in rows]})


def key_record(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "workspace": key.workspace,
        "user": key.user,
        "scopes": sorted(key.scopes),
        "models": key.models,
        "limits": asdict(key.limits),
        "state": key.state(Clock().now_us()),
        "created": moment(key.created_us),
        "expires": None if key.expires_us is None else moment(key.expires_us),
    }


def usage_record(row: UsageRow) -> dict[str, Any]:
    cost = None if row.cost is None else str(row.cost)
    return asdict(row) | {"seconds": float(row.seconds), "cost": cost, "total_tokens": row.total_tokens}


def _accounts(http: Http) -> Accounts:
    accounts = page_of(http).service.admission.accounts
    if accounts is None:
        raise NoAccounts("this server keeps no accounts", "start it with `bethink serve`")
    return accounts


def administered(http: Http) -> Accounts:
    """Raises: ScopeMissing."""
    Record.of(http).asker.require("admin")
    return _accounts(http)


def _id(http: Http) -> str:
    key_id = str(http.path_params["id"])
    if not key_id.strip():
        raise UnknownAccount("there is no such key", "list them again")
    return key_id


def _moment(http: Http, name: str) -> datetime | None:
    """Raises: BadField."""
    given = http.query_params.get(name, "")
    if not given:
        return None
    try:
        read = datetime.fromisoformat(given)
        return as_time(as_us(read if read.tzinfo else read.replace(tzinfo=UTC)))
    except (ValueError, OverflowError):
        raise BadField(name, f"{name} is {given[:40]!r}", "a moment as 2026-11-25T00:00:00Z") from None
