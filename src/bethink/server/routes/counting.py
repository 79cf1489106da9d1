"""How long a prompt is, before it is asked: Anthropic's `POST /v1/messages/count_tokens`.

The model's own template and vocabulary count, so the number is exact; the model is loaded for it.
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request as Http
from starlette.responses import Response

from bethink.errors import BethinkError, ContextFull
from bethink.model import Model
from bethink.server.limits import beside, read_limited
from bethink.server.record import Record
from bethink.server.running.service import Service, error_response, json_response
from bethink.server.wire.anthropic.messages import Messages
from bethink.server.wire.anthropic.turns import read_count
from bethink.types import Request


def _count(model: Model, request: Request) -> int:
    """Raises: UsageError, CapabilityMissing: what would be refused if it were asked, but for its length."""
    try:
        return len(model.think(request).trace.prompt_ids)
    except ContextFull:
        return len(model.prompt(request, is_thinking=True, comparable=False).ids)


async def count_tokens(http: Http) -> Response:
    service = Service.of(http)
    record = Record.of(http)
    try:
        ask = await beside(read_count, await read_limited(http, service.limits))
        answering = service.begin(ask, record)
        async with service.pool.hold(answering.model) as model:
            request = ask.request
            assert isinstance(request, Request)
            n_tokens = await asyncio.to_thread(_count, model, request)
        return json_response({"input_tokens": n_tokens})
    except BethinkError as error:
        record.error = error.code
        return error_response(Messages(), error)
