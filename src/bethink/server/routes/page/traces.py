"""`/api/traces/{id}`: the record of an answer, and its picture: a page of its own that runs nothing and reaches
nothing."""

from __future__ import annotations

import asyncio
import re
from dataclasses import asdict
from pathlib import Path

from starlette.requests import Request as Http
from starlette.responses import Response

from bethink.errors import UsageError
from bethink.picture.page import page as picture_of
from bethink.server.routes.page.answering import page_of
from bethink.server.routes.page.person import person_of
from bethink.server.running.service import json_response
from bethink.trace import Trace

ID = re.compile(r"[0-9a-z-]{1,60}")
SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'"


class NoSuchTrace(UsageError):
    code = "no_such_trace"
    http_status = 404


async def show_trace(http: Http) -> Response:
    trace = await _trace(http)
    return json_response(await asyncio.to_thread(asdict, trace))


async def draw_trace(http: Http) -> Response:
    html = await asyncio.to_thread(picture_of, await _trace(http))
    headers = {"content-security-policy": SANDBOX, "x-frame-options": "SAMEORIGIN"}
    return Response(html, media_type="text/html; charset=utf-8", headers=headers)


async def _trace(http: Http) -> Trace:
    """Only of answers that are one's own; the person on this machine sees all that are there.

    Raises: NoSuchTrace, StoreError.
    """
    page, person, trace_id = page_of(http), person_of(http), str(http.path_params["id"])
    missing = NoSuchTrace(f"there is no trace {trace_id[:60]!r}", "old ones make room for new ones")
    if not ID.fullmatch(trace_id):
        raise missing
    is_mine = person.is_local or await asyncio.to_thread(page.conversations.has_trace, person.owner, trace_id)
    file = trace_file(page.settings.home, trace_id)
    if not is_mine or not await asyncio.to_thread(file.is_file):
        raise missing
    return await asyncio.to_thread(Trace.load, file)


def trace_file(home: Path, trace_id: str) -> Path:
    return home / "traces" / f"{trace_id}.json"
