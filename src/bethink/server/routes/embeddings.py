"""Embeddings: none of the models here makes them, and what a chat model's states would give is no substitute."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request as Http
from starlette.responses import Response

from bethink.errors import BethinkError, CapabilityMissing
from bethink.server.door.guard import ErrorBody
from bethink.server.running.service import json_response

PATHS = ("/v1/embeddings", "/api/embed", "/api/embeddings")


class NoEmbeddings(CapabilityMissing):
    code = "no_embeddings"
    http_status = 501


def refusing(error_body: ErrorBody) -> Callable[[Http], Awaitable[Response]]:
    """The route, in the words of whoever lives at its path."""

    async def refuse(http: Http) -> Response:
        error: BethinkError = NoEmbeddings(
            "the models of this server write text and make no embeddings", "ask a server for embedding models"
        )
        return json_response(error_body(http.url.path, error), status=error.http_status)

    return refuse
