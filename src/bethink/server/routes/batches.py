"""`/v1/files` and `/v1/batches`, as OpenAI's clients use them."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Literal

from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request as Http
from starlette.responses import Response
from starlette.routing import Route

from bethink.errors import BethinkError, UsageError
from bethink.server.accounts import Principal
from bethink.server.asking.asks import BadField
from bethink.server.asking.bodies import Strict, read_body
from bethink.server.batches.runner import Batches
from bethink.server.batches.store import Batch
from bethink.server.limits import read_limited
from bethink.server.record import Record, new_id
from bethink.server.running.service import Service, error_headers, json_response
from bethink.server.wire.openai.words import openai_error

WINDOW_S = 24 * 3600
MOST_LISTED = 100
Answer = Callable[[Http, Principal], Awaitable[Response]]


class BatchBody(Strict):
    input_file_id: str
    endpoint: str
    completion_window: Literal["24h"]
    metadata: dict[str, str] | None = None


def batch_routes(batches: Batches) -> list[Route]:
    files = batches.files

    async def upload(http: Http, who: Principal) -> Response:
        filename, purpose, data = await _form(http)
        return json_response(files.put(who.workspace_id, filename, purpose, data).shown())

    async def list_files(http: Http, who: Principal) -> Response:
        wanted = http.query_params.get("purpose")
        found = [f.shown() for f in files.list(who.workspace_id) if wanted in (None, f.purpose)]
        return json_response(_page(http, found))

    async def show_file(http: Http, who: Principal) -> Response:
        return json_response(files.get(_id(http), who.workspace_id).shown())

    async def delete_file(http: Http, who: Principal) -> Response:
        files.delete(_id(http), who.workspace_id)
        return json_response({"id": _id(http), "object": "file", "deleted": True})

    async def content(http: Http, who: Principal) -> Response:
        return Response(files.content(_id(http), who.workspace_id), media_type="application/octet-stream")

    async def create(http: Http, who: Principal) -> Response:
        service = Service.of(http)
        body = read_body(BatchBody, await read_limited(http, service.limits))
        if body.endpoint not in batches.dialects:
            raise BadField(
                "endpoint", f"no batch can ask {body.endpoint[:80]!r}", f"one of {', '.join(batches.dialects)}"
            )
        files.get(body.input_file_id, who.workspace_id)
        now = int(batches.store.now())
        batch = Batch(
            id=new_id("batch_"),
            owner=who.workspace_id,
            key_id=who.key_id,
            endpoint=body.endpoint,
            input_file_id=body.input_file_id,
            completion_window=body.completion_window,
            created_at=now,
            expires_at=now + WINDOW_S,
            metadata=body.metadata or {},
        )
        batches.add(batch)
        return json_response(batch.shown())

    async def list_batches(http: Http, who: Principal) -> Response:
        found = [batch.shown() for batch in batches.store.all() if batch.owner == who.workspace_id]
        return json_response(_page(http, found))

    async def show_batch(http: Http, who: Principal) -> Response:
        return json_response(batches.store.get(_id(http), who.workspace_id).shown())

    async def cancel(http: Http, who: Principal) -> Response:
        return json_response(batches.cancel(_id(http), who.workspace_id).shown())

    return [
        Route("/v1/files", _route(upload), methods=["POST"]),
        Route("/v1/files", _route(list_files), methods=["GET"]),
        Route("/v1/files/{id}", _route(show_file), methods=["GET"]),
        Route("/v1/files/{id}", _route(delete_file), methods=["DELETE"]),
        Route("/v1/files/{id}/content", _route(content), methods=["GET"]),
        Route("/v1/batches", _route(create), methods=["POST"]),
        Route("/v1/batches", _route(list_batches), methods=["GET"]),
        Route("/v1/batches/{id}", _route(show_batch), methods=["GET"]),
        Route("/v1/batches/{id}/cancel", _route(cancel), methods=["POST"]),
    ]


async def _form(http: Http) -> tuple[str, str, bytes]:
    """Name, purpose and bytes of the file in a form.

    Raises: UsageError, BadField.
    """
    service = Service.of(http)
    body = await read_limited(http, service.limits)

    async def pieces() -> AsyncGenerator[bytes]:
        yield body

    try:
        form = await MultiPartParser(http.headers, pieces(), max_files=1, max_fields=8).parse()
    except (MultiPartException, FormParserError, KeyError) as error:
        raise UsageError(
            f"the form cannot be read: {error}", "send multipart/form-data with file and purpose"
        ) from None
    try:
        file, purpose = form.get("file"), form.get("purpose")
        if not isinstance(file, UploadFile):
            raise BadField("file", "the form holds no file", code="missing_field")
        if purpose != "batch":
            raise BadField("purpose", f"purpose is {str(purpose)[:40]!r}; files are for batches here", "batch")
        return file.filename or "file.jsonl", "batch", await file.read()
    finally:
        await form.close()


def _page(http: Http, found: list[dict[str, Any]]) -> dict[str, Any]:
    """`limit` entries after the one that is named.

    Raises: BadField.
    """
    text, after = http.query_params.get("limit", "20"), http.query_params.get("after")
    if not text.isdecimal() or not 1 <= int(text[:9]) <= math.inf:
        raise BadField("limit", f"limit is {text[:40]!r}", f"a number from 1 to {MOST_LISTED}")
    start = next((n + 1 for n, entry in enumerate(found) if entry["id"] == after), 0)
    page = found[start : start + min(int(text[:9]), MOST_LISTED)]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": start + len(page) < len(found),
    }


def _id(http: Http) -> str:
    return str(http.path_params["id"])


def _route(answer: Answer) -> Callable[[Http], Awaitable[Response]]:
    async def route(http: Http) -> Response:
        record = Record.of(http)
        who = record.asker
        try:
            who.require("batches")
            return await answer(http, who)
        except BethinkError as error:
            record.error = error.code
            return json_response(openai_error(error), status=error.http_status, headers=error_headers(error))

    return route
