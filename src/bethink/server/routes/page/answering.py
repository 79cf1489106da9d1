"""How every route of the page answers: JSON, and errors as `{"error": {"code", "message", "hint"}}` with a status."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from pydantic import BaseModel
from starlette.requests import Request as Http
from starlette.responses import Response

from bethink.errors import BethinkError
from bethink.server.asking.bodies import read_body
from bethink.server.conversations.records import error_record
from bethink.server.limits import beside, read_limited
from bethink.server.page.page import Page
from bethink.server.record import Record
from bethink.server.running.service import error_headers, json_response

Body = TypeVar("Body", bound=BaseModel)
Handler = Callable[[Http], Awaitable[Response]]


def page_of(http: Http) -> Page:
    return http.app.state.page


def answered(handler: Handler) -> Handler:
    """The handler, with errors told in the page's shape."""

    async def answer(http: Http) -> Response:
        try:
            return await handler(http)
        except BethinkError as error:
            Record.of(http).error = error.code
            told = {"error": error_record(error)}
            return json_response(told, status=error.http_status, headers=error_headers(error))

    return answer


async def body_of(http: Http, model: type[Body]) -> Body:
    """The body, where an empty one means an empty object.

    Raises: UsageError, BadField, BodyTooLarge, BodyTooSlow.
    """
    body = await read_limited(http, page_of(http).service.limits)
    return await beside(partial(read_body, model), body or b"{}")
