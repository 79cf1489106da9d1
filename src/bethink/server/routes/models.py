"""`/v1/models`: what this server can run, in OpenAI's words, with what the store knows under `bethink`."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request as Http
from starlette.responses import Response

from bethink.errors import BethinkError
from bethink.server.record import Record
from bethink.server.running.pool import Pool
from bethink.server.running.service import Service, json_response
from bethink.server.wire.openai.words import openai_error


async def list_models(http: Http) -> Response:
    pool, who = Service.of(http).pool, Record.of(http).asker
    names = [(name, meant) for name, meant in pool.names().items() if who.may_use(meant)]
    return json_response({"object": "list", "data": [_card(pool, name, meant) for name, meant in names]})


async def show_model(http: Http) -> Response:
    name = str(http.path_params["model"])
    pool, who = Service.of(http).pool, Record.of(http).asker
    try:
        resolved = pool.resolve(name, who.may_use)
        who.require_model(resolved)
    except BethinkError as error:
        return json_response(openai_error(error), status=error.http_status)
    return json_response(_card(pool, name, resolved))


def _card(pool: Pool, name: str, resolved: str) -> dict[str, Any]:
    card: dict[str, Any] = {"id": name, "object": "model", "created": 0, "owned_by": "bethink"}
    loaded = pool.loaded.get(resolved)
    about: dict[str, Any] = {"name": resolved, "is_default": resolved == pool.default, "is_loaded": loaded is not None}
    if loaded is not None:
        info = loaded.model.engine.info
        about |= {"engine": info.name, "context_length": info.context_length, "sha256": info.model_sha256}
    return card | {"bethink": about}
