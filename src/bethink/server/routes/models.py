"""`/v1/models`: what this server can run, in OpenAI's words, with what the store knows under `bethink`."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request as Http
from starlette.responses import Response

from bethink.errors import UnknownModel
from bethink.server.openai_words import openai_error
from bethink.server.service import Service, json_response


async def list_models(http: Http) -> Response:
    pool = _service(http).pool
    names = [*pool.known(), *pool.aliases]
    return json_response({"object": "list", "data": [_card(http, name) for name in names]})


async def show_model(http: Http) -> Response:
    name = str(http.path_params["model"])
    try:
        _service(http).pool.resolve(name)
    except UnknownModel as error:
        return json_response(openai_error(error), status=404)
    return json_response(_card(http, name))


def _service(http: Http) -> Service:
    return http.app.state.service


def _card(http: Http, name: str) -> dict[str, Any]:
    pool = _service(http).pool
    resolved = pool.resolve(name)
    card: dict[str, Any] = {"id": name, "object": "model", "created": 0, "owned_by": "bethink"}
    loaded = pool.loaded.get(resolved)
    about: dict[str, Any] = {"name": resolved, "is_default": resolved == pool.default, "is_loaded": loaded is not None}
    if loaded is not None:
        info = loaded.model.engine.info
        about |= {"engine": info.name, "context_length": info.context_length, "sha256": info.model_sha256}
    return card | {"bethink": about}
