"""Answers of the Responses API, read again or deleted: `/v1/responses/{id}` and what was asked there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request as Http
from starlette.responses import Response
from starlette.routing import Route

from bethink.errors import BethinkError
from bethink.server.asking.asks import BadField
from bethink.server.record import Record
from bethink.server.running.service import json_response
from bethink.server.wire.openai.response_store import ResponseStore
from bethink.server.wire.openai.words import openai_error

Answered = Callable[[Http, str], dict[str, Any]]


def response_routes(store: ResponseStore) -> list[Route]:
    def show(http: Http, response_id: str) -> dict[str, Any]:
        return dict(store.find(response_id, _owner(http)).response)

    def delete(http: Http, response_id: str) -> dict[str, Any]:
        store.delete(response_id, _owner(http))
        return {"id": response_id, "object": "response", "deleted": True}

    def list_items(http: Http, response_id: str) -> dict[str, Any]:
        items = list(store.find(response_id, _owner(http)).items)
        if http.query_params.get("order", "desc") == "desc":
            items.reverse()
        return {
            "object": "list",
            "data": items,
            "first_id": items[0]["id"] if items else None,
            "last_id": items[-1]["id"] if items else None,
            "has_more": False,
        }

    def cancel(http: Http, response_id: str) -> dict[str, Any]:
        store.find(response_id, _owner(http))
        raise BadField("background", f"{response_id} is over", "what still runs: POST /v1/requests/{id}/stop")

    path = "/v1/responses/{id}"
    return [
        Route(path, _route(show), methods=["GET"]),
        Route(path, _route(delete), methods=["DELETE"]),
        Route(f"{path}/input_items", _route(list_items), methods=["GET"]),
        Route(f"{path}/cancel", _route(cancel), methods=["POST"]),
    ]


def _owner(http: Http) -> str:
    """Raises: ScopeMissing."""
    who = Record.of(http).asker
    who.require("inference")
    return who.workspace_id


def _route(answered: Answered) -> Callable[[Http], Awaitable[Response]]:
    async def route(http: Http) -> Response:
        try:
            return json_response(answered(http, str(http.path_params["id"])))
        except BethinkError as error:
            return json_response(openai_error(error), status=error.http_status)

    return route
